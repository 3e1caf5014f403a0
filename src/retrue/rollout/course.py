"""One model version into service by stages; what served before takes over again if one fails.

start, golden requests, shadow, canary, switch, watch, and only then the end of the old server. No
request of a client meets the new version before the canary, and none meets it after a breach.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from retrue.errors import DeployError, LedgerError
from retrue.probes import answers, check_golden
from retrue.proxy import choose_port, ensure_proxy, free_slot, serving_now, switch
from retrue.proxy_commands import serve_alone, share, wait_idle
from retrue.refs import BundleRef, ServingRef
from retrue.rollout.figures import Stage, refuse
from retrue.rollout.shadow import shadow
from retrue.rollout.trial import observe
from retrue.rollout.underway import Underway, fenced, forget, note, under_way
from retrue.slots import start_slot, stop_slot

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrue.config import Problem

# Of a server that has no requests left: to close its log. One that hangs is killed.
_STOP_TIMEOUT_S = 5


@dataclass(frozen=True)
class Turn:
    """The right to act, and whom to tell; the default is for one who is alone.

    Parameters
    ----------
    token : int
        Fencing token of the deployment.
    settled : int, optional
        Version that the ledger says should serve.
    still_ours : callable
        Raises when someone has taken over.
    news : callable
        Called with what is done next, in words.
    tell : callable
        Called with each stage as it ends, broken or not.
    settle : callable
        Writes down that the new version serves for good; the old server is stopped after it.
    """

    token: int = 0
    settled: int | None = None
    still_ours: Callable[[], None] = lambda: None
    news: Callable[[str], None] = lambda doing: None
    tell: Callable[[Stage], None] = lambda stage: None
    settle: Callable[[], None] = lambda: None


def roll_out(
    problem: Problem,
    bundle: BundleRef,
    model_version: int,
    target: str,
    *,
    image: str | None = None,
    is_trusted: bool = False,
    turn: Turn | None = None,
) -> ServingRef:
    """Bring a version into service without losing a request; the old one serves if it fails.

    Parameters
    ----------
    problem : Problem
        Name, features and serving section are used.
    bundle : BundleRef
        The model to serve.
    model_version : int
        Its version in the registry.
    target : str
        `container` or `process` (`slots.choose_target`).
    image : str, optional
        Image id from `images.build_image`; built when None and a container is wanted.
    is_trusted : bool
        It served before, and is wanted now: golden requests and the switch, no more.
    turn : Turn, optional
        The deployment's.

    Returns
    -------
    ServingRef
        What serves now.

    Raises
    ------
    DeployError
        It did not start or its golden scores differ, or (RolloutError) a stage found it out of
        bounds; nothing is left of it.
    BundleError
        The bundle is damaged.
    LedgerError
        Someone has taken over, who also tidies up.
    """
    turn = turn or Turn()
    if not is_trusted:
        _end(problem.name, turn, _recover(problem, turn))
    elif (now := resume(problem, bundle, model_version, turn)) is not None:
        return now
    slot, former = free_slot(problem.name), serving_now(problem.name)
    # One that is gone is nothing to compare with, and nothing to go back to.
    old = former if former is not None and answers(former) else None
    turn.news(f"start version {model_version} in slot {slot}")
    new = start_slot(
        problem,
        slot,
        bundle,
        model_version,
        target,
        image=image,
        launching=fenced(problem.name, turn.token),
    )
    try:
        _by_stages(problem, bundle, new, old, turn, is_trusted)
    except BaseException:
        with suppress(DeployError, LedgerError), fenced(problem.name, turn.token):
            _go_back(problem.name, new, old)
        # Also where someone has taken over, who may not know of it yet.
        _end(problem.name, turn, [] if serving_now(problem.name) == new else [new])
        raise
    _end(problem.name, turn, [] if former is None else [former])
    return new


def _by_stages(
    problem: Problem,
    bundle: BundleRef,
    new: ServingRef,
    old: ServingRef | None,
    turn: Turn,
    is_trusted: bool,
) -> None:
    bounds, name = problem.serving.rollout, problem.name
    where = f"version {new.model_version} of {name}"

    def judge(stage: Stage) -> Stage:
        turn.tell(stage)
        refuse(stage, bounds, where)
        return stage

    def enter(stage: str, change: Callable[[], None] = lambda: None) -> None:
        with fenced(name, turn.token):
            turn.still_ours()
            note(name, Underway(stage=stage, new=new, old=old))
            change()

    turn.news("ask it the golden requests")
    enter("golden requests")
    check_golden(new, bundle, bounds.answer_timeout_s)
    if is_trusted:
        enter("switch", lambda: switch(name, new))
        turn.settle()
        return
    turn.news(f"shadow: answer what was served, for {bounds.shadow_s:g} s")
    enter("shadow")
    seen = judge(shadow(problem, bundle, new, old, turn.still_ours))
    if old is not None and bounds.canary_s:
        turn.news(f"canary: {bounds.canary_share:.0%} of requests for {bounds.canary_s:g} s")
        enter("canary", lambda: share(name, new, bounds.canary_share))
        seen = judge(
            observe(
                "canary",
                problem.serving,
                new,
                old,
                seen,
                bounds.canary_s,
                bounds.canary_requests,
                turn.still_ours,
            )
        )
    turn.news("switch all requests to it")
    enter("watch", lambda: switch(name, new))
    if old is not None and bounds.watch_s:
        turn.news(f"watch it for {bounds.watch_s:g} s, the old version ready to take over")
        length = (bounds.watch_s, inf)
        judge(observe("watch", problem.serving, new, old, seen, *length, turn.still_ours))
    turn.settle()


def resume(
    problem: Problem, bundle: BundleRef, model_version: int, turn: Turn
) -> ServingRef | None:
    """Undo what a rollout left half done; the server of that version, if it serves again by that.

    After a rollout that is being watched, this is the way back: a change of weights.
    """
    leftovers = _recover(problem, turn)
    now = serving_now(problem.name)
    wanted = (model_version, bundle.sha256)
    if now is None or (now.model_version, now.bundle_sha256) != wanted or not answers(now):
        now = None
    else:
        turn.settle()
    _end(problem.name, turn, leftovers)
    return now


def _recover(problem: Problem, turn: Turn) -> list[ServingRef]:
    """Let one server take all requests again; those of the cut-off rollout that do not come out.

    That one is of the version which the ledger names, if it still runs; else the one that was
    switched to last.
    """
    name = problem.name
    with fenced(name, turn.token):
        turn.still_ours()
        ensure_proxy(name, choose_port(name, problem.serving.port))
        found, serves = under_way(name), serving_now(name)
        if found is None:
            return []
        servers = [one for one in (found.old, found.new) if one is not None]
        # A new version that was never switched to has shown nothing yet.
        tried = [one for one in servers if one in (found.old, serves)]
        tried.sort(key=lambda one: one.model_version != turn.settled)
        keep = next((one for one in tried if answers(one)), serves)
        if keep is not None and keep != serves:
            switch(name, keep)
        return [one for one in servers if one != keep]


def _go_back(problem_name: str, new: ServingRef, old: ServingRef | None) -> None:
    """Take the new server out of service; where there is no other that answers, it stays in."""
    if old is not None and serving_now(problem_name) == new:
        switch(problem_name, old)
    else:
        serve_alone(problem_name, serving_now(problem_name))


def _end(problem_name: str, turn: Turn, servers: list[ServingRef]) -> None:
    """Stop servers that are out of service, after the requests they have; the rollout is over."""
    for server in servers:
        # What was asked for is done; a server that could not be stopped (engine gone) gets no
        # requests, and is removed when its slot is used next.
        with suppress(DeployError):
            wait_idle(problem_name, server.slot)
            stop_slot(server, _STOP_TIMEOUT_S)
    with suppress(LedgerError), fenced(problem_name, turn.token):  # else a newer one tidies up
        forget(problem_name)
