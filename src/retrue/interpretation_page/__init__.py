"""The explanation page: one HTML file a model version that needs nothing but itself."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.html_page import document
from retrue.html_page.charts import percent, safe
from retrue.interpretation_page import overall_sections, row_sections

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.config import Problem
    from retrue.interpretation.study import Study
    from retrue.refs import ModelRef


def page_path(ref: ModelRef, asked: str = "") -> Path:
    """Where the page of a model version is, and where that about one row of it."""
    name = f"explanation-model-v{ref.version}{f'-{asked}' if asked else ''}.html"
    return lake_dir(ref.problem) / "pages" / name


def write_page(problem: Problem, found: Study, asked: str = "") -> Path:
    """Write the page of a study; `asked` names the row that was asked about."""
    path = page_path(found.ref, asked)
    write_atomically(path, page(problem, found))
    return path


def page(problem: Problem, found: Study) -> str:
    """The whole page as text; nothing in it asks for anything outside of it."""
    parts = (
        ("overview", "Overview", _overview(problem, found)),
        ("leans", "What the model leans on", overall_sections.leans(found)),
        ("curves", "How the score moves", overall_sections.curves(found)),
        ("mimic", "A small tree that imitates it", overall_sections.imitation(found)),
        ("gap", "Global against local", overall_sections.global_local(found)),
        ("rows", "Single rows", row_sections.rows(problem, found)),
        ("methods", "Two ways to SHAP", row_sections.agreement(found)),
        ("limits", "How to read this", overall_sections.limits(found)),
    )
    style = files("retrue.interpretation_page").joinpath("page.css").read_text(encoding="utf-8")
    return document(
        f"{problem.name}: model version {found.ref.version} explained",
        parts,
        style=style,
        with_script=True,
    )


def _overview(problem: Problem, found: Study) -> str:
    first = found.explanation.features[0] if found.explanation.features else None
    mimic = found.mimic
    tiles = [
        (safe(first.name) if first else "-", "leads, with " + percent(first.share if first else 0)),
        (f"{len(found.contributions):,}", "held-out rows explained"),
        (f"{found.sum_error:.0e}", "largest error of SHAP sums"),
        (f"{mimic.r2:.2f}", "R² of a 12-leaf tree that imitates it"),
        (f"{float(np.median(found.gap.ndcg)):.2f}", "agreement of a row with the whole (nDCG)"),
        (
            "-" if np.isnan(found.kernel.correlation) else f"{found.kernel.correlation:.2f}",
            "correlation of Kernel and TreeSHAP",
        ),
    ]
    shown = "".join(f"<li><b>{value}</b><span>{what}</span></li>" for value, what in tiles)
    model = found.model
    facts = [
        ("Question", safe(problem.canvas.question)),
        ("Label", f"<code>{safe(problem.label.expression)}</code> ({model.task})"),
        ("Decision", _rule(found)),
        ("Model", f"version {found.ref.version}, bundle <code>{found.ref.bundle.sha256}</code>"),
        ("Explained in", f"{found.explanation.unit} of the {_scored(found)}"),
        ("Against the champion", _against(found)),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    return (
        f"<h1>{safe(problem.name)}: model version {found.ref.version} explained</h1>"
        f'<ul class="tiles">{shown}</ul>{_worth_a_look(found)}<dl>{listed}</dl>'
    )


def _worth_a_look(found: Study) -> str:
    """What a reader should not scroll past, if there is anything."""
    doubts = found.change.doubts if found.change else ()
    said = [safe(doubt[:1].upper() + doubt[1:]) for doubt in doubts]
    for one in found.explanation.features[:5]:
        rise, spread = found.permutation.rises.get(one.name, (0.0, 0.0))
        if one.mean_abs_shap and rise + spread < 0:
            said.append(
                f"<code>{safe(one.name)}</code> moves the scores much, but held-out rows are judged"
                f" no worse without it: the {found.permutation.metric.replace('_', ' ')} falls by"
                f" {-rise:.2g} when it is shuffled. What it taught may not hold any more."
            )
    if not said:
        return ""
    items = "".join(f"<li>{text}</li>" for text in said)
    return f'<div class="warn"><b>Worth a look</b><ul>{items}</ul></div>'


def _rule(found: Study) -> str:
    if found.model.task == "binary":
        return f"act above a probability of {found.model.threshold:g}"
    return "the likeliest class" if found.model.classes else "none: the value itself is the answer"


def _scored(found: Study) -> str:
    if found.model.classes:
        return f"class <code>{safe(found.model.classes[found.output])}</code>, the most frequent"
    return "positive label" if found.model.task == "binary" else "prediction"


def _against(found: Study) -> str:
    if found.change is None:
        return "there is no other version to compare with"
    flipped = ", ".join(f"<code>{safe(name)}</code>" for name in found.change.flipped)
    return (
        f"version {found.champion}: the rankings agree to nDCG {found.change.ndcg:.3f};"
        f" directions that flipped: {flipped or 'none'}"
    )
