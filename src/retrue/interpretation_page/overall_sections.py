"""Sections about the model as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrue.exploration_page.label_charts import legend
from retrue.exploration_page.sections import scrolled
from retrue.html_page.charts import brief, percent, safe
from retrue.interpretation_page.overall_charts import (
    beeswarm,
    colour_key,
    curve_chart,
    histogram,
    share_bar,
)
from retrue.interpretation_page.row_charts import tree_chart

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrue.interpretation.curves import Curve
    from retrue.interpretation.explain import FeatureEffect
    from retrue.interpretation.study import Study

N_FEATURES = 20
N_LISTED = 60
GREEN, BROWN = "#2f855a", "#975a16"


def writer(found: Study) -> Callable[[float], str]:
    """How a score is written: a probability in percent, a value in its unit."""
    return brief if found.model.task == "regression" else percent


def leans(found: Study) -> str:
    """SHAP of all rows, and the three other measures of importance beside it."""
    names = found.model.names
    effects = found.explanation.features
    order = [names.index(one.name) for one in effects[:N_FEATURES] if one.share] or [0]
    whose = ""
    if found.model.classes:
        whose = f" Drawn for the class <code>{safe(found.model.classes[found.output])}</code>."
    n_used = sum(one.share > 0 for one in effects)
    left_out = (
        f" The strongest {len(order)} of {n_used:,} are drawn." if n_used > len(order) else ""
    )
    drawn = beeswarm(
        found.model,
        found.matrix,
        found.contributions[:, found.output],
        order,
        f"Contributions of {len(order)} features",
    )
    used = [one for one in effects if found.splits[one.name]]
    rows = "".join(_effect(found, one) for one in used[:N_LISTED])
    rest = [
        f"{n:,} {what}."
        for n, what in (
            (len(used) - N_LISTED, "more features weigh less"),
            (len(effects) - len(used), "features are asked about by no tree"),
        )
        if n > 0
    ]
    listed = f'<p class="muted">{" ".join(rest)}</p>' if rest else ""
    judged = found.permutation
    return (
        "<p>Each dot is a held-out row: right of zero the feature raises the score, left of it it"
        f" lowers it, in {found.explanation.unit} (TreeSHAP, Lundberg et al. 2020).{whose}"
        f"{left_out}</p>{colour_key()}{scrolled(drawn)}"
        "<h3>Four measures of importance</h3>"
        f'<p class="muted">SHAP: share of the mean |contribution| over {len(found.contributions):,}'
        " held-out rows. Gain and splits: LightGBM's own, of the training rows. Shuffled: rise of"
        f" the {judged.metric.replace('_', ' ')} (it is {judged.loss:.4g}) of"
        f" {judged.n_rows:,} held-out rows when the feature is shuffled, mean ± standard deviation"
        f" of {judged.n_repeats} times (Breiman 2001; Fisher et al. 2019). Direction: share of ICE"
        " lines that rise less the share that fall.</p>"
        '<div class="scroll"><table><thead><tr><th>Feature</th><th>SHAP</th><th>Gain</th>'
        '<th>Splits</th><th class="n">Shuffled</th><th class="n">Direction</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{listed}"
    )


def _effect(found: Study, one: FeatureEffect) -> str:
    rise = found.permutation.rises.get(one.name)
    effects = found.explanation.features
    most_gain = max(other.gain_share for other in effects)
    most_splits = max(found.splits.values())
    shuffled = "-" if rise is None else f"{rise[0]:+.2g} ± {rise[1]:.1g}"
    way = "-" if one.direction is None else f"{one.direction:+.2f}"
    return (
        f'<tr><th scope="row">{safe(one.name)}</th><td class="bar">'
        f"{share_bar(one.share, effects[0].share)}</td>"
        f'<td class="bar">{share_bar(one.gain_share, most_gain, GREEN)}</td>'
        f'<td class="bar">{share_bar(found.splits[one.name], most_splits, BROWN)}</td>'
        f'<td class="n">{shuffled}</td><td class="n">{way}</td></tr>'
    )


def curves(found: Study) -> str:
    """ICE and partial dependence of the features that weigh most."""
    if not found.curves:
        return "<p>No feature has two values that could be tried.</p>"
    is_share = found.model.task != "regression"
    unit = "percentage points" if is_share else "the label's unit"
    cards = "".join(_card(one, found, is_share) for one in found.curves)
    of_classes = (
        f"{legend(found.model.classes)}<p class='muted'>Thin lines are of the class"
        f" <code>{safe(found.model.classes[found.output])}</code>, thick ones of every class.</p>"
        if found.model.classes
        else ""
    )
    n = found.curves[0].lines.shape[0]
    return (
        f"<p>One feature is set to each value of a grid, all else kept, for {n} held-out rows. A"
        " thin line is one row (ICE, Goldstein et al. 2015) as a difference from its own start, in"
        f" {unit}; the thick line is the mean of all (partial dependence, Friedman 2001). Thin"
        " lines that cross say that the feature works together with others. Ticks below: where 10,"
        " 25, 50, 75 and 90 % of the reference lie. A category is told as the difference from a"
        f" row's mean over all categories, with the range of 80 % of the rows.</p>{of_classes}"
        f'<div class="cards">{cards}</div>'
    )


def _card(one: Curve, found: Study, is_share: bool) -> str:
    name = one.values.name
    drawn = curve_chart(one, found.output, is_share, f"Score along {name}")
    gone = one.values.n_missing
    total = gone + int(one.values.counts.sum())
    note = f'<p class="muted">missing in {percent(gone / total)}</p>' if gone > 0.01 * total else ""
    return f'<div class="card"><h3>{safe(name)}</h3>{drawn}{note}</div>'


def imitation(found: Study) -> str:
    """The surrogate tree, how far it can be trusted, and its rules."""
    one = found.mimic
    write = writer(found)
    alike = ""
    if one.agreement is not None and one.majority is not None:
        alike = (
            f" and decides as the model does for <b>{percent(one.agreement)}</b> (always the most"
            f" frequent decision: {percent(one.majority)})"
        )
    trust = (
        "It tells most of what the model does."
        if one.r2 >= 0.8
        else "Read it as a sketch: much of what the model does is not in it."
    )
    text = (
        f" {one.n_left_out} text features are not asked about: their columns mean nothing to a"
        " reader."
        if one.n_left_out
        else ""
    )
    rules = sorted(one.root.rules(), key=lambda rule: -rule[1].scores[found.output])
    total = one.root.n_rows
    body = "".join(
        f'<tr><td class="rule">{"".join(f"<span>{safe(part)}</span>" for part in parts) or "all"}'
        f'</td><td class="n">{write(node.scores[found.output])}</td>'
        f"<td>{decided(found, node.decision)}</td>"
        f'<td class="n">{percent(node.n_rows / total)}</td></tr>'
        for parts, node in rules
    )
    drawn = tree_chart(one, found.output, write, f"Surrogate tree of {len(rules)} leaves")
    return (
        f"<p>A regression tree fitted to the scores of {one.n_fitted:,} reference rows. On"
        f" {one.n_tested:,} rows that it was not fitted on it explains <b>R² = {one.r2:.2f}</b> of"
        f" the scores{alike}. {trust}{text}</p>{scrolled(drawn)}"
        "<details open><summary>The same as rules</summary>"
        '<div class="scroll"><table><thead><tr><th>Where</th><th class="n">Mean score</th>'
        '<th>Decision</th><th class="n">Rows</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )


def decided(found: Study, decision: int) -> str:
    """A decision for people."""
    if found.model.task == "binary":
        return "act" if decision else "do not act"
    return safe(found.model.classes[decision]) if found.model.classes else "-"


def global_local(found: Study) -> str:
    """How far single rows are from the ranking of all, and which most."""
    one = found.gap
    first = ", ".join(f"<code>{safe(e.name)}</code>" for e in found.explanation.features[:3])
    rows = "".join(
        f'<tr><td class="n">{one.ndcg[row]:.3f}</td>'
        + "".join(f"<td><code>{safe(name)}</code> {size:+.3g}</td>" for name, size in parts)
        + "</tr>"
        for row, parts in zip(one.differ_most.tolist(), found.different, strict=False)
    )
    low, middle = np.quantile(one.ndcg, [0.1, 0.5])
    return (
        f"<p>For all rows together {first} come first. For how many rows is that true? The nDCG"
        " (Järvelin and Kekäläinen 2002) of a row is 1 when its own contributions rank the features"
        f" as the whole does. The median is <b>{middle:.2f}</b>, a tenth of the rows is below"
        f" {low:.2f}; for <b>{percent(one.outside)}</b> of the rows the strongest feature is none"
        f" of these three, and of a row's own first three {one.overlap:.1f} are among them on"
        " average.</p>"
        f"{scrolled(histogram(one.ndcg, 'Agreement of single rows with the whole', 'nDCG'))}"
        "<h3>Rows that differ most</h3>"
        '<div class="scroll"><table><thead><tr><th class="n">nDCG</th><th>Its strongest</th>'
        "<th>second</th><th>third</th><th>fourth</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def limits(found: Study) -> str:
    """What an explanation is not."""
    changed = "all features" if not found.rows else "the features that may change"
    return (
        "<ul><li>All of this explains the model, not the world: a feature can move the score"
        " without being a cause.</li>"
        "<li>Features that go together share their credit in SHAP, and each looks less needed when"
        " it is shuffled alone.</li>"
        "<li>Curves, what-if and counterfactuals change one value and keep the rest: they may show"
        " rows that cannot exist, such as noon at midnight's temperature.</li>"
        f"<li>A counterfactual changes {changed} to values that the reference has seen; name those"
        " that a person can change under <code>interpretation.may_change</code>.</li></ul>"
    )
