"""Sections about what a model is for, what it was made of, and who let it pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.html_page import code, listed, muted, not_measured, table
from retrue.html_page import facts as facts_list
from retrue.html_page.charts import brief, percent, safe, short
from retrue.model_card.limits import known_limits, not_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.checkpoint import Checkpoint, FeatureState
    from retrue.model_card.facts import Facts
    from retrue.model_card.inputs import Input

_MAX_ROWS = 60


def canvas(facts: Facts) -> str:
    """The problem definition's canvas."""
    given = facts.problem.canvas
    pairs = [
        ("Question", given.question),
        ("Decision", given.decision),
        ("Decided by", given.decided_by),
        ("Success", given.success),
        ("Baseline", given.baseline),
        ("Label", given.label),
        ("Label known", given.label_known),
    ]
    remark = (
        ""
        if facts.is_as_was
        else muted("The definition of that time was not kept: this is the present one.")
    )
    label = facts.problem.label
    formula = ("Expression", f"{code(label.expression)} ({label.task})")
    return facts_list([*((name, safe(text)) for name, text in pairs), formula]) + remark


def data(facts: Facts) -> str:
    """The data version: what it holds, what it was made of, what was set aside."""
    found, folds = facts.lineage.data, facts.lineage.folds
    pairs = [
        (
            "Data version",
            f"{found.version}, {found.n_rows:,} rows known before {safe(found.until)}",
        ),
        *((fold.role.capitalize(), _fold(fold.span, fold.n_rows)) for fold in folds),
        ("Set aside", _set_aside(facts)),
        ("Sources", "; ".join(safe(text) for text in facts.problem.canvas.data_sources)),
        ("SHA-256", code(found.sha256)),
    ]
    rows = [
        [
            safe(name),
            f"{pin.n_rows:,}",
            str(pin.version),
            percent(found.match_rates[name]) if name in found.match_rates else "-",
            code(pin.sha256[:16]),
        ]
        for name, pin in found.tables.items()
    ]
    header = ("source table", "rows", "version", "rows with a partner", "SHA-256")
    return facts_list(pairs) + table(header, rows, numbers=(1, 2, 3)) + _balance(facts.checkpoint)


def preparation(facts: Facts) -> str:
    """What processing did to the training rows, and what the model has seen of each input."""
    if facts.checkpoint is None:
        return not_measured("What processing did to the training rows.")
    states = {one.name: one for one in facts.checkpoint.features}
    rows = [_input_row(one, states.get(one.name)) for one in facts.inputs[:_MAX_ROWS]]
    header = ("input", "kind", "seen", "missing", "missing after processing", "clipped")
    n_rest = len(facts.inputs) - len(rows)
    rest = muted(f"{n_rest:,} more inputs are in the bundle's signature.") if n_rest else ""
    said = (
        f"<p>Seen: smallest and largest value, or known categories, in a sample of"
        f" {facts.n_reference:,} rows. Missing and clipped: of all {facts.checkpoint.n_rows:,}"
        " training rows.</p>"
    )
    return said + table(header, rows, numbers=(3, 4, 5)) + rest


def limits(facts: Facts) -> str:
    """Where it has not been, and what it is not for."""
    return (
        f"<h3>Known limits</h3>{listed(known_limits(facts))}"
        f"<h3>Not to be used for</h3>{listed(not_for(facts))}"
    )


