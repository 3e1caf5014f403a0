"""The outcome of each rule over a whole preparation, however many parts its tables came in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from retrue.validation import Failure, Rule, Severity, Validation

Outcome = Literal["stopped", "set aside", "warned", "held"]

OUTCOMES: dict[Severity, Outcome] = {
    "critical": "stopped",
    "warning": "set aside",
    "info": "warned",
}
"""What a rule of each severity does when it does not hold."""


@dataclass(frozen=True)
class RuleOutcome:
    """One rule of one table; `rule` is as found in the first part where it did not hold."""

    rule: Rule
    outcome: Outcome
    rows: tuple[int, ...]
    """Labels of the rows that broke it; of several parts, one after the other."""
    n_parts_failed: int


@dataclass(frozen=True)
class TableOutcome:
    """One table: failures first, then what held, each in the order of its suite."""

    table: str
    path: str
    n_rows: int
    n_parts: int
    rules: tuple[RuleOutcome, ...]

    def count(self, outcome: Outcome) -> int:
        """How many rules ended so."""
        return sum(one.outcome == outcome for one in self.rules)


def outcomes(validations: Iterable[Validation]) -> tuple[TableOutcome, ...]:
    """Sum up validations by table; a rule held if it held in every part."""
    by_table: dict[str, list[Validation]] = {}
    for validation in validations:
        by_table.setdefault(validation.table, []).append(validation)
    return tuple(_table(name, parts) for name, parts in by_table.items())


def _table(name: str, parts: list[Validation]) -> TableOutcome:
    failed: dict[tuple[str, ...], list[Failure]] = {}
    held: dict[tuple[str, ...], Rule] = {}
    for part in parts:
        for failure in part.failed:
            failed.setdefault(_identity(failure), []).append(failure)
        for rule in part.held:
            held.setdefault(_identity(rule), rule)
    rules = [
        RuleOutcome(
            found[0],
            OUTCOMES[found[0].severity],
            tuple(row for one in found for row in one.rows),
            len(found),
        )
        for found in failed.values()
    ]
    rules += [RuleOutcome(rule, "held", (), 0) for key, rule in held.items() if key not in failed]
    n_rows = sum(part.n_rows for part in parts)
    return TableOutcome(name, parts[0].path, n_rows, len(parts), tuple(rules))


def _identity(rule: Rule) -> tuple[str, ...]:
    return rule.expectation, rule.column or "", rule.bounds, rule.severity
