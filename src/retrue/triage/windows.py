"""The windows that are triaged: what was served, and what a training has not seen yet."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from retrue import bundles, delta, lake, splits
from retrue.checking import key_hashes
from retrue.days import midnight
from retrue.errors import DataError
from retrue.labelling import label_expression
from retrue.prediction_table import read_predictions
from retrue.refs import DataRef
from retrue.triage.days_aside import days_aside, unsettled
from retrue.triage.sides import Side, look
from retrue.triage.verdict import triage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.refs import BundleRef, ModelRef
    from retrue.triage.result import Triage

_LEAST_ROWS = 200
_SINCE_DAYS = 90
"""Served rows before the window that count as known: a season, and a bound on memory."""


class BrokenDataError(DataError):
    """New rows are broken, or cannot be told from broken ones: nothing was trained on them."""


def triage_served(problem: Problem, model: ModelRef, since: date, until: date) -> Triage:
    """Triage the rows served in a window against those the serving model was made of.

    Of several answers to one key the first counts, as in training. Days aside and what was
    released count no more; see `days_aside.unsettled`.
    """
    answers = _answers(problem, since, until)
    frame, times = _reference(problem, model.bundle)
    known = None if times is None else _known(problem, frame, times, since)
    key = answers["key"].fillna(answers["prediction_id"])
    sent = _sent(problem, answers)
    side = look(sent, problem.features, times=answers["event_time"], key=key)
    found = triage(look(frame, problem.features, times=times), side, known)
    return unsettled(problem.name, found)


def triage_training(problem: Problem, data: DataRef, champion: ModelRef | None) -> Triage | None:
    """Triage the rows of a data version that the champion's own did not hold, with their labels.

    Returns
    -------
    Triage or None
        None where there is nothing to hold them against, or nothing new: no champion, its data
        version is gone, no later rows, or neither times nor keys to tell them by.
    """
    made_of = None if champion is None else _data_of(champion.bundle)
    if champion is None or made_of is None:
        return None
    names = [*splits.needed_columns(problem), *problem.data.key]
    frame = lake.read_version(data, columns=list(dict.fromkeys(names)))
    time = problem.data.time
    if time is not None:
        frame = frame.sort_values(time, kind="stable", ignore_index=True)
        start = pd.Timestamp(made_of.until, tz="UTC")
        if frame.empty or start > frame[time].iloc[-1]:
            return None
        # A handful of rows says nothing by itself, so the days before go with it.
        start = min(start, frame[time].iloc[-_LEAST_ROWS:].iloc[0].floor("D"))
        is_new = (frame[time] >= start).to_numpy()
        judged_from = bundles.read_manifest(champion.bundle)["trained_before"]
    elif problem.data.key:
        old = lake.read_version(made_of, columns=list(problem.data.key))
        key = list(problem.data.key)
        is_new, judged_from = ~np.isin(key_hashes(frame, key), key_hashes(old, key)), ""
    else:
        return None
    if not is_new.any() or is_new.all():
        return None
    sides = [
        _labelled(problem, frame[mine].reset_index(drop=True), champion.bundle, judged_from)
        for mine in (~is_new, is_new)
    ]
    return unsettled(problem.name, triage(*sides))


def insist_trainable(problem: Problem, found: Triage | None) -> None:
    """Refuse to train on a window that is broken or, unless the configuration lets it, unclear.

    Raises
    ------
    BrokenDataError
        With the reason, and how to let the rows in after all.
    """
    if found is None or may_retrain(problem, found):
        return
    name = problem.name
    raise BrokenDataError(
        "new rows that are sound",
        f"{found.verdict}: {found.reason}",
        f"triage of {name}",
        f"mend the data, or see `retrue data faults {name}` and let days in with"
        f" `retrue data release {name}`",
    )


def may_retrain(problem: Problem, found: Triage) -> bool:
    """Whether a retraining may follow without a person's word."""
    unclear = found.verdict == "cannot tell" and problem.drift.retrain_when_unclear
    return found.is_trainable or unclear


