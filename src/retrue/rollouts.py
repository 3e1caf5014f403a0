"""One model version into service: start it beside the old one, check it, switch, stop the old."""

from collections.abc import Callable
from contextlib import suppress

from retrue.config import Problem
from retrue.errors import DeployError
from retrue.probes import check_golden
from retrue.proxy import choose_port, ensure_proxy, free_slot, switch
from retrue.refs import BundleRef, ServingRef
from retrue.slots import start_slot, stop_slot


def roll_out(
    problem: Problem,
    bundle: BundleRef,
    model_version: int,
    target: str,
    *,
    image: str | None = None,
    before_switch: Callable[[], None] = lambda: None,
) -> ServingRef:
    """Bring a version into service without losing a request; the old one serves if it fails.

    Parameters
    ----------
    problem : Problem
        Name and serving section are used.
    bundle : BundleRef
        The model to serve.
    model_version : int
        Its version in the registry.
    target : str
        `container` or `process` (`slots.choose_target`).
    image : str, optional
        Image id from `images.build_image`; built when None and a container is wanted.
    before_switch : callable
        Raises when the switch may not be made any more (a stale fencing token).

    Returns
    -------
    ServingRef
        What serves now.

    Raises
    ------
    DeployError
        It did not start or its golden scores differ; nothing is left of it.
    BundleError
        The bundle is damaged.
    """
    ensure_proxy(problem.name, choose_port(problem.name, problem.serving.port))
    slot = free_slot(problem.name)
    new = start_slot(problem, slot, bundle, model_version, target, image=image)
    try:
        check_golden(new, bundle)
        before_switch()
        old = switch(problem.name, new)
    except BaseException:
        with suppress(DeployError):
            stop_slot(new)
        raise
    if old is not None:
        # The new version serves, which is what was asked for; a server that could not be stopped
        # (engine gone) gets no requests, and is removed when its slot is used next.
        with suppress(DeployError):
            stop_slot(old)
    return new
