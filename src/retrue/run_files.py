"""What is kept beside a run's bundle, so that the run alone says how its model came to be."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from retrue.environment import environment
from retrue.provenance import lock_text

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.config import Problem
    from retrue.verdicts import Verdict

PROBLEM = "problem.json"
"""The whole definition, defaults spelled out: `Problem.model_validate_json` reads it."""
VERDICT = "verdict.json"
ENVIRONMENT = "environment.json"
LOCK = "uv.lock.gz"
EXPLANATION = "explanation.json"
"""Written by a run that explained its model; others have none."""
CARD = "card.html"


def files(
    problem: Problem, verdict: Verdict, lock_sha256: str, root: Path | None = None
) -> dict[str, bytes]:
    """Name and content of each file; without the lock where `root` no longer holds it."""
    found = {
        PROBLEM: json.dumps(problem.model_dump(mode="json"), indent=1, ensure_ascii=False).encode(),
        VERDICT: verdict.model_dump_json(indent=1).encode(),
        ENVIRONMENT: environment().model_dump_json(indent=1).encode(),
    }
    lock = None if root is None else lock_text(root, lock_sha256)
    if lock is not None:
        # No time in it: the same lock gives the same bytes. Level 1: 5 ms, and 9 % larger than 6.
        found[LOCK] = gzip.compress(lock, 1, mtime=0)
    return found
