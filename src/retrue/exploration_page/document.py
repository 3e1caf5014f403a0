"""The frame of a page: contents at the left, sections, one style and one script; all in it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from retrue.exploration_page.charts import safe


def document(title: str, parts: Sequence[tuple[str, str, str]], more_style: str = "") -> str:
    """A whole HTML page that asks for nothing outside of it.

    Parameters
    ----------
    title : str
        Plain text.
    parts : sequence of (id, heading, HTML)
        Sections; the first one, the overview, has its heading in its HTML.
    more_style : str
        CSS of this kind of page alone.
    """
    style, script = _asset("page.css") + more_style, _asset("page.js")
    # Only this very script may run: a value from the data that slipped through could not.
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    contents = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading, _ in parts)
    body = "".join(
        f'<section id="{name}">{f"<h2>{heading}</h2>" if i else ""}{text}</section>'
        for i, (name, heading, text) in enumerate(parts)
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{safe(title)}</title><link rel="icon" href="data:,"><style>{style}</style></head>
<body><div class="layout"><nav aria-label="Contents"><ul>{contents}</ul></nav>
<main>{body}</main></div><script>{script}</script></body></html>
"""


def _asset(name: str) -> str:
    return files("retrue.exploration_page").joinpath(name).read_text(encoding="utf-8")
