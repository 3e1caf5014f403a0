"""One LightGBM model fitted by all workers of a Dask cluster. Home of lightgbm.dask."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue import dask_cluster
from retrue.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_KEY = "training.cluster"
# Scikit-learn's names of parameters, whose defaults LightGBM would hold against an alias of them
# in the problem's own: what is None is not sent.
_UNSAID = (
    *("boosting_type", "num_leaves", "max_depth", "learning_rate", "subsample_for_bin"),
    *("min_split_gain", "min_child_weight", "min_child_samples", "subsample", "subsample_freq"),
    *("colsample_bytree", "reg_alpha", "reg_lambda"),
)
_PLACES = re.compile(r"^\[(?:machines|local_listen_port): .*\]\n", re.MULTILINE)
"""Where the workers listened: another free port each time, and nobody's business later."""


def fit_text(
    address: str,
    params: Mapping[str, Any],
    num_boost_round: int,
    matrix: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    names: Sequence[str],
    categorical: Sequence[str],
) -> str:
    """Fit by the data-parallel learner through `lightgbm.dask`.

    The rows are dealt to the workers one by one, so that each has some of every time. Each worker
    finds the bins of a part of the columns on its own rows, so the model is near the one that this
    machine would fit, and not equal to it; a category that those rows lack is as good as unseen.
    The same rows on the same workers gave another text the next time: do not count on its bytes.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://10.0.0.5:8786; the whole matrix is sent to its workers.
    matrix : ndarray, shape (n_samples, n_columns)
        As of `encode_frame`.
    weights : ndarray, shape (n_samples,), or None

    Returns
    -------
    str
        The booster in LightGBM's text, without the workers' addresses.

    Raises
    ------
    StackError
        The extra `dask` is missing, no scheduler answers, or it has no workers.
    TrainingError
        The workers could not fit it.
    """
    with dask_cluster.connect(address, _KEY) as client:
        places = dask_cluster.workers(client, address, _KEY)[: len(y)]
        import dask.array as da
        from lightgbm import DaskLGBMRegressor
        from lightgbm.basic import LightGBMError

        def dealt(values: NDArray[np.float64]) -> Any:
            shares = []
            for i, place in enumerate(places):
                share = np.ascontiguousarray(values[i :: len(places)])
                future = client.scatter(share, workers=[place], hash=False)
                shares.append(da.from_delayed(future, share.shape, dtype=share.dtype))  # type: ignore[no-untyped-call]
            return da.concatenate(shares)  # type: ignore[no-untyped-call]

        told = {name: value for name, value in params.items() if name != "num_threads"}
        # Not the classifier: each worker would number the classes by those among its rows.
        model = DaskLGBMRegressor(
            client=client,
            n_estimators=num_boost_round,
            **dict.fromkeys(_UNSAID),
            **told,
        )
        try:
            with client.as_current(), _quiet():
                model.fit(
                    dealt(matrix),
                    dealt(y),
                    sample_weight=None if weights is None else dealt(weights),
                    feature_name=list(names),
                    categorical_feature=list(categorical),
                )
        except (LightGBMError, RuntimeError, OSError) as error:
            raise TrainingError(
                "a model fitted by the workers",
                " ".join(str(error).split()) or type(error).__name__,
                f"{_KEY} {address}",
                f"read the workers' logs, or leave {_KEY} empty",
            ) from error
        text: str = model.booster_.model_to_string()
        return _PLACES.sub("", text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what lightgbm.dask prints on stdout, where only JSON may stand."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # Threads are the workers' own, and the estimator lets nobody leave the parameter out.
        warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored")
        yield
