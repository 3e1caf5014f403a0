"""The label against time and columns, and the columns against each other."""

from __future__ import annotations

from retrue.exploration import Along, Exploration
from retrue.exploration.associations import MAX_COLUMNS, Pair
from retrue.exploration_page.label_charts import along_chart, course_chart, legend, matrix_chart
from retrue.exploration_page.sections import MAX_ROWS, feature_names, not_drawn, scrolled
from retrue.html_page.charts import bar_chart, brief, percent, safe


def over_time(found: Exploration) -> str:
    """The label as a whole and over time."""
    if not found.n_labelled:
        return "<p>No row has a label yet.</p>"
    parts = [f"<p>{_balance(found)}</p>"]
    if found.task == "multiclass":
        parts.append(legend(found.classes))
    if found.spans is None:
        parts.append('<p class="muted">There is no time column, so no course over time.</p>')
    if found.task == "multiclass" and found.spans is None:
        parts.append(scrolled(along_chart([found.overall], found.overall, found.classes, found.task,
                                         "Shares of the classes")))  # fmt: skip
    if found.spans is not None and any(cell.n for cell in found.over_time):
        what = f"{_meaning(found)} by {found.spans.unit}"
        tail = (
            "Bars below: labelled rows."
            if found.task == "multiclass"
            else "Lines: 95 % interval of each point. Dashed: all rows. Bars below: labelled rows."
        )
        parts.append(f'<h3>{what}</h3><p class="muted">{tail}</p>')
        parts.append(
            scrolled(course_chart(found.over_time, found.overall, found.classes, found.task, what))
        )
    return "".join(parts)


def along(found: Exploration) -> str:
    """The label along the most informative columns."""
    if not found.along:
        return "<p>Too few labelled rows, or one label only: nothing to compare.</p>"
    is_shares = found.task == "multiclass"
    lines = "" if is_shares else ", the line a 95 % interval, the dashed line the mean of all rows"
    parts = [
        f"<p>{_meaning(found)} in bins of about equal size (most frequent values, for categories),"
        f" of all {found.n_labelled:,} labelled rows. The bar is the number of rows{lines}."
        " Columns by falling mutual information.</p>"
    ]
    if is_shares:
        parts.append(legend(found.classes))
    for is_feature, heading in (True, "Features"), (False, "Not features"):
        cards = [_card(one, found) for one in found.along if one.is_feature == is_feature]
        if cards:
            parts.append(f'<h3>{heading}</h3><div class="cards">{"".join(cards)}</div>')
    return "".join(parts)


def importance(found: Exploration) -> str:
    """What columns say of the label: each alone, and in a quick model."""
    return f'<div class="pair"><div>{_alone(found)}</div><div>{_in_a_model(found)}</div></div>'


def associations(found: Exploration) -> str:
    """Which columns go together."""
    pairs = found.associations
    if len(pairs.names) < 2:
        return "<p>Fewer than two columns can be compared.</p>"
    what = f"Associations of {len(pairs.names)} columns"
    return (
        f'<p class="muted">{found.n_sample:,} of {found.n_rows:,} rows, seed {found.seed}.'
        " Numbers and times: Spearman's rank correlation (<span class='red'>red rises</span>,"
        " <span class='blue'>blue falls</span>). <span class='violet'>Violet</span>, without a"
        " sign: Cramér's V of two categories (Bergsma 2013), correlation ratio of a number and a"
        " category (Kelley 1935). Neighbours are alike (average linkage)."
        f" {_drawn(len(pairs.names), pairs.n_compared)} Prose, constants, categories with nearly"
        f" all values distinct, and columns after the first {MAX_COLUMNS} are not compared.</p>"
        f"{scrolled(matrix_chart(pairs, what))}<h3>Strongest pairs</h3>"
        '<div class="scroll"><table><thead><tr><th>Column</th><th>Column</th><th>Measure</th>'
        f'<th class="n">Strength</th></tr></thead><tbody>{"".join(map(_pair, pairs.pairs))}'
        "</tbody></table></div>"
    )


