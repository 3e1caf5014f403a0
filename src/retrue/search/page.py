"""The search's page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrue.files import write_atomically
from retrue.home import lake_dir
from retrue.html_page import document
from retrue.html_page import facts as facts_list
from retrue.html_page import tiles as tiles_list
from retrue.html_page.charts import bar_chart, brief, safe
from retrue.pages import table
from retrue.search.course_chart import course_chart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from retrue.search.found import Found
    from retrue.search.recipe import Recipe
    from retrue.search.trials import TrialRecord


def write_page(found: Found) -> Path:
    """Write the page of a search to `pages/search-KEY.html` in the lake of its problem."""
    path = lake_dir(found.problem) / "pages" / f"search-{found.key[:16]}.html"
    write_atomically(path, page(found))
    return path


def markdown(found: Found, page_path: Path) -> str:
    """The search in short, for the run's page in Prefect."""
    rows = [
        (name, *(f"{loss:.4f}" for loss in losses), f"{sum(losses) / len(losses):.4f}")
        for name, losses, _ in _compared(found)
    ]
    return "\n\n".join(
        [
            f"# Search: {found.reason}",
            f"{len(found.trials)} trials in {found.seconds:.0f} s of work. {_told(found.recipe)}",
            table(("loss on", *found.fold_names, "mean"), rows),
            f"History, folds and what mattered: `{page_path}`",
        ]
    )


def page(found: Found) -> str:
    """The whole page as text."""
    parts = (
        ("overview", "Overview", _overview(found)),
        ("history", "History", _history(found)),
        ("folds", "Folds and rivals", _folds(found)),
        ("mattered", "What mattered", _mattered(found)),
        ("trials", "All trials", _trials(found)),
    )
    return document(_title(found), parts)


def _title(found: Found) -> str:
    return f"{found.problem}: search on data version {found.data_version}"


def _overview(found: Found) -> str:
    states = [one.state for one in found.trials]
    tiles = [
        (str(len(found.trials)), "trials"),
        (str(states.count("complete")), "of them complete"),
        (str(states.count("pruned")), "pruned"),
        (f"{found.seconds:.0f} s", "of work"),
        (_algorithm(found.recipe), "algorithm taken"),
        (f"{found.recipe.n_leaves:,}", "leaves"),
    ]
    facts = [
        ("Taken", safe(found.reason)),
        ("Recipe", safe(_told(found.recipe))),
        ("Metric", f"<code>{safe(found.metric)}</code>, mean over {found.n_folds} folds"),
        ("Data SHA-256", f"<code>{safe(found.data_sha256)}</code>"),
        ("Study", f"<code>{safe(found.key)}</code>"),
    ]
    shown = [(safe(value), what) for value, what in tiles]
    return f"<h1>{safe(_title(found))}</h1>{tiles_list(shown)}{facts_list(facts)}"


def _history(found: Found) -> str:
    if not found.trials:
        return "<p>No trial was closed within the budget.</p>"
    taken = None if found.choice is None else found.choice.number
    return (
        '<p class="muted">Each dot is a trial; the line is the best value so far. A cross was'
        " pruned: it stands at the mean of the folds it reached. The ring is the trial taken.</p>"
        f'<div class="scroll">{course_chart(found.trials, found.metric, taken)}</div>'
    )


def _folds(found: Found) -> str:
    heads = "".join(f'<th class="n">{safe(name)}</th>' for name in found.fold_names)
    rows = ""
    for name, losses, aucs in _compared(found):
        said = [
            f"{loss:.4f}" + ("" if auc is None else f" <small>AUC {auc:.3f}</small>")
            for loss, auc in zip(losses, aucs, strict=True)
        ]
        cells = "".join(f'<td class="n">{text}</td>' for text in said)
        mean = sum(losses) / len(losses)
        rows += f'<tr><th>{safe(name)}</th><td class="n"><b>{mean:.4f}</b></td>{cells}</tr>'
    return (
        '<p class="muted">Loss on each fold; lower is better. Each fold is scored by a model of the'
        " rows before it alone. The gate's hold-out is in none of them. A linear model and no"
        " skill are shown to compare with; they are not deployed.</p>"
        '<div class="scroll"><table><thead>'
        f'<tr><th></th><th class="n">mean</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _mattered(found: Found) -> str:
    if not found.importance:
        return "<p>Too few complete trials to say.</p>"
    bars = [(name, share, 0.0, True) for name, share in found.importance.items()]
    return (
        '<p class="muted">Share of each choice in telling the better half of the trials from the'
        " rest (PED-ANOVA, Watanabe et al. 2023). It tells of the trials that were made, not of"
        " choices that were never tried together.</p>" + bar_chart(bars, "What mattered", "percent")
    )


def _trials(found: Found) -> str:
    heads = ("trial", "state", "from", "algorithm", "value", "folds", "leaves", "s", "recipe")
    head = "".join(f"<th>{name}</th>" for name in heads)
    rows = ""
    for one in found.trials:
        cells = (
            str(one.number),
            one.state,
            one.origin,
            one.recipe.algorithm,
            "-" if one.value is None else f"{one.value:.4f}",
            " ".join(f"{fold.loss:.4f}" for fold in one.folds),
            f"{one.recipe.n_leaves:,}" if one.folds else "-",
            f"{one.seconds:.1f}",
            _told(one.recipe),
        )
        rows += "<tr>" + "".join(f"<td>{safe(text)}</td>" for text in cells) + "</tr>"
    table_of = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="tall">{table_of}</div>'


def _compared(found: Found) -> list[tuple[str, Sequence[float], Sequence[float | None]]]:
    """Name, losses and AUCs of the trial taken, the best, the configured one, and the rivals."""
    by_number = {one.number: one for one in found.trials}
    wanted: dict[int, str] = {}
    if found.choice is not None:
        wanted[found.choice.number] = "taken"
        wanted.setdefault(found.choice.best, "best")
    for one in found.trials:
        if one.state == "complete" and one.origin in ("configured", "champion"):
            known = wanted.get(one.number)
            wanted[one.number] = one.origin if known is None else f"{known}, {one.origin}"
    rows = [_row(f"{name} (trial {number})", by_number[number]) for number, name in wanted.items()]
    return [*rows, *((rival.name, rival.losses, rival.aucs) for rival in found.rivals)]


def _row(name: str, trial: TrialRecord) -> tuple[str, list[float], list[float | None]]:
    return name, [fold.loss for fold in trial.folds], [fold.auc for fold in trial.folds]


def _algorithm(recipe: Recipe) -> str:
    return recipe.algorithm.replace("_", " ")


def _told(recipe: Recipe) -> str:
    """A recipe in a line."""
    params = {k: v for k, v in recipe.params.items() if k not in ("boosting", "extra_trees")}
    said = [f"{_algorithm(recipe)}, {recipe.num_boost_round} rounds"]
    said += [f"{k} {brief(v) if isinstance(v, float) else v}" for k, v in params.items()]
    if recipe.half_life_days:
        said.append(f"half life {recipe.half_life_days:g} days")
    if recipe.class_weights != "none":
        said.append(f"{recipe.class_weights} classes")
    done = recipe.processing
    said += [f"{len(done.fill)} filled"] if done.fill else []
    said += [f"{len(done.flag_missing)} flagged"] if done.flag_missing else []
    said += [f"{len(done.clip)} clipped"] if done.clip else []
    said += [f"categories below {done.rare_below} merged"] if done.rare_below else []
    said += [] if recipe.dates else ["without dates"]
    return ", ".join(said)
