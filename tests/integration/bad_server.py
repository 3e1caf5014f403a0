"""A server with a fault, started in place of `python -m retrue.serving`: FAULT, then its options.

All else is the real server, so that only what is meant to be wrong is wrong.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from retrue.serving import __main__ as serving
from retrue.serving.predictions import PredictionLog
from retrue.serving.scoring import Scorer

ABILITY = Scorer.score
_leaked: list[bytes] = []
_n_logged = 0


def before_answer(act: Callable[[], object]) -> Callable[..., Any]:
    """Score as it should be, after something else."""

    def score(scorer: Scorer, content: bytes, is_logged: bool) -> Any:
        act()
        return ABILITY(scorer, content, is_logged)

    return score


def one_score_too_few(scorer: Scorer, content: bytes, is_logged: bool) -> Any:
    answer, records = ABILITY(scorer, content, is_logged)
    answer.predictions = answer.predictions[:-1]
    return answer, records


def no_record(*_: object) -> None:
    """What only a live request meets: the shadow leaves no records."""
    raise RuntimeError("a fault of the test")


def soured(log: PredictionLog, records: Any) -> Any:
    """Right until the canary is over, wrong afterwards."""
    global _n_logged  # noqa: PLW0603
    _n_logged += 1
    if _n_logged > int(os.environ["RETRUE_TEST_SOUR_AFTER"]):
        raise RuntimeError("a fault of the test")
    return SUBMIT(log, records)


SUBMIT = PredictionLog.submit


FAULTS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "segfaults on first predict": (
        Scorer,
        "score",
        before_answer(lambda: os.kill(os.getpid(), signal.SIGSEGV)),
    ),
    "hangs": (Scorer, "score", before_answer(lambda: time.sleep(3600))),
    "10x slow": (Scorer, "score", before_answer(lambda: time.sleep(0.03))),
    "leaks": (Scorer, "score", before_answer(lambda: _leaked.append(os.urandom(2**18)))),
    "wrong shape": (Scorer, "score", one_score_too_few),
    "fails where it is logged": (PredictionLog, "submit", no_record),
    "turns sour": (PredictionLog, "submit", soured),
}


def main() -> int:
    """Serve with the fault."""
    fault, *options = sys.argv[1:]
    if fault == "crashes at boot":
        os.abort()
    elif fault == "healthy on the wrong port":
        at = options.index("--port") + 1
        options[at] = str(int(options[at]) + 1)
    else:
        owner, name, replacement = FAULTS[fault]
        setattr(owner, name, replacement)
    return serving.main(options)


if __name__ == "__main__":
    sys.exit(main())
