"""Sections of the exploration page: what each figure says, and of how many rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from retrue.exploration import Exploration
from retrue.exploration.columns import Column
from retrue.html_page.charts import bar_chart, heat_map, safe

MAX_ROWS = 40
"""Rows of a picture; the table of columns holds them all."""


def missing(found: Exploration) -> str:
    """Missing values by column, by time, and together."""
    shares = found.missing.shares
    if not shares:
        return "<p>No value is missing.</p>"
    features = feature_names(found)
    shown = list(shares)[:MAX_ROWS]
    parts = [
        f"<p>{len(shares):,} of {len(found.columns):,} columns have missing values; all rows count."
        f"{not_drawn(len(shares), 'the table of columns has them')}</p>",
        scrolled(
            bar_chart(
                [(name, shares[name], 0.0, name in features) for name in shown],
                "Share of missing values by column",
                "percent",
            )
        ),
    ]
    if found.spans is not None and found.missing.by_span:
        rows = _varying(found.missing.by_span, shown)
        what = f"Share missing by column and {found.spans.unit}"
        parts.append(f"<h3>{what}</h3>")
        parts.append(
            '<p class="muted">The darker, the more is missing: point at a cell. White: no rows.'
            f"{_most_varying(len(shares))}</p>"
        )
        parts.append(scrolled(heat_map(rows, found.spans.labels, what)))
    else:
        parts.append('<p class="muted">There is no time column, so no course over time.</p>')
    if found.missing.together:
        groups = "".join(
            f"<li>{', '.join(f'<code>{safe(name)}</code>' for name in names[:30])}"
            f"{f' and {len(names) - 30:,} more' if len(names) > 30 else ''}</li>"
            for names in found.missing.together[:20]
        )
        parts.append(f"<h3>Missing in exactly the same rows</h3><ul>{groups}</ul>")
    return "".join(parts)


def duplicates(found: Exploration, key: Sequence[str]) -> str:
    """Rows that are there twice, and columns that never change."""
    twice = found.duplicates
    parts = [
        f"<p>Surplus rows that equal another in every column: <b>{twice.n_full:,}</b>"
        f" of {found.n_rows:,} (all rows count).</p>"
    ]
    if twice.n_by_key is None:
        parts.append("<p>The problem names no key.</p>")
    else:
        names = ", ".join(f"<code>{safe(name)}</code>" for name in key)
        parts.append(
            f"<p>Surplus rows with the key {names} of another: <b>{twice.n_by_key:,}</b>.</p>"
        )
    if found.example_keys:
        body = "".join(
            "<tr>" + "".join(f"<td>{safe(text[:80])}</td>" for text in texts)
            + f"<td>{', '.join(f'{row:,}' for row in rows)}</td></tr>"
            for texts, rows in zip(found.example_keys, twice.examples, strict=False)
        )  # fmt: skip
        head = "".join(f"<th>{safe(name)}</th>" for name in key)
        parts.append(
            f'<div class="scroll"><table><thead><tr>{head}<th>Rows (from 0)</th></tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )
    still = [one for one in found.columns if {"constant", "all missing"} & set(one.flags)]
    parts.append("<h3>Constant columns</h3>")
    parts.append(
        "<ul>"
        + "".join(
            f"<li><code>{safe(one.name)}</code>: {safe(_only(one))}</li>" for one in still[:100]
        )
        + "</ul>"
        if still
        else "<p>None.</p>"
    )
    return "".join(parts)


def leaks(found: Exploration) -> str:
    """Columns that may be known only after the label."""
    if not found.suspects:
        return (
            "<p>None: no column predicts the label alone, none is missing exactly where it is.</p>"
        )
    features = feature_names(found)
    warning = '<span class="flag bad">is a feature</span>'
    rows = "".join(
        f'<tr><th scope="row">{safe(one.name)}</th>'
        f"<td>{warning if one.name in features else 'not used'}</td>"
        f"<td>{safe(one.reason)}</td></tr>"
        for one in found.suspects
    )
    return f"""
<p>Would this value be known when the prediction is asked for? If not, it must not be a feature.
A few columns are just good: a person decides.</p>
<div class="scroll"><table><thead><tr><th>Column</th><th>Used</th><th>Why</th></tr></thead>
<tbody>{rows}</tbody></table></div>"""


def _only(one: Column) -> str:
    if "all missing" in one.flags:
        return "no value at all"
    value = one.low or (one.top[0][0] if one.top else "")
    return f"always {value}" + (" or missing" if one.n_missing else "")


def _varying(
    by_span: dict[str, tuple[float, ...]], shown: list[str]
) -> list[tuple[str, tuple[float, ...]]]:
    """As in the bars; of more columns than are shown, those that change most over time."""
    if len(by_span) <= MAX_ROWS:
        return [(name, by_span[name]) for name in shown]
    known = {name: [x for x in shares if not isnan(x)] for name, shares in by_span.items()}
    ranges = {name: max(shares) - min(shares) for name, shares in known.items() if shares}
    return [(name, by_span[name]) for name in sorted(ranges, key=lambda n: -ranges[n])[:MAX_ROWS]]


def _most_varying(n: int) -> str:
    return f" Drawn are the {MAX_ROWS} columns that vary most." if n > MAX_ROWS else ""


def feature_names(found: Exploration) -> set[str]:
    """Columns that the problem uses as features."""
    return {one.name for one in found.columns if one.role.startswith("feature")}


def not_drawn(n: int, where: str) -> str:
    """A sentence about rows that a picture leaves out, if it does."""
    if n <= MAX_ROWS:
        return ""
    return f" The first {MAX_ROWS} are drawn; {n - MAX_ROWS:,} more are not: {where}."


def scrolled(picture: str) -> str:
    """A picture that a narrow screen scrolls sideways."""
    return f'<div class="scroll">{picture}</div>'