def _alone(found: Exploration) -> str:
    features = feature_names(found)
    label = {one.name for one in found.columns if one.role == "label"}
    rows = [
        (one.name, one.share, 0.0, one.name in features)
        for one in found.informative
        if one.name not in label
    ]
    heading = "<h3>Each column alone: mutual information</h3>"
    if not rows:
        return f"{heading}<p>Too few labelled rows, or one label only.</p>"
    tenths = " (its tenths)" if found.task == "regression" else ""
    return (
        f'{heading}<p class="muted">Share of the label\'s uncertainty{tenths} that is explained,'
        f" bias-corrected (Miller 1955); {found.n_labelled_sample:,} labelled rows, up to 50 bins"
        f" a column. Grey: not a feature.{not_drawn(len(rows), 'the table of columns has them')}"
        f"</p>{scrolled(bar_chart(rows[:MAX_ROWS], 'Mutual information', 'percent'))}"
    )


def _in_a_model(found: Exploration) -> str:
    heading = "<h3>In a quick model: permutation importance</h3>"
    quick = found.importance
    if isinstance(quick, str):
        return f"{heading}<p>{quick}</p>"
    held = "the newest quarter by time" if quick.by_time else "a quarter by chance"
    gain = (1 - quick.loss / quick.no_skill) if quick.no_skill else 0.0
    more = (
        f" {quick.n_left_out:,} features that say less alone, or never change, are not in it."
        if quick.n_left_out
        else ""
    )
    what = f"Rise of the {quick.metric} when a feature is shuffled"
    rows = [(name, rise, spread, True) for name, rise, spread in quick.rises]
    return (
        f'{heading}<p class="muted">Boosted trees on {quick.n_train:,} sampled rows, judged on'
        f" {quick.n_holdout:,} held out ({held}). {quick.metric.capitalize()}:"
        f" {brief(quick.loss)}, without any model {brief(quick.no_skill)} ({gain:+.1%} better)."
        " The bar is the rise of that loss when the feature is shuffled (Breiman 2001), the line"
        " one standard deviation over 3 shuffles. About 0: not needed, or another feature says"
        f" the same.{more}</p>{scrolled(bar_chart(rows, what))}"
    )


def _card(one: Along, found: Exploration) -> str:
    what = f"{_meaning(found)} along {one.name}"
    drawn = along_chart(one.cells, found.overall, found.classes, found.task, what)
    return f'<div class="card"><h3>{safe(one.name)}</h3>{drawn}</div>'


def _pair(pair: Pair) -> str:
    strength = f"{pair.strength:+.3f}" if pair.measure == "Spearman" else f"{pair.strength:.3f}"
    return (
        f"<tr><td>{safe(pair.a)}</td><td>{safe(pair.b)}</td><td>{pair.measure}</td>"
        f'<td class="n">{strength}</td></tr>'
    )


def _drawn(n_shown: int, n_compared: int) -> str:
    if n_shown == n_compared:
        return f"All {n_shown} columns that can be compared, the label among them, are drawn."
    return f"Drawn are the {n_shown} with the strongest associations of {n_compared:,} compared."


def _balance(found: Exploration) -> str:
    rows = f"{found.n_labelled:,} of {found.n_rows:,} rows have a label"
    if found.task == "binary":
        return f"{rows}; {percent(found.overall.mean)} of them are positive."
    if found.task == "regression":
        return f"{rows}; their mean is {brief(found.overall.mean)}."
    shares = ", ".join(
        f"{safe(name)} {percent(share)}"
        for name, share in zip(found.classes, found.overall.shares, strict=True)
    )
    return f"{rows}; {found.n_classes:,} classes: {shares}."


def _meaning(found: Exploration) -> str:
    return {
        "binary": "Share of positive labels",
        "multiclass": "Shares of the classes",
        "regression": "Mean of the label",
    }[found.task]