def lineage(facts: Facts) -> str:
    """Everything that is needed to make it again."""
    found, environment = facts.lineage, facts.lineage.environment
    kept = "" if found.definition.problem is None else " (problem.json in the run)"
    lock = f" ({found.lock.file} in the run)" if found.lock.file else " (its text was not kept)"
    pairs = [
        ("Bundle", code(found.bundle_sha256)),
        ("Definition", code(found.definition.sha256) + kept),
        ("Code commit", code(found.code_commit)),
        ("Lock", code(found.lock.sha256) + safe(lock)),
        ("MLflow run", code(found.run_id)),
        ("Flow run", code(found.flow_run) if found.flow_run else "-"),
        (
            "Recipe",
            "as configured"
            if found.search is None
            else f"of {found.search.n_trials} trials of search {code(found.search.run_id)}",
        ),
        ("Registered", safe(found.registered_at)),
        (
            "Environment",
            "not recorded"
            if environment is None
            else safe(
                f"{environment.python}, {environment.platform}, {environment.cpus} CPUs;"
                f" {', '.join(f'{k} {v}' for k, v in environment.main_packages.items())}"
            ),
        ),
    ]
    rows = [[safe(name), safe(value)] for name, value in found.parameters.items()]
    again = code(f"retrue lineage {found.problem} --version {found.version}")
    return (
        facts_list(pairs)
        + f"<details><summary>{len(rows)} parameters</summary>"
        + table(("parameter", "value"), rows)
        + f"</details><p>The same by {again}.</p>"
    )


def approval(facts: Facts) -> str:
    """What was decided, by the gate, by a person, and by a deployment."""
    found = facts.lineage
    verdict = found.verdict
    word = found.approval
    person = (
        "nobody decided on this version yet"
        if word is None
        else f"<b>{safe(word.status)}</b> by {safe(word.by)}, {safe(word.at[:19])} UTC:"
        f" {safe(word.reason)}"
    )
    pairs = [
        ("Gate", f"<b>{'promoted' if found.promoted else 'refused'}</b>: {safe(found.reason)}"),
        ("Doubts", safe("; ".join(verdict.doubts)) if verdict and verdict.doubts else "none"),
        ("Person", person),
    ]
    if not found.deployments:
        return facts_list([*pairs, ("Service", "never deployed")])
    rows = [
        [
            str(one.id),
            one.status,
            f'<span class="whole">{safe(one.started_at[:19].replace("T", " "))}</span>',
            safe(one.target or "-"),
            code((one.image_digest or "-")[:26]),
        ]
        for one in found.deployments
    ]
    header = ("deployment", "status", "started (UTC)", "target", "image")
    return facts_list(pairs) + table(header, rows)


def _fold(span: str, n_rows: int | None) -> str:
    return safe(span if n_rows is None else f"{span}, {n_rows:,} labelled rows")


def _set_aside(facts: Facts) -> str:
    found = facts.lineage.data
    if found.n_set_aside is None:
        return "not known: the version is no longer in this lake"
    if not found.n_set_aside:
        return "no row"
    rows = f"{found.n_set_aside:,} row{'s' * (found.n_set_aside != 1)} that broke a rule"
    return f"{rows}; {code(f'retrue data faults {facts.lineage.problem}')} shows them"


def _balance(found: Checkpoint | None) -> str:
    """Classes of the training part, the rarest first, or the spread of a regression's label."""
    if found is None:
        return not_measured("The balance of the classes.")
    if found.quartiles:
        heads = ("least", "first quartile", "median", "third quartile", "greatest")
        values = [brief(one) for one in found.quartiles]
        return "<h3>Label in training</h3>" + table(heads, [values], numbers=(1, 2, 3, 4))
    shown: Sequence[list[str]] = [
        [
            safe(one.label),
            f"{one.n_rows:,}",
            percent(one.share_before),
            percent(one.share_after),
        ]
        for one in sorted(found.classes, key=lambda one: one.n_rows)[:_MAX_ROWS]
    ]
    header = ("class", "rows", "share", "share after weighting")
    return "<h3>Classes in training</h3>" + table(header, shown, numbers=(1, 2, 3))


def _input_row(one: Input, state: FeatureState | None) -> list[str]:
    seen = "-"
    if one.low is not None and one.high is not None:
        seen = f"{one.low:.6g} to {one.high:.6g}"
    elif one.n_categories is not None:
        more = ", …" if one.n_categories > len(one.examples) else ""
        seen = f"{one.n_categories:,}: {short(', '.join(one.examples), 48)}{more}"
    before, after, clipped = (
        ("-", "-", "-")
        if state is None
        else map(percent, (state.missing_before, state.missing_after, state.clipped))
    )
    return [safe(one.name), one.kind, seen, before, after, clipped]