def without_days_aside(problem: Problem, frame: pd.DataFrame, time: str | None) -> pd.DataFrame:
    """Rows of all other days; the frame itself where none is aside or rows have no time."""
    aside = days_aside(problem.name) if time is not None else frozenset()
    if time is None or not aside:
        return frame
    days = frame[time].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[D]")
    kept: pd.DataFrame = frame[~np.isin(days, np.array(sorted(aside), "datetime64[D]"))]
    return kept


def _known(
    problem: Problem, frame: pd.DataFrame, times: pd.Series[Any], since: date
) -> Side | None:
    """The reference with what was served after it and before the window; None if that is nothing.

    Days aside are left out.
    """
    before = _answers(problem, since - timedelta(days=_SINCE_DAYS), since)
    before = before[before["event_time"] >= times.max()]
    before = before[~before["event_time"].dt.date.isin(days_aside(problem.name))]
    if before.empty:
        return None
    joined = pd.concat([frame, _sent(problem, before)[frame.columns]], ignore_index=True)
    moments = pd.concat([times, before["event_time"]], ignore_index=True)
    return look(joined, problem.features, times=moments)


def _answers(problem: Problem, since: date, until: date) -> pd.DataFrame:
    """The first answer to each key, in order of event time; answers without a key are all kept."""
    rows = read_predictions(problem.name, midnight(since), midnight(until))
    rows = rows.sort_values(["received_at_us", "prediction_id"], kind="stable")
    rows = rows[rows["key"].isna() | ~rows["key"].duplicated()]
    return rows.sort_values(["event_time", "row"], kind="stable")


def _sent(problem: Problem, answers: pd.DataFrame) -> pd.DataFrame:
    """Features as they were sent."""
    names = [*problem.features.numeric, *problem.features.categorical]
    sent: list[dict[str, Any]] = msgspec.json.decode("[" + ",".join(answers["row"]) + "]")
    return pd.DataFrame.from_records(sent, columns=names)


def _reference(problem: Problem, bundle: BundleRef) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
    """Features and times the model was made of; the bundle's sample where these are gone."""
    data, time = _data_of(bundle), problem.data.time
    names = [*problem.features.numeric, *problem.features.categorical]
    if (
        data is None
        or time is None
        or not {*names, time} <= set(delta.column_names(data.path, data.version))
    ):
        sample = bundles.read_reference(bundle)
        return sample[[name for name in names if name in sample]], None
    frame = lake.read_version(data, columns=[*names, time])
    frame = frame[frame[time] >= midnight(problem.training.start)]
    frame = frame.sort_values(time, kind="stable", ignore_index=True)
    return frame[names], pd.to_datetime(frame[time], utc=True)


def _data_of(bundle: BundleRef) -> DataRef | None:
    """The data version that a bundle was made of, if it is still there."""
    said = bundles.read_manifest(bundle)["data"]
    versions = lake.list_versions(bundle.problem)
    same = (one for one in versions if (one.sha256, one.until) == (said["sha256"], said["until"]))
    return next(same, None)


def _labelled(problem: Problem, frame: pd.DataFrame, bundle: BundleRef, judged_from: str) -> Side:
    """A side with labels and scores, where the task has two classes."""
    time, names = problem.data.time, list(problem.data.key)
    labels: NDArray[np.float64] | None = None
    scores: NDArray[np.float64] | None = None
    if problem.label.task == "binary":
        found = label_expression.evaluate(problem.label.expression, frame)
        labels = pd.to_numeric(found.astype(object)).to_numpy(np.float64, na_value=np.nan)
        scores = bundles.score_with(bundle, frame)
        if time is not None:
            is_seen = frame[time] < pd.Timestamp(judged_from)
            scores = np.where(is_seen, np.nan, scores)
    key = pd.Series(key_hashes(frame, names)) if names else None
    times = None if time is None else frame[time]
    return look(frame, problem.features, times=times, key=key, labels=labels, scores=scores)
