"""The frame of a page, and what pages are made of: one HTML file that loads nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from retrue.html_page.charts import safe

Part = tuple[str, str, str]
"""Anchor, heading (none over the first part), and content; texts are escaped by who wrote them."""


def document(
    title: str, parts: Sequence[Part], *, style: str = "", with_script: bool = False
) -> str:
    """Sections with their contents beside them, above them on a narrow screen.

    Parameters
    ----------
    title : str
        Plain text.
    parts : sequence of Part
        The first is the head of the page and brings its own heading.
    style : str
        CSS of this kind of page alone.
    with_script : bool
        Let `page.js` sort the table of columns and follow the reader in the contents.
    """
    script = _asset("page.js") if with_script else ""
    # Only this very script may run: a value from the data that slipped through could not.
    allowed = f"script-src 'sha256-{_digest(script)}'" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {allowed}"
    contents = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading, _ in parts)
    body = "".join(
        f'<section id="{name}">{f"<h2>{heading}</h2>" if i else ""}{text}</section>'
        for i, (name, heading, text) in enumerate(parts)
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{safe(title)}</title><link rel="icon" href="data:,">
<style>{_asset("page.css")}{style}</style></head>
<body><div class="layout"><nav aria-label="Contents"><ul>{contents}</ul></nav>
<main>{body}</main></div>{f"<script>{script}</script>" if script else ""}</body></html>
"""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of escaped cells that a narrow screen scrolls; `numbers` are columns of figures."""
    kinds = [' class="n"' if i in numbers else "" for i in range(len(header))]
    head = "".join(f"<th{kind}>{name}</th>" for name, kind in zip(header, kinds, strict=True))
    body = "".join(
        "<tr>"
        + f'<th scope="row">{row[0]}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A list of names (plain) and what they are (escaped)."""
    return (
        "<dl>" + "".join(f"<dt>{safe(name)}</dt><dd>{text}</dd>" for name, text in pairs) + "</dl>"
    )


def tiles(pairs: Sequence[tuple[str, str]]) -> str:
    """Headline figures (escaped) with what they are."""
    shown = "".join(f"<li><b>{value}</b><span>{what}</span></li>" for value, what in pairs)
    return f'<ul class="tiles">{shown}</ul>'


def listed(texts: Sequence[str]) -> str:
    """Plain texts as a list."""
    return "<ul>" + "".join(f"<li>{safe(text)}</li>" for text in texts) + "</ul>"


def muted(text: str) -> str:
    """A remark (escaped)."""
    return f'<p class="muted">{text}</p>'


def not_measured(what: str) -> str:
    """The place of a part that is not there: a reader must not take silence for a pass."""
    return f'<p class="absent"><b>Not measured.</b> {safe(what)}</p>'


def code(text: object) -> str:
    """A hash, a name or a command."""
    return f"<code>{safe(text)}</code>"


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
