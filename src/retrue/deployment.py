"""One deployment in the ledger: claimed, carried out by stages under its token, written down."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from retrue import ledger, tracking
from retrue.errors import LedgerError
from retrue.rollout.course import Turn, roll_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retrue.config import Problem
    from retrue.ledger import Deployment, Retraining
    from retrue.refs import ModelRef, ServingRef
    from retrue.rollout.figures import Stage


def has_served(model: ModelRef) -> bool:
    """Whether that very version served before."""
    history = ledger.history(ledger.connect(), model.problem)
    wanted = (model.version, model.bundle.sha256)
    return any(
        (one.model_version, one.bundle_sha256) == wanted and one.status in ("serving", "retired")
        for one in history
    )


def newest_stages(problem: str) -> tuple[int, list[dict[str, Any]]]:
    """Number of the newest deployment (0: none), and the figures of its stages."""
    history = ledger.history(ledger.connect(), problem)
    if not history:
        return 0, []
    return history[-1].id, json.loads(history[-1].details_json).get("stages", [])


def claim(
    model: ModelRef, *, take_over: bool, for_retraining: Retraining | None = None
) -> Deployment:
    """Claim the problem's one deployment; a rollback takes it from a deployment under way.

    A retraining that lost its claim meanwhile is refused.
    """
    return ledger.start_deployment(
        ledger.connect(),
        model.problem,
        model.version,
        model.bundle.sha256,
        take_over=take_over,
        for_retraining=for_retraining,
    )


def bring_in(
    problem: Problem,
    model: ModelRef,
    turn: Deployment,
    target: str,
    image: str | None,
    reason: str,
    *,
    is_trusted: bool = False,
    news: Callable[[str], None] = lambda doing: None,
    tell: Callable[[Stage], None] = lambda stage: None,
) -> ServingRef:
    """Bring a version in by stages under a deployment's fencing token, and write it down.

    Raises
    ------
    DeployError
        It did not start, gave other scores than its golden ones, or a stage found it out of
        bounds; what served before still does.
    LedgerError
        Another deployment took over meanwhile, and brought in what it wanted.
    """
    book = ledger.connect()
    stages: list[Stage] = []
    champion = ledger.should_serve(book, problem.name)

    def keep(stage: Stage) -> None:
        stages.append(stage)
        tell(stage)

    def settle() -> None:
        ledger.finish_deployment(
            book,
            turn.id,
            turn.token,
            "serving",
            target=target,
            image_digest=image,
            details_json=_details({"reason": reason}, stages),
        )

    try:
        server = roll_out(
            problem,
            model.bundle,
            model.version,
            target,
            image=image,
            is_trusted=is_trusted,
            turn=Turn(
                token=turn.token,
                settled=None if champion is None else champion.model_version,
                still_ours=lambda: ledger.check_token(book, "deployment", turn.id, turn.token),
                news=news,
                tell=keep,
                settle=settle,
            ),
        )
    except Exception as error:
        give_up(turn, str(error), stages)
        raise
    tracking.mark_champion(model)
    return server


def give_up(turn: Deployment, error: str, stages: Sequence[Stage] = ()) -> None:
    """Write down that a deployment failed; what served before still serves.

    One that was written down before, or taken over, stays as it is.
    """
    with suppress(LedgerError):
        ledger.finish_deployment(
            ledger.connect(),
            turn.id,
            turn.token,
            "failed",
            details_json=_details({"error": error}, stages),
        )


def _details(facts: dict[str, Any], stages: Sequence[Stage]) -> str:
    return json.dumps(facts | {"stages": [stage.figures() for stage in stages]})
