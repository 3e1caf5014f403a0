"""The rows that explanations are about: held-out ones, a served one, or one that is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from retrue import bundles, lake, prediction_logs, splits
from retrue.errors import DataError
from retrue.home import lake_dir
from retrue.refs import DataRef
from retrue.serving.parsing import parse_rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from retrue.config import Problem
    from retrue.refs import BundleRef


@dataclass(frozen=True)
class AskedRow:
    """One row that somebody asks about, as JSON values."""

    name: str
    """Of the page: letters, digits, dashes."""
    title: str
    values: dict[str, Any]
    model_version: int | None = None
    """The version that answered it, if one did."""
    score: float | None = None
    """What it answered: the probability of label 1 or of the likeliest class, or the value."""


def holdout(
    problem: Problem, bundle: BundleRef, classes: tuple[str, ...]
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Rows that the model of a bundle was not fitted on, of its own data version, and their labels.

    Raises
    ------
    DataError
        The data version is not there, or a column of it.
    TrainingError
        The problem as it is defined now makes no hold-out of it.
    """
    data = DataRef(path=lake_dir(problem.name) / "data", **bundles.read_manifest(bundle)["data"])
    features = [feature["name"] for feature in bundles.read_signature(bundle)["features"]]
    columns = dict.fromkeys([*splits.needed_columns(problem), *features])
    frame = lake.read_version(data, columns=list(columns))
    if problem.data.time is not None:
        frame = frame.sort_values(problem.data.time, kind="stable", ignore_index=True)
    parts = splits.split(frame, problem, date.fromisoformat(data.until))
    return parts.holdout, splits.target(parts.holdout, problem, classes)


def given_row(text: str) -> AskedRow:
    """A row from its JSON object, or from a file that holds one.

    Raises
    ------
    DataError
        There is no such file, or it is no JSON object as the server takes it.
    """
    content = text.strip()
    if not content.startswith("{"):
        try:
            content = Path(text).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                "a JSON object, or a file that holds one", f"{text[:60]!r}", "--row", "mend it"
            ) from error
    rows = parse_rows(b'{"instances": [' + content.encode() + b"]}")
    if len(rows) != 1:
        raise DataError("one row", f"{len(rows)} rows", "--row", "ask about one at a time")
    return AskedRow(f"row-{crc32(content.encode()):08x}", "The row that was given", rows[0])


def predicted_row(problem: str, prediction_id: str) -> AskedRow:
    """A row that was served, from the lake or from a log that was not collected yet.

    Raises
    ------
    DataError
        No prediction has this id.
    """
    found = prediction_logs.find(problem, prediction_id)
    if found is None:
        raise prediction_logs.unknown(prediction_id, f"predictions of {problem}")
    return AskedRow(
        f"prediction-{prediction_id}",
        f"Prediction {prediction_id}",
        json.loads(str(found["row"])),
        int(str(found["model_version"])),
        float(str(found["score"])),
    )
