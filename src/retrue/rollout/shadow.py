"""The shadow: a new version answers what was served, for nobody, and is compared.

HAProxy cannot copy a request without an agent of its own (SPOE), which would stand in the way of
every client. The prediction log holds the same rows, on disk before their answers left: they are
asked again, of the new version and of the champion, past the proxy and without a record.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from retrue import bundles, slots
from retrue.rollout.asking import Answers, Client, scores_of, spread
from retrue.rollout.figures import Seen, Stage, breaches
from retrue.row_json import rows_as_json
from retrue.serving.log_reading import COLUMNS, read_newest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retrue.config import Problem
    from retrue.config_serving import Rollout
    from retrue.refs import BundleRef, ServingRef

# Some days of flights: the newest rows alone are one afternoon's weather, in which the scores of
# any model lie together. Read in 0.05 s.
_NEWEST = 5_000
_LOGS = 5
_OWN_ROWS = 50
_LATENCY_PAIRS = 100
# The slowest of 100 answers is often the machine's fault, but not three times out of three.
_LATENCY_ROUNDS = 3
_ROW = COLUMNS.index("row")


def shadow(
    problem: Problem,
    bundle: BundleRef,
    new: ServingRef,
    old: ServingRef | None,
    still_ours: Callable[[], None],
) -> Stage:
    """Let a new version answer served rows until `shadow_s` is over or a bound is broken.

    Parameters
    ----------
    problem : Problem
        `serving.rollout` holds the bounds, `features` what a row may lack.
    bundle : BundleRef
        The new version's; its own sample of rows tells what its scores should be like, and stands
        in where too few rows were served.
    new, old : ServingRef
        The server on trial and the one in service; without one, the sample is asked once.
    still_ours : callable
        Raises when the deployment has been taken over.

    Returns
    -------
    Stage
        What the last pass over the rows saw, with all failures; `figures.refuse` judges.
    """
    bounds = problem.serving.rollout
    end = time.monotonic() + bounds.shadow_s
    sample = own_sample(problem, bundle)
    most_failures = bounds.max_error_share * bounds.shadow_rows
    with Client(new, bounds.answer_timeout_s, most_failures) as candidate:
        expected = candidate.ask(sample) or {}
        candidate.ask_singly(sample[:_OWN_ROWS])
        before_mb = slots.memory_mb(new)
        while True:
            began = time.monotonic()
            served = served_rows(problem, bounds.shadow_rows) if old is not None else []
            # As many of its own as were not served, and some in any case.
            rows = [*served, *sample[: max(bounds.shadow_rows - len(served), _OWN_ROWS)]]
            told = f"{len(served)} served, {len(rows) - len(served)} of its own sample"
            others, latencies = _compare(candidate, old, rows, bounds)
            is_slow = bool(breaches(Stage("shadow", told, *latencies), bounds))
            mine = candidate.ask_singly(rows[:_OWN_ROWS] if is_slow else rows)
            asked = Seen(candidate.n_asked, candidate.n_failed, scores=scores_of(mine))
            stage = Stage(
                "shadow",
                told,
                _timed(asked, latencies[0]),
                # One that cannot answer is not compared: what mends it must be let in.
                _timed(Seen(len(others), scores=scores_of(others)), latencies[1])
                if others
                else None,
                expected=scores_of(expected),
                changed_share=_changed(mine, others),
                growth_mb=_growth(new, before_mb),
            )
            if old is None or time.monotonic() >= end or breaches(stage, bounds):
                return stage
            still_ours()
            # Half of the time for the champion, which answers live requests meanwhile.
            time.sleep(max(0.0, min(time.monotonic() - began, end - time.monotonic())))


def served_rows(problem: Problem, limit: int) -> list[str]:
    """Distinct rows among the newest that were served, spread over them, as JSON.

    A feature of the configuration that the log does not hold, since the champion has no use for it,
    is null: clients may send it, but nobody wrote it down.
    """
    folder = slots.predictions_dir(problem.name)
    logs = sorted(folder.glob("*.sqlite"), key=lambda path: -path.stat().st_mtime)
    texts: dict[str, None] = {}
    for log in logs[:_LOGS]:
        newest = read_newest(log, max(_NEWEST - len(texts), 0))
        texts |= dict.fromkeys(str(row[_ROW]) for row in newest)
    return [_completed(problem, text) for text in spread(list(texts), limit)]


def own_sample(problem: Problem, bundle: BundleRef) -> list[str]:
    """Rows that the bundle's model was made from, spread over its sample, as JSON."""
    rows = list(rows_as_json(bundles.read_reference(bundle)))
    return [_completed(problem, text) for text in spread(rows, problem.serving.rollout.shadow_rows)]


def _completed(problem: Problem, row: str) -> str:
    features = problem.features
    names = (*features.numeric, *features.categorical, *features.dates, *features.text)
    return json.dumps({**dict.fromkeys(names), **json.loads(row)})


def _compare(
    candidate: Client, old: ServingRef | None, rows: Sequence[str], bounds: Rollout
) -> tuple[Answers, tuple[Seen, Seen]]:
    """The champion's answers, and latencies of one-row requests sent to both in turn.

    The 99th percentile and the fastest tenth, each the best of three rounds. The champion has
    clients to serve meanwhile, for which some of these requests must wait; the fastest tenth did
    not, and tells what a request takes by itself.
    """
    if old is None:
        return {}, (Seen(), Seen())
    with Client(old, bounds.answer_timeout_s) as champion:
        others = champion.ask(rows) or {}
        if not others:
            return {}, (Seen(), Seen())
        rows = [rows[i % len(rows)] for i in range(_LATENCY_PAIRS)]
        best = np.full((2, 2), np.inf)
        for _ in range(_LATENCY_ROUNDS):
            took = [(candidate.time_ms(row), champion.time_ms(row)) for row in rows]
            best = np.minimum(best, np.quantile(took, [0.1, 0.99], axis=0).T)
            is_slow = best[0] > bounds.max_latency_ratio * best[1]
            if is_slow[0] or not is_slow[1]:
                break
    mine, its = (
        Seen(fastest_ms=float(fastest), latency_ms=float(latency)) for fastest, latency in best
    )
    return others, (mine, its)


def _timed(seen: Seen, timed: Seen) -> Seen:
    return replace(seen, fastest_ms=timed.fastest_ms, latency_ms=timed.latency_ms)


def _changed(mine: Answers, others: Answers) -> float | None:
    both = mine.keys() & others.keys()
    return float(np.mean([mine[r][1] != others[r][1] for r in both])) if both else None


def _growth(new: ServingRef, before_mb: float | None) -> float | None:
    after_mb = slots.memory_mb(new)
    return None if before_mb is None or after_mb is None else after_mb - before_mb
