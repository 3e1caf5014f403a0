"""The features of a check as rows for a table elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrue.check_facts import report_of
from retrue.drift_page.feature_sections import ranked

if TYPE_CHECKING:
    from retrue.ledger import Check

_COLUMNS = {
    "name": "feature",
    "kind": "kind",
    "contribution": "contribution, %",
    "significant": "significant",
    "statistic": "statistic",
    "p_value": "p",
    "p_corrected": "p corrected",
    "psi": "PSI",
    "wasserstein": "Wasserstein, sd",
    "missing_reference": "missing before",
    "missing_current": "missing now",
    "new_categories": "new categories",
    "collapsed": "remark",
}


def rows(check: Check) -> list[dict[str, Any]]:
    """One row a feature, the largest contribution first; figures in four digits, None for none."""
    return [
        {name: _short(one.get(key)) for key, name in _COLUMNS.items()}
        for one in ranked(report_of(check))
    ]


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
