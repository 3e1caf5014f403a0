"""Sections of the drift page: the distributions that moved, and a table of all features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrue.check_facts import number
from retrue.drift_page.charts import Bar, pair_chart, shares_chart
from retrue.drift_page.course_sections import p_value, scrolled
from retrue.html_page import muted, not_measured, table
from retrue.html_page.charts import brief, percent, safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_DRAWN = 12
_MOST_BINS = 14
_STABLE_PSI = 0.1
"""Below it a distribution is taken for stable (Siddiqi 2006)."""
_SIDES = (
    '<p><span class="key"><i style="background:#7b8794"></i>reference</span>'
    '<span class="key"><i style="background:#c05621"></i>current</span></p>'
)


def moved(report: Mapping[str, Any]) -> str:
    """Each distribution that moved, reference beside current, the largest part of it first."""
    found = ranked(report)
    if not found:
        return not_measured("No feature was compared: the reason is above.")
    shown = [one for one in found if _has_moved(one, report)]
    shares = [
        (str(one.get("name")), number(one.get("contribution")) or 0.0, bool(one.get("significant")))
        for one in found[:20]
    ]
    lead = muted("Contribution to the magnitude; blue: a test of the feature is significant.")
    parts = [lead, scrolled(shares_chart(shares, "Contribution of each feature"))]
    if not shown:
        return "".join([*parts, "<p>No single distribution moved.</p>"])
    left = len(shown) - _MOST_DRAWN
    rest = muted(f"{left} more moved; the table below has them.") if left > 0 else ""
    cards = "".join(f'<div class="card">{_card(one)}</div>' for one in shown[:_MOST_DRAWN])
    return "".join([*parts, _SIDES, f'<div class="cards">{cards}</div>', rest])


def features(report: Mapping[str, Any]) -> str:
    """Every figure of every feature."""
    found = ranked(report)
    if not found:
        return not_measured("No feature was compared.")
    return table(HEADER, [_row(one) for one in found], numbers=range(2, len(HEADER) - 1))


HEADER = (
    "feature",
    "kind",
    "contribution",
    "statistic",
    "p",
    "p corrected",
    "PSI",
    "Wasserstein",
    "missing before",
    "missing now",
    "p missing",
    "new categories",
    "remark",
)


def outputs(report: Mapping[str, Any]) -> str:
    """How predictions, labels and attributions moved."""
    parts = []
    for key, name in (("predictions", "Predictions"), ("labels", "Labels")):
        one = report.get(key)
        if isinstance(one, dict):
            parts.append(f'<div class="card">{_shift(name, one)}</div>')
        else:
            why = "no scores on one of the sides" if key == "predictions" else "none are known yet"
            parts.append(f'<div class="card"><h3>{name}</h3>{not_measured(why)}</div>')
    agreement = number(report.get("attributions"))
    if agreement is None:
        rest = not_measured("Attributions: what the predictions rest on.")
    else:
        rest = (
            f"<p>Attributions: the features' ranking by mean |SHAP| agrees with the reference's to"
            f" nDCG <b>{agreement:.3f}</b> (1 is the same order).</p>"
        )
    return f'{_SIDES}<div class="cards">{"".join(parts)}</div>{rest}'


def ranked(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Features of a report, the largest contribution first."""
    found = [one for one in report.get("features") or () if isinstance(one, dict)]
    return sorted(found, key=lambda one: -(number(one.get("contribution")) or 0.0))


def bars(bins: Sequence[Mapping[str, Any]], most: int = _MOST_BINS) -> list[Bar]:
    """Bins with their names; of more categories than `most` those that moved least count as one.

    Examples
    --------
    >>> ends = [(3.0, 0.5, 0.2), (None, 0.5, 0.8)]
    >>> [name for name, _, _ in bars([{"up_to": a, "reference": b, "current": c}
    ...                               for a, b, c in ends])]
    ['up to 3', 'above 3']
    """
    named: list[Bar] = []
    last: str | None = None
    texts = iter(_ends([end for one in bins if (end := number(one.get("up_to"))) is not None]))
    for one in bins:
        shares = (number(one.get("reference")) or 0.0, number(one.get("current")) or 0.0)
        end, category = number(one.get("up_to")), one.get("category")
        if category is not None:
            name = str(category) or "(empty text)"
        elif end is not None:
            text = next(texts)
            name = f"up to {text}" if last is None else f"{last} to {text}"
            last = text
        else:
            name = "all others" if last is None else f"above {last}"
        named.append((name, *shares))
    if len(named) <= most or last is not None:
        return named
    by_move = sorted(named, key=lambda one: -abs(one[1] - one[2]))
    kept = {one[0] for one in by_move[: most - 1] if one[0] != "all others"}
    rest = [one for one in named if one[0] not in kept]
    pooled = ("all others", sum(one[1] for one in rest), sum(one[2] for one in rest))
    return [*(one for one in named if one[0] in kept), pooled]


