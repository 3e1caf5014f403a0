"""One LightGBM model fitted by all workers of a Dask cluster. Home of lightgbm.dask."""

from __future__ import annotations

import io
import re
import warnings
from concurrent.futures import Future, wait
from contextlib import contextmanager, redirect_stdout
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue import dask_cluster
from retrue.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from distributed import Client
    from numpy.typing import NDArray

_KEY = "training.cluster"
# Scikit-learn's names of parameters, whose defaults LightGBM would hold against an alias of them
# in the problem's own: what is None is not sent.
_UNSAID = (
    *("boosting_type", "num_leaves", "max_depth", "learning_rate", "subsample_for_bin"),
    *("min_split_gain", "min_child_weight", "min_child_samples", "subsample", "subsample_freq"),
    *("colsample_bytree", "reg_alpha", "reg_lambda"),
)
_PLACES = re.compile(r"^\[(?:machines|local_listen_port|num_threads): .*\]\n", re.MULTILINE)
"""Where the workers listened and how many threads one had: of the place, not of the model."""
# How long a worker's death stays unseen, at most: one question to the scheduler each time.
_POLL_S = 1.0


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
    The same rows on as many workers give the same text again.

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
        The workers could not fit it, or one of them was lost meanwhile.
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

        def fitted() -> str:
            # Not the classifier: each worker would number the classes by those among its rows.
            model = DaskLGBMRegressor(
                client=client,
                n_estimators=num_boost_round,
                **(dict.fromkeys(_UNSAID) | told),
            )
            with client.as_current():
                model.fit(
                    dealt(matrix),
                    dealt(y),
                    sample_weight=None if weights is None else dealt(weights),
                    feature_name=list(names),
                    categorical_feature=list(categorical),
                )
            text: str = model.booster_.model_to_string()
            return _PLACES.sub("", text)

        _number_by_place(client)
        try:
            with _quiet():
                return _while_there(fitted, client, places)
        except (LightGBMError, RuntimeError, OSError) as error:
            raise TrainingError(
                "a model fitted by the workers",
                " ".join(str(error).split()) or type(error).__name__,
                f"{_KEY} {address}",
                f"read the workers' logs, or leave {_KEY} empty",
            ) from error


def _number_by_place(client: Client) -> None:
    """Let lightgbm.dask number the workers as the rows were dealt.

    It takes them as `who_has` names them, in the order of a set: the ranks, and with them which
    rows a column's bins are found on, were another each time.
    """
    who_has: Callable[..., dict[str, list[str]]] = client.who_has

    def in_order(*told: Any) -> dict[str, list[str]]:
        return dict(sorted(who_has(*told).items(), key=lambda item: item[1]))

    client.who_has = in_order  # type: ignore[assignment,method-assign]


def _while_there(work: Callable[[], str], client: Client, places: Sequence[str]) -> str:
    """What `work` returns, or an error once a worker is gone, which Dask would wait for."""
    done: Future[str] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    while not wait([done], _POLL_S).done or done.exception() is not None:
        there = client.nthreads()  # type: ignore[no-untyped-call]
        lost = [place for place in places if place not in there]
        if lost:
            raise RuntimeError(f"{len(lost)} of {len(places)} workers lost: {', '.join(lost)}")
        if done.done():
            break
    return done.result()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what lightgbm.dask prints on stdout, where only JSON may stand."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # Threads are the workers' own, and the estimator lets nobody leave the parameter out.
        warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored")
        yield
