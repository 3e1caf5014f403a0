"""Losses of the scored rows while a fold is fitted, and when to stop it."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue import metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrue.search.recipe import Recipe

PATIENCE = 2.0
"""A fold stops when so much rounds x learning rate brought no gain: 40 rounds at 0.05."""
LOOKS_A_PATIENCE = 4
"""Looks at the scored rows within a fold's patience. LightGBM's package hands all their scores out
at each, which at every round took a fifth of a search; near its turn a curve is flat."""


class Follow:
    """Losses of the scored rows, looked at after each few rounds, and when to stop."""

    def __init__(
        self,
        loss: str,
        y: NDArray[np.float64],
        blocks: NDArray[np.intp],
        recipe: Recipe,
        deadline: float,
        bar: float,
    ) -> None:
        self._loss, self._y, self._blocks = loss, y, blocks
        self._n_blocks = int(blocks.max()) + 1
        self._patience, self._n_rounds = _patience(recipe), recipe.num_boost_round
        self._every = self._patience // LOOKS_A_PATIENCE
        self._deadline, self._bar = deadline, bar
        self.rounds: list[int] = []
        self.curve: list[float] = []
        self.sums: list[NDArray[np.float64]] = []
        self.best_scores: NDArray[np.float64] = np.empty(0)
        self._best, self._best_round = np.inf, 0
        self.is_late = self.is_behind = False

    def follow(self, env: Any) -> None:
        """Called by LightGBM after each round; raises its EarlyStopException to stop it."""
        from lightgbm.callback import EarlyStopException

        n_rounds, has_turned = env.iteration + 1, False
        self.is_late = time.time() > self._deadline
        if n_rounds in (1, self._n_rounds) or n_rounds % self._every == 0:
            self.rounds.append(n_rounds)
            env.model.eval_valid(self._look)
            self.is_behind = self._reach() > self._bar
            has_turned = n_rounds - self._best_round >= self._patience
        if self.is_late or self.is_behind or has_turned:
            raise EarlyStopException(
                self._best_round - 1, [("valid_0", self._loss, self._best, False)]
            )

    def _look(self, scores: NDArray[np.float64], _: object) -> tuple[str, float, bool]:
        rows = metrics.row_losses(self._loss, self._y, scores)
        sums: NDArray[np.float64] = np.bincount(
            self._blocks, weights=rows, minlength=self._n_blocks
        ).astype(np.float64)
        mean = float(sums.sum() / len(rows))
        self.curve.append(mean)
        self.sums.append(sums)
        if mean < self._best:
            self._best, self._best_round = mean, self.rounds[-1]
            self.best_scores = scores.copy()
        return self._loss, mean, False

    def _reach(self) -> float:
        """Loss after the last round, if each brought as much as one did of late."""
        n_rounds = self.rounds[-1]
        if n_rounds <= self._patience:
            return -np.inf
        before = bisect_right(self.rounds, n_rounds - self._patience) - 1
        gain = (self.curve[before] - self.curve[-1]) / (n_rounds - self.rounds[before])
        return min(self._best, self.curve[-1]) - max(gain, 0.0) * (self._n_rounds - n_rounds)


def _patience(recipe: Recipe) -> int:
    rate = float(recipe.params.get("learning_rate", 0.1))
    return 30 if recipe.algorithm == "rf" else max(int(PATIENCE / rate), 20)
