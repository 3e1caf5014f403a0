"""What a bundle's model did on its own hold-out: the measure of what it does in service."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from retrue import bundles, splits
from retrue.errors import BundleError
from retrue.home import lake_dir
from retrue.lake import read_version
from retrue.performance.concept import Labelled
from retrue.refs import DataRef

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.refs import BundleRef


def baseline(problem: Problem, bundle: BundleRef) -> float | None:
    """The gate's metric on the hold-out, as it was stored with the model; None where it was not."""
    found = bundles.read_metrics(bundle)["metrics"]
    if problem.gate.metric == "squared_error":
        rmse = found.get("holdout_rmse")
        return None if rmse is None else float(rmse) ** 2
    value = found.get(f"holdout_{problem.gate.metric}")
    return None if value is None else float(value)


def labelled(problem: Problem, bundle: BundleRef) -> Labelled:
    """Rows of the hold-out with what the model says of them.

    Raises
    ------
    BundleError, DataError, TrainingError, ConfigError
        The data version is not there any more, or the configuration reads another table by now.
    """
    manifest = bundles.read_manifest(bundle)
    data = _data(problem, manifest["data"])
    signature = bundles.read_signature(bundle)
    inputs = [feature["name"] for feature in signature["features"]]
    columns = dict.fromkeys([*splits.needed_columns(problem), *inputs])
    frame = read_version(data, list(columns))
    rows = splits.split(frame, problem, date.fromisoformat(data.until)).holdout
    if problem.data.time and (learned := manifest.get("trained_before")):
        # The configuration may have got longer hold-outs since.
        rows = rows[rows[problem.data.time] >= pd.Timestamp(learned)]
    classes = tuple(signature["classes"])
    return Labelled(
        y=splits.target(rows, problem, classes),
        score=bundles.score_with(bundle, rows, classes),
        days=splits.blocks(rows, problem),
        features=rows,
    )


def _data(problem: Problem, noted: dict[str, Any]) -> DataRef:
    path = lake_dir(problem.name) / "data"
    try:
        return DataRef.model_validate({**noted, "path": path})
    except ValidationError as error:
        found = f"{error.error_count()} faults in it"
        raise BundleError(
            "a manifest with its data version", found, str(path), "train again"
        ) from (error)
