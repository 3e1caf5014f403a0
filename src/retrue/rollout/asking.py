"""Asking one server for scores, past the proxy and without a record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.errors import DeployError
from retrue.probes import Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrue.refs import ServingRef

Answers = dict[str, tuple[float, Any]]
"""Score (NaN where it is no number) and decision, by the row's JSON."""


class Client:
    """Asks one server and counts what fails; nothing of it is logged."""

    def __init__(self, ref: ServingRef, timeout_s: float, most_failures: float = 0) -> None:
        self._connection = Connection(ref, timeout_s)
        self._most_failures = most_failures
        self.n_asked = self.n_failed = 0

    def __enter__(self) -> Client:
        """Connect with the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._connection.__exit__()

    def ask_singly(self, rows: Sequence[str]) -> Answers:
        """Ask row by row, as clients do; once too many have failed there is no need for more."""
        found: Answers = {}
        for row in rows:
            if self.n_failed > self._most_failures:
                break
            found |= self.ask([row]) or {}
        return found

    def ask(self, rows: Sequence[str]) -> Answers | None:
        """Answers to all rows in one request; None for a wrong one."""
        self.n_asked += 1
        try:
            answer = self._connection.ask(rows)
        except DeployError:
            self.n_failed += 1
            return None
        scores = as_scores(answer["predictions"]).tolist()
        return dict(zip(rows, zip(scores, answer["decisions"], strict=True), strict=True))

    def time_ms(self, row: str) -> float:
        """Milliseconds that one answer took."""
        began = time.perf_counter()
        self.ask([row])
        return 1e3 * (time.perf_counter() - began)


def scores_of(answers: Answers) -> NDArray[np.float64]:
    """The scores of some answers, shape (n_rows,)."""
    return np.array([score for score, _ in answers.values()], dtype=np.float64)


def spread(rows: Sequence[str], limit: int) -> Sequence[str]:
    """At most `limit` of the rows, evenly spread over them."""
    return rows[:: max(1, len(rows) // limit)][:limit]


def as_scores(predictions: Sequence[Any]) -> NDArray[np.float64]:
    """One number a row of an answer's `predictions`: of several classes the highest.

    NaN where it is no number.

    Examples
    --------
    >>> as_scores([0.5, None, [0.1, 0.9]]).tolist()
    [0.5, nan, 0.9]
    """
    rows = [one if isinstance(one, list) else [one] for one in predictions]
    return np.array(
        [
            max(row) if row and all(isinstance(v, int | float) for v in row) else np.nan
            for row in rows
        ]
    )
