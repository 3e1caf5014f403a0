"""A page to ask the model by hand; self-contained, made from the model's signature."""

import hashlib
from base64 import b64encode
from html import escape
from importlib.resources import files

import msgspec

from retrue.serving.bundle import Bundle, Signature
from retrue.serving.features import Feature, Scalar, category_text
from retrue.serving.openapi import example_row

# Above it a list is no help: the field becomes one to type in, which offers the categories.
_LIST_LENGTH = 100


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _source(text: str) -> str:
    """A hash by which the browser takes this text and no other."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE, _SCRIPT = _asset("try_page.css"), _asset("try_page.js")
SECURITY_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def try_page(bundle: Bundle, model_version: int) -> bytes:
    """HTML of the page, prefilled from a golden row; it asks `explain` beside itself."""
    signature, row = bundle.signature, example_row(bundle)
    fields = "".join(
        _field(number, feature, row[feature["name"]])
        for number, feature in enumerate(signature.features)
    )
    model = {
        "task": signature.task,
        "classes": signature.classes,
        "rule": _rule(signature),
    }
    # Inside a script element `<` alone could end it.
    data = msgspec.json.encode(model).decode().replace("<", "\\u003c")
    title = escape(f"{signature.problem}: {signature.label}")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="quiet">Model version {model_version}, bundle {bundle.sha256[:12]}. Also here:
<a href="openapi.json">openapi.json</a>, <a href="metrics">metrics</a>,
<a href="health">health</a>.</p>
</header>
<main class="columns">
<section aria-labelledby="ask">
<h2 id="ask">Ask the model</h2>
<p class="quiet">Filled in from a golden row. Leave a field empty where the value is not known.</p>
<form>
<div class="fields">{fields}</div>
<div class="send"><button>Ask</button>
<label><input type="checkbox" id="write-log"> Write it to the prediction log</label></div>
<p class="quiet">Off by default: what you try here is no traffic, and a drift check should not
see it.</p>
</form>
</section>
<section aria-labelledby="answer">
<h2 id="answer">Answer</h2>
<div id="result" aria-live="polite"><p class="quiet">Nothing asked yet.</p></div>
</section>
</main>
<script type="application/json" id="model">{data}</script>
<script>{_SCRIPT}</script>
</body>
</html>
""".encode()


def _rule(signature: Signature) -> str:
    if signature.task == "binary":
        return f"yes above {signature.threshold:.4g}"
    return "the likeliest class" if signature.task == "multiclass" else "none"


def _field(number: int, feature: Feature, value: Scalar) -> str:
    kind, name = feature["kind"], escape(feature["name"])
    hints = {
        "numeric": "number",
        "categorical": "category",
        "date": "ISO 8601 time",
        "text": "text",
    }
    text = "" if value is None else category_text(value)
    attributes = f'id="f{number}" name="{name}" data-kind="{kind}"'
    categories = feature.get("categories", [])
    if kind == "categorical" and len(categories) <= _LIST_LENGTH:
        others = [text] if text and text not in categories else []
        options = "".join(
            f'<option value="{escape(one)}"{" selected" if one == text else ""}>'
            f"{escape(one) or 'not known'}</option>"
            for one in ("", *(one for one in categories if one), *others)
        )
        control = f"<select {attributes}>{options}</select>"
    else:
        number_only = ' type="number" step="any"' if kind == "numeric" else ""
        value_text = "" if value is None else escape(str(value) if kind == "numeric" else text)
        control = f'<input {attributes}{number_only} value="{value_text}" autocomplete="off"'
        if kind == "categorical":
            options = "".join(f'<option value="{escape(one)}">' for one in categories)
            control += f' list="l{number}"><datalist id="l{number}">{options}</datalist>'
        else:
            control += ">"
    return f'<div><label for="f{number}">{name} <small>{hints[kind]}</small></label>{control}</div>'
