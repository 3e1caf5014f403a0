"""What a model answered and what was true, as columns: of a reference, and of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from retrue.labelling import label_expression
from retrue.serving.features import category_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from retrue.config import Problem


def scores(values: npt.ArrayLike, classes: Sequence[str]) -> pd.Series[Any]:
    """Scores, shape (n_rows,), as they are; of several classes, (n_rows, n_classes), the likeliest.

    >>> scores([[0.2, 0.8]], ["blue", "red"]).tolist()
    ['red']
    """
    found = np.asarray(values, np.float64)
    return decisions(found.argmax(axis=1), classes) if found.ndim > 1 else pd.Series(found)


def decisions(positions: npt.ArrayLike, classes: Sequence[str]) -> pd.Series[Any]:
    """Names of classes from their positions; -1 is missing."""
    codes = np.asarray(positions, np.int64)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(list(classes))))


def labels(problem: Problem, frame: pd.DataFrame) -> pd.Series[Any]:
    """Labels of rows that hold the columns of `label.expression`; unknown is missing.

    Numbers of a regression, else categories: "0" and "1" of a binary label.
    """
    found = label_expression.evaluate(problem.label.expression, frame)
    if problem.label.task == "multiclass":
        return found.map(category_text, na_action="ignore").astype(object)
    values = found.to_numpy(np.float64, na_value=np.nan)
    if problem.label.task == "regression":
        return pd.Series(values)
    return decisions(np.where(np.isnan(values), -1, values > 0), ("0", "1"))
