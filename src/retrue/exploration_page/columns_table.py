"""The table of columns: every one of them, for the reader to sort and filter."""

from __future__ import annotations

from retrue.exploration import Exploration
from retrue.exploration.columns import Column
from retrue.html_page.charts import percent, safe, sparkline

SHOWN = (
    ("all", "all columns"),
    ("feature", "features"),
    ("other", "not used"),
    ("flagged", "flagged"),
    ("gaps", "with missing values"),
)
"""Choices of the reader, and what a row is marked with."""
BAD = ("leak suspect", "constant", "all missing", "infinite values")


def columns(found: Exploration) -> str:
    """The table of columns, sorted and filtered by the reader."""
    suspects = {one.name: one.reason for one in found.suspects}
    share = {one.name: one.share for one in found.informative}
    heads = (
        ("Column", "text"),
        ("Kind", "text"),
        ("Used as", "text"),
        ("Flags", "text"),
        ("Missing", "number"),
        ("Distinct", "number"),
        ("Min · median · max, or most frequent", ""),
        ("Distribution", ""),
        ("Says of the label", "number"),
    )
    header = "".join(
        f'<th scope="col" data-sort="{sort}"><button type="button">{name}</button></th>'
        if sort
        else f'<th scope="col" class="fixed">{name}</th>'
        for name, sort in heads
    )
    rows = "".join(_column(one, share.get(one.name), suspects) for one in found.columns)
    choices = "".join(f'<option value="{value}">{text}</option>' for value, text in SHOWN)
    return (
        f'<p class="muted">All {found.n_rows:,} rows count. "Says of the label" is the share of the'
        " label's uncertainty that the column alone explains (mutual information over entropy,"
        f" {found.n_labelled_sample:,} labelled rows). Click a heading to sort.</p>"
        '<div class="tools"><label>Filter'
        ' <input id="filter" type="search" placeholder="name, kind, flag"></label>'
        f'<label>Show <select id="show">{choices}</select></label>'
        '<span id="shown" class="muted" role="status"></span></div>'
        '<div class="tall" tabindex="0" role="region" aria-label="Table of columns">'
        f'<table id="columns-table"><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
    )


def _column(one: Column, share: float | None, suspects: dict[str, str]) -> str:
    flags = [*one.flags, *(["leak suspect"] if one.name in suspects else [])]
    is_feature = one.role.startswith("feature")
    marks = [
        *(["feature"] if is_feature else []),
        *(["other"] if one.role == "not used" else []),
        *(["flagged"] if flags else []),
        *(["gaps"] if one.n_missing else []),
    ]
    text = safe(" ".join((one.name, one.kind, one.role, *flags)).lower())
    drawn = sparkline(one.bars, _distribution(one))
    shown = "".join(_flag(flag, suspects.get(one.name, "")) for flag in flags)
    said, size = ("", "") if share is None else (percent(share), f"{share:.6g}")
    kind = "" if is_feature else ' class="other"'
    return (
        f'<tr data-text="{text}" data-is="{" ".join(marks)}"{kind}>'
        f'<th scope="row">{safe(one.name)}</th>'
        f'<td class="k">{one.kind}</td><td class="k">{one.role}</td><td>{shown}</td>'
        f'<td class="n" data-value="{one.missing_share:.6g}">{percent(one.missing_share)}</td>'
        f'<td class="n" data-value="{one.n_distinct}">{one.n_distinct:,}</td>'
        f'<td class="values">{_values(one)}</td><td>{drawn}</td>'
        f'<td class="n" data-value="{size}">{said}</td></tr>'
    )


def _values(one: Column) -> str:
    if one.low:
        return f"{safe(one.low)} · <b>{safe(one.middle)}</b> · {safe(one.high)}"
    known = one.n_rows - one.n_missing
    texts = (f"{safe(text[:40])} <small>{percent(n / known)}</small>" for text, n in one.top[:3])
    return ", ".join(texts)


def _distribution(one: Column) -> str:
    if one.bars_from:
        return f"{one.name}: rows from {one.bars_from} to {one.bars_to}"
    return f"{one.name}: rows of the most frequent values"


def _flag(flag: str, reason: str) -> str:
    look = "flag bad" if flag in BAD else "flag"
    why = f' title="{safe(reason)}"' if flag == "leak suspect" else ""
    return f'<span class="{look}"{why}>{flag}</span>'
