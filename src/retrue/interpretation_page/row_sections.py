"""Sections about single rows, and how two ways to SHAP agree on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from retrue.exploration_page.sections import scrolled
from retrue.html_page.charts import percent, safe
from retrue.interpretation.seen_values import shown
from retrue.interpretation_page.overall_sections import decided, writer
from retrue.interpretation_page.row_charts import reach_chart, scatter, waterfall

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.interpretation.row_study import RowStudy
    from retrue.interpretation.study import Study


def rows(problem: Problem, found: Study) -> str:
    """Each row: why its score, what if, and what would flip it."""
    allowed = ", ".join(f"<code>{safe(n)}</code>" for n in problem.interpretation.may_change)
    flips = (
        "A regression decides nothing, so there is nothing to flip."
        if found.model.task == "regression"
        else "Orange: that alone flips the decision. Below: the smallest change that flips it"
        f" (counterfactual, Wachter et al. 2018), among {allowed or 'all features'}."
    )
    return (
        "<p>Left: from the mean of all rows to this row's score, one feature after the other"
        f" (TreeSHAP, {found.explanation.unit}). Right: how far the score moves when one feature"
        f" takes other values that the reference has seen. {flips}</p>"
        + "".join(_row(one, found) for one in found.rows)
    )


def _row(one: RowStudy, found: Study) -> str:
    write = writer(found)
    model = found.model
    threshold = model.threshold if model.task == "binary" else None
    whose = f" for <code>{safe(model.classes[one.output])}</code>" if model.classes else ""
    badge = ""
    if model.task == "binary":
        look = "yes" if one.decision else "no"
        badge = f'<span class="decided {look}">{decided(found, one.decision)}</span>'
    elif model.classes:
        badge = f'<span class="decided">{decided(found, one.decision)}</span>'
    note = f"{safe(one.note)} " if one.note else ""
    line = f" The dashed line is the threshold, {percent(threshold)}." if threshold else ""
    values = "".join(
        f"<dt>{safe(name)}</dt><dd>{safe(shown(value))}</dd>" for name, value in one.raw.items()
    )
    return (
        f'<div class="row"><h3>{safe(one.title)}: {write(one.score)}{whose}{badge}</h3>'
        f'<p class="muted">{note}Its own ranking of features agrees with the global one to nDCG'
        f" {one.agreement:.2f}.{line}</p>"
        f'<div class="beside"><div><h4>Why this score</h4>'
        f"{scrolled(waterfall(one, model.names, found.explanation.unit))}</div>"
        f"<div><h4>What if one feature were another</h4>"
        f"{scrolled(reach_chart(one, threshold, write))}</div></div>"
        f"{_counterfactual(one, found)}"
        f"<details><summary>All {len(one.raw)} values of the row</summary><dl>{values}</dl>"
        "</details></div>"
    )


def _counterfactual(one: RowStudy, found: Study) -> str:
    if found.model.task == "regression":
        return ""
    heading, flip = "<h4>What would flip the decision</h4>", one.search.found
    if flip is None:
        return f"{heading}<p>{safe(one.search.said)}</p>"
    write = writer(found)
    body = "".join(
        f'<tr><th scope="row">{safe(change.name)}</th><td>{safe(shown(change.before))}</td>'
        f'<td class="after">{safe(shown(change.after))}</td>'
        f'<td class="n">{change.distance:.2f}</td></tr>'
        for change in flip.changes
    )
    after = flip.score[flip.decision if found.model.classes else 0]
    return (
        f"{heading}<p>{safe(one.search.said)} The score becomes <b>{write(after)}</b>, the decision"
        f" <b>{decided(found, flip.decision)}</b>.</p>"
        '<div class="scroll"><table><thead><tr><th>Column</th><th>is</th><th>would have to be</th>'
        '<th class="n" title="In units of the spread in the reference; 1 for another category">'
        f"Distance</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def agreement(found: Study) -> str:
    """Kernel SHAP, which knows nothing of trees, against TreeSHAP."""
    one = found.kernel
    tree = [value for row in found.rows for value in row.tree_shap.tolist()]
    kernel = [value for row in found.rows for value in row.kernel_shap.tolist()]
    close = "-" if math.isnan(one.correlation) else f"{one.correlation:.3f}"
    drawn = scatter(tree, kernel, "Kernel SHAP against TreeSHAP")
    return (
        "<p>TreeSHAP reads the trees; Kernel SHAP (Lundberg and Lee 2017) only asks the model, with"
        f" unknown features taken from {one.n_background} reference rows. On the {len(found.rows)}"
        f" rows above they correlate at <b>{close}</b>, rank the features alike to nDCG"
        f" <b>{one.ndcg:.3f}</b>, and name the same strongest feature for"
        f" {percent(one.same_first)} of the rows. They do not have to match: where features go"
        " together TreeSHAP follows the trees' own branches, Kernel SHAP breaks them apart."
        f" TreeSHAP's sums are off the margin by at most {found.sum_error:.1e}, Kernel SHAP's by"
        f" {one.sum_error:.1e}.</p>{scrolled(drawn)}"
    )
