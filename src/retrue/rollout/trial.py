"""Canary and watch: a new version answers live requests, and is looked at while it does."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from retrue import probes, proxy_commands, slots
from retrue.rollout.asking import Answers, Client, scores_of, spread
from retrue.rollout.figures import Seen, Stage, breaches
from retrue.serving.log_file import LogError
from retrue.serving.log_reading import COLUMNS, read_newest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from retrue.config_serving import Serving
    from retrue.refs import ServingRef

_POLL_S = 0.25
# The engine ends the container at the limit itself.
_FULL = 0.9
_NEWEST = 2_000
# Fewer are one afternoon, in which the scores of any model lie together: 300 flights of a stormy
# evening lie 0.55 from the champion's, a whole day (900) at most 0.32.
_MIN_ROWS = 1_000
_ROW, _SCORE = COLUMNS.index("row"), COLUMNS.index("score")
# The proxy counts in whole milliseconds: below it a mean of 1 is 5 times a mean of 0.
_LEAST_MEAN_MS = 2.0
# One stall of half a second in fewer requests would look like a slow server.
_MIN_REQUESTS = 100


def observe(
    name: str,
    serving: Serving,
    new: ServingRef,
    old: ServingRef,
    before: Stage,
    seconds: float,
    most_requests: float,
    still_ours: Callable[[], None],
) -> Stage:
    """Look at live requests until the time or the requests are up, or a bound is broken.

    Parameters
    ----------
    name : str
        `canary` or `watch`.
    serving : Serving
        Its bounds end the stage early, and so does memory near `memory_mb`.
    new, old : ServingRef
        The server on trial, and the champion, which is asked the same rows for comparison.
    before : Stage
        The stage before: what the scores should be like, and the champion where it now rests.
    seconds, most_requests : float
        Which of them is reached first ends the stage.
    still_ours : callable
        Raises when the deployment has been taken over.

    Returns
    -------
    Stage
        Errors and mean times from the proxy's counts, scores from the log of the new version.
    """
    proxy_commands.reset_figures(new.problem)
    end = time.monotonic() + seconds
    while True:
        still_ours()
        is_over = time.monotonic() >= end
        stage = _look(name, new, old, before, serving)
        if is_over or stage.new.n_requests >= most_requests or breaches(stage, serving.rollout):
            return stage
        time.sleep(max(0.0, min(_POLL_S, end - time.monotonic())))


def _look(name: str, new: ServingRef, old: ServingRef, before: Stage, serving: Serving) -> Stage:
    mine = proxy_commands.figures(new.problem, new.slot)
    others = proxy_commands.figures(new.problem, old.slot)
    rests = before.champion if others.n_requests < _MIN_REQUESTS else None
    enough = mine.n_requests >= _MIN_ROWS
    logged = _logged(new, serving.rollout.shadow_rows) if enough else {}
    with Client(old, serving.rollout.answer_timeout_s) as champion:
        same = (champion.ask(list(logged)) or {}) if logged else {}
    return Stage(
        name=name,
        rows=f"{mine.n_requests} live requests",
        new=_seen(mine, scores_of(logged)),
        champion=replace(
            _seen(others, scores_of(same)),
            latency_ms=rests.latency_ms if rests else _mean_ms(others),
        ),
        expected=before.expected,
        fault=_fault(new, serving.memory_mb),
    )


def _fault(new: ServingRef, limit_mb: float) -> str:
    if not probes.answers(new):
        return "it does not answer for itself any more"
    # A body of many rows takes memory for a while and is no leak, but at the limit it is the end.
    now_mb = slots.memory_mb(new) or 0.0
    return f"memory {now_mb:.0f} of {limit_mb:g} MB" if now_mb > _FULL * limit_mb else ""


def _seen(counted: proxy_commands.SlotFigures, scores: NDArray[np.float64]) -> Seen:
    return Seen(
        counted.n_requests,
        counted.n_failed,
        counted.n_refused,
        latency_ms=_mean_ms(counted),
        scores=scores,
    )


def _mean_ms(counted: proxy_commands.SlotFigures) -> float | None:
    few = counted.n_requests < _MIN_REQUESTS
    return None if few else max(counted.mean_ms, _LEAST_MEAN_MS)


def _logged(new: ServingRef, n_rows: int) -> Answers:
    """Distinct rows in the log of the new version, if there are enough, with what it answered."""
    try:
        newest = read_newest(slots.log_path(new), _NEWEST)
    except LogError:
        return {}  # taken away by whoever tidies up: the counts go on
    by_row = {str(row[_ROW]): (cast("float", row[_SCORE]), None) for row in newest}
    if len(by_row) < _MIN_ROWS:
        return {}
    return {row: by_row[row] for row in spread(list(by_row), n_rows)}
