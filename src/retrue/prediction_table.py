"""Served predictions in the lake: each row of each log arrives exactly once."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from retrue import delta, delta_upkeep
from retrue.home import lake_dir

_TIME = pa.timestamp("us", "UTC")
PREDICTIONS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("received_at_us", pa.int64()),
        ("event_time", _TIME),
        ("key", pa.string()),
        ("row", pa.string()),
        ("score", pa.float64()),
        ("decision", pa.int64()),
        ("model_version", pa.int64()),
        ("bundle_sha256", pa.string()),
        ("log", pa.string()),  # which server: `boots.find`; null before this was kept
    ]
)


def append_predictions(
    problem: str, source_id: str, upto: int, frame: pd.DataFrame, after: int | None = None
) -> bool:
    """Append rows of one prediction log exactly once.

    Parameters
    ----------
    problem : str
        Name of the problem.
    source_id : str
        The log the rows come from: its file's name, and after a colon what tells it from others.
    upto : int
        Sequence number of the last row: the new watermark, in the same commit as the rows.
    frame : DataFrame
        Columns as in `PREDICTIONS` but `log`: the rows after the watermark, up to `upto`.
    after : int, optional
        The watermark the rows were read after. Give it where two writers may meet: if the
        watermark has moved meanwhile, nothing is written.

    Returns
    -------
    bool
        False if nothing was written, as these rows were there or the watermark had moved.
    """
    path = lake_dir(problem) / "predictions"
    with delta.locked(path.parent):
        watermark = predictions_watermark(problem, source_id)
        if upto <= watermark or (after is not None and after != watermark):
            return False
        rows = frame.assign(log=source_id.partition(":")[0])
        delta.append(path, rows, PREDICTIONS, source_id, upto)
        return True


def predictions_watermark(problem: str, source_id: str) -> int:
    """Sequence number of the last row taken from a prediction log; 0 if none was."""
    path = lake_dir(problem) / "predictions"
    return delta.watermark(path, source_id)


def read_predictions(problem: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Predictions with `start <= event_time < end` (tz-aware), by event time, then id.

    Returns
    -------
    DataFrame
        Columns as in `PREDICTIONS`; empty if there are none.
    """
    path = lake_dir(problem) / "predictions"
    time = pc.field("event_time")
    known = (time >= pa.scalar(start, _TIME)) & (time < pa.scalar(end, _TIME))
    table = delta.read_rows(path, PREDICTIONS, known)
    ordered = table.sort_by([("event_time", "ascending"), ("prediction_id", "ascending")])
    frame: pd.DataFrame = ordered.to_pandas()
    return frame


def logged_keys(problem: str, prediction_ids: Collection[str]) -> dict[str, str | None]:
    """Keys (JSON as it was sent, or None) of those of the predictions that are known."""
    ids = pc.field("prediction_id").isin(pa.array(prediction_ids, pa.string()))
    table = delta.read_rows(lake_dir(problem) / "predictions", PREDICTIONS, ids)
    return dict(zip(table["prediction_id"].to_pylist(), table["key"].to_pylist(), strict=True))


def find_prediction(problem: str, prediction_id: str) -> dict[str, Any] | None:
    """The prediction with this id, its columns as in `PREDICTIONS`, or None."""
    mine = pc.field("prediction_id") == prediction_id
    table = delta.read_rows(lake_dir(problem) / "predictions", PREDICTIONS, mine)
    return next(iter(table.to_pylist()), None)


def received_at_us(problem: str) -> list[int]:
    """When each prediction was asked for, microseconds since 1970, in no order."""
    path = lake_dir(problem) / "predictions"
    found: list[int] = delta.read_rows(path, PREDICTIONS, columns=["received_at_us"])[0].to_pylist()
    return found


def delete_before(problem: str, received_us: int, event: datetime) -> int:
    """Delete predictions asked for before one moment about events before another; how many."""
    path = lake_dir(problem) / "predictions"
    # delta-rs compares times only with those of the same unit.
    moment = f"arrow_cast('{event.isoformat()}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
    old = f"received_at_us < {received_us} AND event_time < {moment}"
    if not (path / "_delta_log").is_dir():
        return 0
    with delta.locked(path.parent):
        return delta_upkeep.delete_rows(path, old)


def newest_event(problem: str) -> datetime | None:
    """Event time (UTC) of the newest prediction, or None without any.

    Times to come are left out: senders choose them, and one in the year 9999 would stay the newest.
    """
    past = pc.field("event_time") <= pa.scalar(datetime.now(UTC), _TIME)
    path = lake_dir(problem) / "predictions"
    table = delta.read_rows(path, PREDICTIONS, past, ["event_time"])
    newest: datetime | None = pc.max(table["event_time"]).as_py()
    return newest