def _has_moved(one: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    """Whether it is worth a picture: with many rows a test finds what does not matter."""
    psi, share = number(one.get("psi")), number(one.get("contribution")) or 0.0
    alarm = report.get("alarm")
    exceeded = alarm.get("exceeded") or () if isinstance(alarm, dict) else ()
    before, now = number(one.get("missing_reference")), number(one.get("missing_current"))
    is_gone = before is not None and now is not None and abs(before - now) > 0.01
    is_far = psi is None or psi >= _STABLE_PSI or share >= 10 or is_gone
    return (
        one.get("name") in exceeded
        or bool(one.get("collapsed"))
        or (bool(one.get("significant")) and is_far)
    )


def _card(one: Mapping[str, Any]) -> str:
    name = str(one.get("name"))
    said = [
        f"contribution <b>{number(one.get('contribution')) or 0:.0f} %</b>",
        *([f"PSI <b>{figure(one.get('psi'))}</b>"] if one.get("psi") is not None else []),
        f"missing {share(one.get('missing_reference'))} → {share(one.get('missing_current'))}",
    ]
    if number(one.get("new_categories")):
        said.append(f"new categories <b>{share(one.get('new_categories'))}</b>")
    gone = one.get("collapsed")
    warning = f'<p class="bad-text">{safe(f"{name} {gone}")}</p>' if gone else ""
    return f"<h3>{safe(name)}</h3><p>{' · '.join(said)}</p>{warning}{_picture(name, one)}"


def _shift(name: str, one: Mapping[str, Any]) -> str:
    said = (
        f"PSI <b>{figure(one.get('psi'))}</b> · statistic {figure(one.get('statistic'))}"
        f" · p {p_value(one.get('p_value'))}"
        f" · {number(one.get('n_reference')) or 0:,.0f} and"
        f" {number(one.get('n_current')) or 0:,.0f} rows"
    )
    return f"<h3>{name}</h3><p>{said}</p>{_picture(name, one)}"


def _picture(name: str, one: Mapping[str, Any]) -> str:
    bins = [each for each in one.get("bins") or () if isinstance(each, dict)]
    if not bins:
        return not_measured("Distribution: a side has no values.")
    drawn = bars(bins)
    rows = [[safe(bin_), percent(ref), percent(cur)] for bin_, ref, cur in drawn]
    return (
        pair_chart(drawn, f"{name}: reference and current")
        + "<details><summary>As a table</summary>"
        + table(("values", "reference", "current"), rows, numbers=(1, 2))
        + "</details>"
    )


def _row(one: Mapping[str, Any]) -> list[str]:
    significant = bool(one.get("significant"))
    corrected = p_value(one.get("p_corrected"))
    return [
        safe(one.get("name")),
        safe(one.get("kind")),
        f"{number(one.get('contribution')) or 0:.1f} %",
        figure(one.get("statistic")),
        p_value(one.get("p_value")),
        f'<span class="bad-text">{corrected}</span>' if significant else corrected,
        figure(one.get("psi")),
        figure(one.get("wasserstein")),
        share(one.get("missing_reference")),
        share(one.get("missing_current")),
        p_value(one.get("p_missing")),
        share(one.get("new_categories")),
        safe(one.get("collapsed") or ""),
    ]


def figure(value: object) -> str:
    """A figure in few signs; a dash where there is none."""
    found = number(value)
    return "-" if found is None else brief(found)


def share(value: object) -> str:
    """A share from 0 to 1 in %; a dash where there is none."""
    found = number(value)
    return "-" if found is None else percent(found)


def _ends(values: Sequence[float]) -> list[str]:
    """Ends of bins in as many digits, four or more, as it takes to tell them apart.

    Up to ten digits before the point are written out: a day such as 20130105 is no power of ten.
    """
    whole = len(str(int(max((abs(value) for value in values), default=0.0))))
    for digits in range(max(4, whole) if whole <= 10 else 4, 17):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(value) for value in values]
