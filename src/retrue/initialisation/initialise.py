"""`retrue init`: from a table to a problem that can be trained, with each guess explained."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from retrue.errors import ConfigError, DataError
from retrue.files import write_atomically
from retrue.initialisation.guessing import Label, label_of
from retrue.initialisation.keys import key_of
from retrue.initialisation.leaks import suspects
from retrue.initialisation.problem_writer import write_problem
from retrue.initialisation.profiling import profile
from retrue.initialisation.proposals import Rule, propose, propose_linked
from retrue.initialisation.roles import Roles, assign, rare_below, without
from retrue.initialisation.spans import holdout_share, span_of, time_column
from retrue.labelling import label_expression
from retrue.problems import load_problem
from retrue.sources.acquisition import read_source
from retrue.sources.detection import detect_source
from retrue.splits import MIN_TRAIN_ROWS

if TYPE_CHECKING:
    import pandas as pd

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_ENDINGS = re.compile(
    r"(\.(csv|tsv|txt|parquet|pq|jsonl|ndjson|json|xlsx|xls|gz|zip|db|sqlite))+$", re.IGNORECASE
)


class Initialised(BaseModel):
    """What was written, and what was guessed, in short sentences."""

    model_config = ConfigDict(frozen=True)

    name: str
    config: str
    suites: tuple[str, ...]
    guesses: tuple[str, ...]
    leak_suspects: dict[str, str]
    """Column to reason; left out of the features."""
    n_rows: int
    n_columns: int


def initialise(
    path: str,
    root: Path,
    target: str,
    time: str | None = None,
    name: str | None = None,
    force: bool = False,
) -> Initialised:
    """Profile a table, and write a problem definition and expectation suites for it.

    Parameters
    ----------
    path : str
        File, folder or URL of the table; a relative path starts at the working directory.
    root : Path
        The project folder, where `configs/` and `expectations/` are.
    target : str
        The column to predict.
    time : str, optional
        The column that says when a row happened; guessed unless it is given.
    name : str, optional
        Name of the problem; from the file's name by default.
    force : bool
        Overwrite a problem of this name.

    Returns
    -------
    Initialised
        Both files load as they are; the suites hold for the table they come from.

    Raises
    ------
    ConfigError
        The name is no name, or a problem of this name is there; nothing was written.
    DataError
        The table cannot be read, has no such column, or nothing in it can be predicted from;
        nothing was written.
    """
    name = _name(name, path)
    config, folder = root / "configs" / f"{name}.yaml", root / "expectations" / name
    _insist_free(config, folder, force)
    table = f"{name}_rows" if name == "linked" else name
    source, found = detect_source(path, root)
    frame, _ = read_source(table, source, root, {})
    where = str(path)
    _insist_column(frame, target, where)
    columns = profile(frame)
    label = label_of(frame[target], columns[target], where)
    when = time_column(columns, frame, target, where, time)
    key = key_of(columns, frame, target, when)
    roles = assign(columns, target, when, key)
    y = label_expression.evaluate(label.expression, frame)
    roles = without(roles, suspects(frame, roles.features, target, y, when))
    if not roles.features:
        raise DataError(
            "a column to predict from",
            "; ".join(f"{n}: {why}" for n, why in roles.left_out.items()) or "no other column",
            where,
            "deliver more columns",
        )
    span = None if when is None else span_of(frame[when])
    time_why = _time_why(when, asked=time is not None)
    rare = rare_below(columns, roles)
    text = write_problem(
        name,
        table,
        source,
        found,
        columns[target],
        label,
        when,
        time_why,
        key,
        roles,
        rare,
        span,
        len(frame),
    )
    start = None if span is None else span.start
    suites = {
        table: (propose(frame, columns, key, when, start), f"Rows of {table}, as delivered."),
        "linked": (
            propose_linked(frame, key, when, start),
            f"The rows of {table}, with what is linked to them.",
        ),
    }
    _insist_loadable(text, name)
    files = {folder / f"{one}.json": _suite(one, *suites[one]) for one in suites}
    _write_all({**files, config: text})  # the definition last: it makes the problem
    time_said = time_why if when is None else f"{when}, {time_why}"
    return Initialised(
        name=name,
        config=_shown(config, root),
        suites=tuple(_shown(one, root) for one in files),
        guesses=tuple(_guesses(label, time_said, key, roles, int(y.notna().sum()))),
        leak_suspects=roles.suspects,
        n_rows=len(frame),
        n_columns=len(frame.columns),
    )


def _name(name: str | None, path: str) -> str:
    """The name given, or one made of the last part of the path."""
    if name is None:
        last = path.partition("?")[0].rstrip("/").replace("\\", "/").rpartition("/")[2]
        plain = unicodedata.normalize("NFKD", _ENDINGS.sub("", last)).encode("ascii", "ignore")
        words = re.sub(r"[^a-z0-9]+", "_", plain.decode().lower()).strip("_")
        name = re.sub(r"^(?=[0-9])", "table_", words)[:41].rstrip("_")
        if not name:
            raise ConfigError(
                "a file name with Latin letters", last, path, "give the problem a name: --name NAME"
            )
    if not _NAME.fullmatch(name):
        expected = "lower-case letters, digits, _ and -, a letter first, at most 41"
        raise ConfigError(expected, repr(name), "--name", "choose such a name")
    return name


def _insist_free(config: Path, folder: Path, force: bool) -> None:
    taken = [one for one in (config, *sorted(folder.glob("*.json"))) if one.exists()]
    if taken and not force:
        remedy = "choose another --name, or overwrite it with --force"
        raise ConfigError("a new name", "a problem of this name", str(taken[0]), remedy)


def _insist_column(frame: pd.DataFrame, target: str, where: str) -> None:
    if target not in frame.columns:
        names = ", ".join(str(name) for name in frame.columns)
        raise DataError(f"the column {target}", f"columns {names}", where, "correct --target")


def _insist_loadable(text: str, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="retrue-init-") as folder:
        draft = Path(folder) / f"{name}.yaml"
        draft.write_text(text, encoding="utf-8")
        load_problem(draft)


def _suite(name: str, rules: Sequence[Rule], notes: str) -> str:
    suite = {"name": name, "expectations": list(rules), "meta": {"notes": notes}}
    return json.dumps(suite, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write_all(texts: dict[Path, str]) -> None:
    """All files or none: what was written before an error is taken back."""
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    done: list[Path] = []
    try:
        for path, text in texts.items():
            write_atomically(path, text)
            done.append(path)
    except OSError as error:
        for path in done:
            old = before[path]
            if old is None:
                path.unlink()
            else:
                path.write_bytes(old)
        where = str(error.filename or next(iter(texts)))
        remedy = "check disk and permissions; nothing was changed"
        raise ConfigError(
            "a file that can be written", f"{error.strerror}", where, remedy
        ) from error


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _time_why(time: str | None, *, asked: bool) -> str:
    if time is None:
        return "no complete column of times that spans more than a day; rows stand side by side."
    if asked:
        return "asked for."
    return "the earliest complete column of times that spans more than a day."


def _guesses(
    label: Label, time_why: str, key: Sequence[str], roles: Roles, n_labelled: int
) -> list[str]:
    kinds: dict[str, Any] = {
        "numeric": roles.numeric,
        "categorical": roles.categorical,
        "dates": roles.dates,
        "text": roles.text,
    }
    features = ", ".join(f"{len(names)} {kind}" for kind, names in kinds.items() if names)
    said = [
        f"Task {label.task}, label {label.expression}: {label.why}.",
        f"Time: {time_why}",
        f"Key: {', '.join(key) or 'none found'}.",
        f"Features: {features}.",
    ]
    said += [f"Leak suspect {name}: {reason}." for name, reason in roles.suspects.items()]
    said += [f"Left out {name}: {reason}." for name, reason in roles.left_out.items()]
    if n_labelled * (1 - holdout_share(n_labelled)) < MIN_TRAIN_ROWS:
        said.append(
            f"Only {n_labelled} rows have a label: training asks for {MIN_TRAIN_ROWS} and a"
            " hold-out."
        )
    return said
