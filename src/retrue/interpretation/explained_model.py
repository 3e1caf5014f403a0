"""A model opened for explanation: scores, margins and contributions. A home of lightgbm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from retrue import bundles, calibrators
from retrue.encoding_frame import encode_frame
from retrue.errors import TrainingError
from retrue.serving.calibration import Calibrator
from retrue.serving.features import Feature, width
from retrue.serving.links import has_log_link

if TYPE_CHECKING:
    import pandas as pd

    from retrue.refs import BundleRef

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ExplainedModel:
    """The model of one bundle; matrices are as its own features encode them.

    A feature may have several columns (a date, a text, a flagged number): they are explained, and
    changed, together.
    """

    features: list[Feature]
    task: str
    classes: tuple[str, ...]
    threshold: float
    booster: Any
    n_threads: int = 2
    calibrator: Calibrator | None = None

    @property
    def names(self) -> list[str]:
        """Features in the model's order."""
        return [feature["name"] for feature in self.features]

    @property
    def outputs(self) -> tuple[str, ...]:
        """One name a score: the classes, or one empty text."""
        return self.classes or ("",)

    @property
    def unit(self) -> str:
        """What margins, and the contributions to them, are in."""
        if self.task != "regression":
            return "log odds"
        is_log = has_log_link(self._text.encode())
        return "the logarithm of the label's unit" if is_log else "the label's unit"

    @property
    def slices(self) -> list[slice]:
        """Columns of each feature."""
        ends = np.cumsum([width(feature) for feature in self.features]).tolist()
        return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def encode(self, frame: pd.DataFrame) -> Floats:
        """Rows as this model sees them; a category that it does not know is missing, or `other`."""
        return encode_frame(frame, self.features)

    def scores(self, matrix: Floats) -> Floats:
        """What is served, shape (n_rows, n_outputs): probabilities, or predicted values."""
        found = self._predict(matrix)
        if self.task == "binary":
            return calibrators.apply(self.calibrator, found[:, 0])[:, None]
        return calibrators.apply(self.calibrator, found)

    def margins(self, matrix: Floats) -> Floats:
        """Scores before the link function, shape (n_rows, n_outputs), in `unit`.

        Before any calibration, which the trees know nothing of.
        """
        return self._predict(matrix, raw_score=True) / self._n_averaged

    def decisions(self, scores: Floats) -> Ints:
        """As they are served, shape (n_rows,): 1 above the threshold, else 0; the likeliest class.

        A regression decides nothing: -1.
        """
        if self.task == "binary":
            return (scores[:, 0] > self.threshold).astype(np.intp)
        if self.task == "multiclass":
            return np.asarray(scores.argmax(axis=1), dtype=np.intp)
        return np.full(len(scores), -1, dtype=np.intp)

    def contributions(self, matrix: Floats) -> tuple[Floats, Floats]:
        """TreeSHAP (Lundberg et al. 2020), path-dependent, by LightGBM itself.

        Returns
        -------
        values : ndarray, shape (n_rows, n_outputs, n_features)
            They and the base add up to the margin. The columns of a feature are added up.
        base : ndarray, shape (n_outputs,)
            Mean margin of the training rows.

        Raises
        ------
        TrainingError
            The model is of a kind that LightGBM does not explain (linear trees).
        """
        import lightgbm as lgb

        try:
            found = self._predict(matrix, pred_contrib=True)
        except lgb.basic.LightGBMError as error:
            raise TrainingError(
                "trees that SHAP explains", str(error), "the model", "leave out linear_tree"
            ) from error
        found = found.reshape(len(matrix), len(self.outputs), -1) / self._n_averaged
        starts = [part.start for part in self.slices]
        values = np.add.reduceat(found[:, :, :-1], starts, axis=2)
        return values, found[0, :, -1] if len(found) else np.zeros(len(self.outputs))

    def importance(self, kind: str) -> Floats:
        """LightGBM's own, of each feature: total `gain`, or number of splits (`split`)."""
        found = self.booster.feature_importance(importance_type=kind).astype(np.float64)
        return np.add.reduceat(found, [part.start for part in self.slices])

    @cached_property
    def _n_averaged(self) -> int:
        """A random forest's score is the mean of its trees, but LightGBM adds up its margins."""
        is_mean = "\naverage_output" in self._text
        return int(self.booster.current_iteration()) if is_mean else 1

    @property
    def _text(self) -> str:
        """What the model says of itself, with a single tree."""
        return str(self.booster.model_to_string(num_iteration=1))

    def _predict(self, matrix: Floats, **how: bool) -> Floats:
        found = self.booster.predict(matrix, num_threads=self.n_threads, **how)
        return np.asarray(found, dtype=np.float64).reshape(len(matrix), -1)


def load(bundle: BundleRef, n_threads: int = 2) -> ExplainedModel:
    """Open the model of a bundle; its hashes are checked before anything is parsed."""
    signature = bundles.read_signature(bundle)
    return open_model(bundles.read_model_text(bundle), signature, n_threads)


def open_model(text: str, signature: dict[str, Any], n_threads: int = 2) -> ExplainedModel:
    """Open a model from its text and its signature (`signature.json` of a bundle)."""
    import lightgbm as lgb

    return ExplainedModel(
        features=signature["features"],
        task=signature["task"],
        classes=tuple(signature["classes"]),
        threshold=signature["threshold"],
        booster=lgb.Booster(model_str=text),
        n_threads=n_threads,
        calibrator=bundles.calibrator_of(signature),
    )
