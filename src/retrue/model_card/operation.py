"""Sections about a model at work: what its decisions cost, how fast it is, how it learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.exploration_page.sections import scrolled
from retrue.html_page import facts as facts_list
from retrue.html_page import muted, not_measured
from retrue.html_page.charts import percent, safe
from retrue.model_card.charts import curves_chart, figure
from retrue.model_card.evidence import BROKEN, HELD

if TYPE_CHECKING:
    from retrue.config import Cost
    from retrue.model_card.facts import Facts


def processing(facts: Facts) -> str:
    """Speed and memory of the bundle as it would be served."""
    verdict = facts.lineage.verdict
    found = verdict.processing if verdict else None
    if found is None:
        return not_measured("Latency, throughput and memory of the bundle.")
    pairs = [
        ("Verdict", HELD if found.holds else BROKEN),
        ("Latency of one row", f"{figure(found.p50_ms)} ms median, {figure(found.p99_ms)} ms p99"),
        ("Throughput", f"{figure(found.rows_per_s)} rows/s"),
        ("Memory", f"{figure(found.memory_mb)} MB"),
        *((("Why", safe("; ".join(found.reasons))),) if found.reasons else ()),
    ]
    return facts_list(pairs)


def learning(facts: Facts) -> str:
    """Loss of the hold-out round by round."""
    curves = list(facts.curve.items())
    if not curves or not curves[0][1]:
        return not_measured("The learning curve.")
    name, curve = curves[0]
    best = min(range(len(curve)), key=curve.__getitem__)
    ended = "it was still falling at the end" if best + 1 == len(curve) else "it rose after that"
    words = name.removeprefix("holdout_").removesuffix("_by_round").replace("_", " ")
    return (
        f"<p>Lowest {safe(words)} of the hold-out: {curve[best]:.4f} after {best + 1} of"
        f" {len(curve)} rounds; {ended}.</p>"
        + scrolled(curves_chart([(words, curve)], f"Hold-out {words} by round"))
    )


def costs(facts: Facts) -> str:
    """What errors cost by the canvas, the threshold that follows, and the bill of the hold-out."""
    canvas, stored = facts.problem.canvas, facts.lineage.metrics
    pairs = [
        ("A false alarm", _cost(canvas.cost_false_positive)),
        ("A miss", _cost(canvas.cost_false_negative)),
    ]
    if facts.problem.label.task != "binary":
        return facts_list(pairs) + muted("Without two classes no threshold follows from them.")
    pairs.append(
        (
            "Decision threshold",
            f"act above {facts.threshold:.4g}: there a false alarm costs what a miss costs"
            " (Elkan 2001)",
        )
    )
    if "holdout_false_positives" not in stored:
        return facts_list(pairs) + not_measured("What these decisions cost on the hold-out.")
    n_rows = stored["n_holdout"]
    alarms, missed = stored["holdout_false_positives"], stored["holdout_false_negatives"]
    pairs.append(("On the hold-out", f"{alarms:,.0f} false alarms, {missed:,.0f} misses"))
    if "holdout_cost_total" in stored:
        unit = safe(canvas.cost_false_positive.unit)
        total, without = stored["holdout_cost_total"], stored["no_skill_cost_total"]
        saved = f", {percent(1 - total / without)} saved" if 0 < total < without else ""
        pairs += [
            ("Cost", f"{total:,.0f} {unit}, {1000 * total / n_rows:,.1f} per 1,000 rows"),
            (
                "Without a model",
                f"{without:,.0f} {unit}: acting always, or never, whichever is cheaper{saved}",
            ),
        ]
    else:
        pairs.append(("Cost", "the two errors have different units: they do not add up"))
    return facts_list(pairs)


def _cost(cost: Cost) -> str:
    return safe(f"{cost.amount:g} {cost.unit}: {cost.why}")
