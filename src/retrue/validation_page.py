"""One HTML page of a preparation: every rule, what held, and the rows that were set aside."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrue.fault_tables import fault_table, faults_of, short
from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.quarantine import read_quarantine, read_releases
from retrue.validation import ValidationError
from retrue.validation_summary import RuleOutcome, TableOutcome, outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrue.refs import DataRef
    from retrue.validation import Validation


class Preparation(Protocol):
    """What a page tells of: `retrue.preparation.Prepared` has it."""

    @property
    def ref(self) -> DataRef:
        """The data version."""

    @property
    def validations(self) -> tuple[Validation, ...]:
        """Of each table, one a part."""

    @property
    def match_rates(self) -> dict[str, float]:
        """Share of rows with a partner, by linked table."""

    @property
    def n_set_aside(self) -> int:
        """Rows."""


def write_page(problem_name: str, prepared: Preparation) -> Path:
    """Write the page of a data version to `pages/validation-v{version}.html` in its lake.

    Returns
    -------
    Path
        One file that loads nothing else. Rows that were set aside are read from the quarantine,
        so it is written after them.
    """
    ref = prepared.ref
    title = f"Data version {ref.version} of {problem_name}"
    facts = f"{ref.n_rows:,} rows until {ref.until} · content SHA-256 <code>{ref.sha256}</code>"
    found = outcomes(prepared.validations)
    cards = _cards(found, prepared.n_set_aside)
    body = [cards, _joins(prepared.match_rates), *_tables(problem_name, found, ref.until)]
    path = page_path(problem_name, f"v{ref.version}")
    write_atomically(path, _page(title, facts, "".join(body)))
    return path


def stopped(
    problem_name: str, error: ValidationError, before: Sequence[Validation] = ()
) -> ValidationError:
    """Write the page of a run that a critical rule stopped; return the error that names it.

    Parameters
    ----------
    error : ValidationError
        Its `validation` is the table that stopped the run.
    before : sequence of Validation
        The tables that were validated before it.
    """
    found = outcomes([*before, error.validation])
    facts = (
        f"{escape(str(error))}. <b>No data version was made; the earlier ones are untouched.</b>"
    )
    path = page_path(problem_name, "stopped")
    body = "".join([_cards(found, None), *_tables(problem_name, found, None)])
    write_atomically(path, _page(f"{problem_name} was stopped by validation", facts, body))
    remedy = f"{error.remedy}; every rule is told in {path}"
    return ValidationError(error.expected, error.found, error.where, remedy, error.validation)


def page_path(problem_name: str, of: str) -> Path:
    """Where the page of a version (`v3`), or of the last run that was `stopped`, is."""
    return lake_dir(problem_name) / "pages" / f"validation-{of}.html"


def _cards(found: Sequence[TableOutcome], n_set_aside: int | None) -> str:
    n_rules = sum(len(one.rules) for one in found)
    held, stop, aside, warned = (
        sum(one.count(outcome) for one in found)
        for outcome in ("held", "stopped", "set aside", "warned")
    )
    rows = "" if n_set_aside is None else f"{n_set_aside:,} row{'s' * (n_set_aside != 1)}"
    cards = (
        ("held", f"{held} of {n_rules}", "rules held", f"{len(found)} tables"),
        ("stopped", str(stop), "stopped the run", "severity critical"),
        ("aside", str(aside), "set rows aside", rows or "severity warning"),
        ("warned", str(warned), "warned", "severity info"),
    )
    return (
        '<div class="cards">'
        + "".join(
            f'<div class="card {kind if number != "0" else "none"}"><strong>{number}</strong>'
            f"<span>{text}</span><small>{note}</small></div>"
            for kind, number, text, note in cards
        )
        + "</div>"
    )


def _joins(match_rates: Mapping[str, float]) -> str:
    if not match_rates:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=number>{rate:.2%}</td>"
        f'<td class=bar><i style="width:{rate:.2%}"></i></td></tr>'
        for name, rate in match_rates.items()
    )
    return (
        "<h2>Joins</h2><table class=joins><thead><tr><th>table</th><th class=number>rows that"
        f" matched</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _tables(name: str, found: Sequence[TableOutcome], until: str | None) -> list[str]:
    faults = read_quarantine(name)
    if until is not None:
        faults = faults[faults["until"] <= until]
    released = {str(row["fault_id"]): row for row in read_releases(name).to_dict("records")}
    sections: list[str] = []
    number = 0
    # What stopped the run is looked for first.
    for table in sorted(found, key=lambda one: not one.count("stopped")):
        broken: list[str] = []
        held: list[str] = []
        details: list[str] = []
        for one in table.rules:
            number += 1
            mine = faults_of(table, one, faults)
            row = _rule_row(one, f"rule-{number}" if len(mine) else "", table.n_parts)
            (held if one.outcome == "held" else broken).append(row)
            if len(mine):
                details.append(fault_table(name, one, f"rule-{number}", mine, released))
        parts = f" in {table.n_parts} parts" if table.n_parts > 1 else ""
        file = Path(table.path).name
        source = f', <span title="{escape(table.path)}">{escape(file)}</span>' if file else ""
        folded = f"<details><summary>{len(held)} rules held</summary>{_rules(held)}</details>"
        sections.append(
            f"<h2>{escape(table.table)} <small>{table.n_rows:,} rows{parts}{source}</small></h2>"
            f"{_rules(broken) if broken else ''}{''.join(details)}{folded if held else ''}"
        )
    return sections


def _rules(rows: list[str]) -> str:
    return (
        "<div class=wide><table class=rules><thead><tr><th>outcome</th><th>column</th>"
        "<th>rule</th><th>bounds</th><th>found</th><th class=number>rows</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _rule_row(one: RuleOutcome, anchor: str, n_parts: int) -> str:
    rule = one.rule
    kind = rule.expectation.removeprefix("expect_").removeprefix("column_").removeprefix("table_")
    count = f"{len(one.rows):,}" if one.rows else ""
    if anchor:
        count = f'<a href="#{anchor}">{count or "see"}</a>'
    found = escape(short(rule.observed))
    if n_parts > 1 and one.n_parts_failed:
        found += f" <small>(in {one.n_parts_failed} of {n_parts} parts)</small>"
    badge = one.outcome.split()[-1]
    return (
        f'<tr class="{badge}"><td><b class="badge" title="severity {rule.severity}">'
        f"{one.outcome}</b></td><td><code>{escape(rule.column or '')}</code></td>"
        f"<td>{escape(kind.replace('_', ' '))}</td>"
        f'<td title="{escape(rule.bounds)}">{escape(short(rule.bounds))}</td>'
        f"<td>{found}</td><td class=number>{count}</td></tr>"
    )


def _page(title: str, facts: str, body: str) -> str:
    style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        # Nothing is loaded from anywhere, whatever a value of the data looks like.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src'
        " 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p class=facts>{facts}</p>{body}</main></body>"
        "</html>\n"
    )
