"""Rows that were set aside, as tables of an HTML page."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from retrue.faults import rule_text

if TYPE_CHECKING:
    import pandas as pd

    from retrue.validation_summary import RuleOutcome, TableOutcome

# A page stays readable, and small, when a whole column breaks a rule.
_FAULTS_SHOWN = 25
_LONG = 140


def faults_of(table: TableOutcome, one: RuleOutcome, faults: pd.DataFrame) -> pd.DataFrame:
    """Faults of one rule in the quarantine, in order of the file."""
    if one.outcome != "set aside":
        return faults[:0]
    mine = faults[
        (faults["table"] == table.table)
        & (faults["rule"] == rule_text(one.rule))
        & (faults["column"] == (one.rule.column or ""))
    ]
    if table.n_parts == 1:
        # Other deliveries of the table may have broken the rule elsewhere.
        here = mine["source_row"].isna() | mine["source_row"].isin([row + 2 for row in one.rows])
        mine = mine[here]
    return mine.sort_values("source_row", kind="stable")


def fault_table(
    name: str,
    one: RuleOutcome,
    anchor: str,
    faults: pd.DataFrame,
    released: dict[str, dict[Any, Any]],
) -> str:
    """The rows that one rule set aside, and how to let them in again."""
    shown = faults.head(_FAULTS_SHOWN).to_dict("records")
    rows = "".join(_fault_row(fault, released.get(fault["fault_id"])) for fault in shown)
    more = len(faults) - len(shown)
    rest = f"<p>And {more:,} more: <code>retrue data faults {name}</code></p>" if more else ""
    rule = f"{one.rule.column or 'the row'}: {one.rule.expectation} ({short(one.rule.bounds)})"
    return (
        f'<details open class=faults id="{anchor}"><summary>Rows set aside by <code>'
        f"{escape(rule)}</code></summary><div class=wide><table><thead><tr><th>fault</th>"
        "<th class=number>row of the file</th><th>key</th><th>value</th><th>state</th>"
        f"<th>whole row</th></tr></thead><tbody>{rows}</tbody></table></div>{rest}"
        "<p>Is a row right after all? The next run lets it in again after <code>retrue data"
        f" release {name} {shown[0]['fault_id'][:12]} --by NAME --reason WHY</code></p></details>"
    )


def _fault_row(fault: dict[Any, Any], release: dict[Any, Any] | None) -> str:
    row = f"{fault['source_row']:,.0f}" if fault["source_row"] == fault["source_row"] else ""
    state = "set aside"
    if release is not None:
        state = f"released by {release['by']} on {release['at']:%Y-%m-%d}: {release['reason']}"
    whole = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape('' if value is None else str(value))}</td></tr>"
        for name, value in json.loads(fault["row"]).items()
    )
    return (
        f"<tr><td><code>{fault['fault_id'][:12]}</code></td><td class=number>{row}</td>"
        f"<td>{escape(short(_members(fault['key'])))}</td>"
        f"<td><b>{escape(short(fault['value']))}</b></td><td>{escape(state)}</td>"
        f"<td><details><summary>show</summary><table>{whole}</table></details></td></tr>"
    )


def short(text: str) -> str:
    """A text cut where a cell of a table ends."""
    return text if len(text) <= _LONG else text[:_LONG] + " …"


def _members(text: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(text).items())
