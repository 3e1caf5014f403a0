"""Score logged rows again, by the image that answered them or by their bundle's model here."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

from retrue import probes, slots
from retrue.problems import load_problem
from retrue.serving.booster import self_check
from retrue.serving.bundle import read_bundle
from retrue.serving.packing import unpack
from retrue.serving.scoring import Scorer
from retrue.tracing import Rescored, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrue.config import Problem
    from retrue.refs import BundleRef

Scored = tuple[float, int]
"""Score and decision, in the form of the log."""


def rescored(found: Trace) -> Trace:
    """A trace with its row scored again: by its image where that still is, else on this machine."""
    rows, image = [found.prediction.row], found.image
    if image is not None and image.labels is not None:
        by, problem = f"image {image.digest}", load_problem(found.problem)
        scored = by_image(problem, found.bundle, found.model_version, image.digest, rows)[0]
    else:
        by, scored = "the bundle's model on this machine", by_bundle(found.bundle, rows)[0]
    score, decision = scored
    is_same = _bits(score) == _bits(found.prediction.score)
    is_same = is_same and decision == found.prediction.decision
    again = Rescored(by=by, score=score, decision=decision, is_same=is_same)
    return found.model_copy(update={"rescored": again})


def by_bundle(bundle: BundleRef, rows: Sequence[str]) -> list[Scored]:
    """Score rows (JSON objects) by the server's own code, in this process.

    Raises
    ------
    BundleError
        The bundle is damaged, or gives other scores than its golden ones on this machine.
    """
    read = read_bundle(bundle.path, bundle.sha256)
    content = f'{{"dataframe_records": [{",".join(rows)}]}}'.encode()
    _, entries = Scorer(read, self_check(read), 0).score(content, is_logged=True)
    return [(record.score, record.decision) for record in unpack(entries)]


def by_image(
    problem: Problem, bundle: BundleRef, version: int, image: str, rows: Sequence[str]
) -> list[Scored]:
    """Score rows (JSON objects) by a container of an image, which is removed afterwards.

    Raises
    ------
    DeployError
        No engine answers, or the container does not become ready.
    """
    slot = f"trace-{os.getpid()}"  # beside what serves, and beside another trace
    server = slots.start_slot(problem, slot, bundle, version, slots.CONTAINER, image=image)
    try:
        with probes.Connection(server) as connection:
            answer = connection.ask(rows)
    finally:
        slots.stop_slot(server)
    pairs = zip(answer["predictions"], answer["decisions"], strict=True)
    return [_as_logged(score, decision) for score, decision in pairs]


def _as_logged(score: float | list[float], decision: Any) -> Scored:
    if isinstance(score, list):
        likeliest = score.index(max(score))
        return score[likeliest], likeliest
    return score, -1 if decision is None else int(decision)


def _bits(score: float) -> bytes:
    return struct.pack("<d", score)
