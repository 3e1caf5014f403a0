"""The exploration page: one HTML file a data version that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path

from retrue.config import Problem
from retrue.exploration import Exploration, explore
from retrue.exploration_page import label_sections, sections
from retrue.exploration_page.columns_table import columns
from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.html_page import document
from retrue.html_page.charts import percent, safe
from retrue.lake import read_version
from retrue.refs import DataRef


def write_page(problem: Problem, ref: DataRef) -> Path:
    """Explore a data version and write its page; written again, it is the same but for its data.

    Returns
    -------
    Path
        `pages/exploration-vN.html` in the lake of the problem.

    Raises
    ------
    DataError
        There is no such version, or it cannot be read.
    ConfigError
        The label's expression does not fit the version's columns.
    """
    path = lake_dir(problem.name) / "pages" / f"exploration-v{ref.version}.html"
    write_atomically(path, page(problem, ref, explore(problem, read_version(ref))))
    return path


def page(problem: Problem, ref: DataRef, found: Exploration) -> str:
    """The whole page as text; nothing in it asks for anything outside of it."""
    parts = (
        ("overview", "Overview", _overview(problem, ref, found)),
        ("leaks", "Leak suspects", sections.leaks(found)),
        ("columns", "Columns", columns(found)),
        ("missing", "Missing values", sections.missing(found)),
        ("label", "The label over time", label_sections.over_time(found)),
        ("along", "The label along the columns", label_sections.along(found)),
        ("importance", "Importance before modelling", label_sections.importance(found)),
        ("associations", "Associations", label_sections.associations(found)),
        ("duplicates", "Duplicates and constants", sections.duplicates(found, problem.data.key)),
    )
    return document(
        f"{problem.name}: exploration of data version {ref.version}", parts, with_script=True
    )


def _overview(problem: Problem, ref: DataRef, found: Exploration) -> str:
    n_features = sum(one.role.startswith("feature") for one in found.columns)
    span = found.spans
    tiles = [
        (f"{found.n_rows:,}", "rows"),
        (f"{len(found.columns):,}", "columns"),
        (f"{n_features:,}", "of them features"),
        (percent(found.n_labelled / found.n_rows) if found.n_rows else "-", "rows with a label"),
        (f"{found.duplicates.n_full:,}", "duplicate rows"),
        (f"{len(found.suspects):,}", "leak suspects"),
    ]
    shown = "".join(f"<li><b>{value}</b><span>{what}</span></li>" for value, what in tiles)
    key = ", ".join(f"<code>{safe(name)}</code>" for name in problem.data.key)
    facts = [
        ("Question", safe(problem.canvas.question)),
        ("Label", f"<code>{safe(problem.label.expression)}</code> ({problem.label.task})"),
        ("Key", key or "none: a row is identified by all of its values"),
        ("Time", f"<code>{safe(problem.data.time)}</code>" if problem.data.time else "none"),
        ("Span", f"{span.first} to {span.last} (UTC)" if span else "-"),
        ("Data version", f"{ref.version}, known until {safe(ref.until)}"),
        ("SHA-256", f"<code>{safe(ref.sha256)}</code>"),
        ("Samples", _samples(found)),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    return (
        f"<h1>{safe(problem.name)}: data version {ref.version}</h1>"
        f'<ul class="tiles">{shown}</ul>{_worth_a_look(found)}<dl>{listed}</dl>'
    )


def _worth_a_look(found: Exploration) -> str:
    """What a reader should not scroll past, if there is anything."""
    features = {one.name: one for one in found.columns if one.role.startswith("feature")}
    said = [
        f"The feature <code>{safe(one.name)}</code> is a leak suspect: {safe(one.reason)}."
        for one in found.suspects
        if one.name in features
    ]
    for flag in ("all missing", "constant", "mostly missing", "infinite values"):
        names = [safe(name) for name, one in features.items() if flag in one.flags]
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            said.append(f"Features {flag}: <code>{', '.join(names[:10])}</code>{more}.")
    if found.duplicates.n_by_key:
        said.append(f"{found.duplicates.n_by_key:,} rows have the key of another row.")
    if not found.n_labelled:
        said.append("No row has a label.")
    if not said:
        return ""
    items = "".join(f"<li>{text}</li>" for text in said)
    return f'<div class="warn"><b>Worth a look</b><ul>{items}</ul></div>'


def _samples(found: Exploration) -> str:
    if found.n_sample == found.n_rows:
        return "none: every figure is of all rows"
    return (
        f"associations are of {found.n_sample:,} rows; mutual information, leak suspects and"
        f" importance of {found.n_labelled_sample:,} labelled rows (seed {found.seed});"
        " all else is of all rows"
    )
