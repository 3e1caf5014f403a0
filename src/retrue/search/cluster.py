"""Folds on the workers of a Dask cluster."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from retrue import dask_cluster

if TYPE_CHECKING:
    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.evaluate import Evaluator, FoldScore
    from retrue.search.recipe import Recipe

_here = threading.local()
"""Of a worker: the evaluator of each of its threads, with what it has binned."""


class RemoteEvaluator:
    """Scores a recipe on a fold by a worker; a worker reads the data version by its path."""

    def __init__(self, problem: Problem, data: DataRef) -> None:
        self._client = dask_cluster.connect(problem.search.cluster, "search.cluster")
        self._told = problem.model_dump_json(), data.model_dump_json()

    def score(
        self, recipe: Recipe, k: int, deadline: float = np.inf, bar: float = np.inf
    ) -> FoldScore | None:
        """As `Evaluator.score`; None also when no worker has answered by `deadline`."""
        from distributed import TimeoutError as TooLate

        told = (*self._told, recipe.model_dump_json(), k, deadline, bar)
        future = self._client.submit(score_here, *told, pure=False)
        left = None if np.isinf(deadline) else max(deadline - time.time(), 0) + 5
        try:
            found: FoldScore | None = future.result(timeout=left)
        except TooLate:
            future.cancel()  # type: ignore[no-untyped-call]
            return None
        return found

    def __enter__(self) -> Self:
        """The evaluator itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster."""
        self._client.close()  # type: ignore[no-untyped-call]


def score_here(
    problem: str, data: str, recipe: str, k: int, deadline: float, bar: float
) -> FoldScore | None:
    """On a worker: score a fold with what this thread has kept of the same data version."""
    from retrue.search.recipe import Recipe

    evaluator = _evaluator(problem, data)
    return evaluator.score(Recipe.model_validate_json(recipe), k, deadline, bar)


def _evaluator(problem: str, data: str) -> Evaluator:
    from retrue.config import Problem
    from retrue.refs import DataRef
    from retrue.search.evaluate import Evaluator
    from retrue.search.run import load

    kept: dict[str, Any] = _here.__dict__
    key = problem + data
    if kept.get("key") != key:
        config = Problem.model_validate_json(problem)
        of = load(config, DataRef.model_validate_json(data))
        kept.update(key=key, evaluator=Evaluator(of, config.training.num_threads))
    found: Evaluator = kept["evaluator"]
    return found
