"""Ten bad models, each stopped before a client meets it; and what only live requests bring out."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from retrue import processes, proxy, slots
from retrue.config import Problem
from retrue.errors import DeployError
from retrue.probes import is_healthy
from retrue.refs import BundleRef, ServingRef
from retrue.rollout.course import Turn, roll_out
from retrue.rollout.figures import RolloutError, Stage
from retrue.rollout.underway import under_way
from tests.integration.tiny_service import NAME, Load, ask, make_bundle, make_problem

Start = Callable[..., processes.ProcessRecord]


def leaves(value: Callable[[int, str], str]) -> Callable[[str], str]:
    """Change the leaf values of a model's text: number of the leaf and old value to the new one."""

    def change(text: str) -> str:
        def line(found: re.Match[str]) -> str:
            old = found[1].split()
            return "leaf_value=" + " ".join(value(i, one) for i, one in enumerate(old))

        changed = re.sub(r"^leaf_value=(.*)$", line, text, flags=re.MULTILINE)
        # The sizes are those of the text before; without them the parser goes through it all.
        return re.sub(r"^tree_sizes=.*\n", "", changed, flags=re.MULTILINE)

    return change


BAD_BUNDLES: dict[str, dict[str, Any]] = {
    "NaN": {"change": leaves(lambda i, old: "nan" if i == 0 else old)},
    "constant": {"change": leaves(lambda i, old: "0.01")},
    "wrong columns": {"names": ("temperature", "windspeed")},
}
STOPPED_BY = {
    "crashes at boot": "a server that is ready",
    "healthy on the wrong port": "a server that is ready",
    "segfaults on first predict": "scores of the golden rows",
    "hangs": "scores of the golden rows",
    "wrong shape": "scores of the golden rows, found 4 predictions for 5 rows",
    "wrong columns": "a shadow within the bounds.*requests failed",
    "NaN": "a shadow within the bounds.*no number",
    "constant": "a shadow within the bounds.*the same score",
    "10x slow": "a shadow within the bounds.*latency",
    "leaks": "a shadow within the bounds.*memory grew",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BundleRef]:
    """Make a bundle of its own for each kind of model."""

    def make(**changes: Any) -> BundleRef:
        return make_bundle(tmp_path_factory.mktemp("bundle") / "it", 2, **changes)

    return make


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Problem, ServingRef]]:
    """A problem with a champion in service; what a test starts beside it, the rollout ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRUE_HOME", str(tmp_path_factory.mktemp("home")))
        problem = make_problem(processes.free_port())
        bundle = make_bundle(tmp_path_factory.mktemp("champion") / "it", 1)
        yield problem, roll_out(problem, bundle, 1, slots.PROCESS)
        proxy.stop_proxy(NAME)
        for slot in ("a", "b"):
            processes.stop(slots.process_name(NAME, slot))


def with_fault(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Start `bad_server` in place of the server."""
    start: Start = processes.start_process

    def start_bad(name: str, argv: Sequence[str], **options: Any) -> processes.ProcessRecord:
        assert list(argv[:3]) == [sys.executable, "-m", "retrue.serving"]
        bad = [sys.executable, "-m", "tests.integration.bad_server", fault]
        return start(name, [*bad, *argv[3:]], **options)

    monkeypatch.setattr("retrue.slots.processes.start_process", start_bad)


def with_rollout(problem: Problem, ready_timeout_s: float = 30, **keys: Any) -> Problem:
    """The problem with other stages."""
    rollout = problem.serving.rollout.model_copy(update=keys)
    serving = {"rollout": rollout, "ready_timeout_s": ready_timeout_s}
    return problem.model_copy(update={"serving": problem.serving.model_copy(update=serving)})


@pytest.mark.timeout(90)
@pytest.mark.parametrize("fault", STOPPED_BY)
def test_a_bad_model_is_stopped_before_a_client_meets_it(
    service: tuple[Problem, ServingRef],
    made: Callable[..., BundleRef],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    problem, champion = service
    bundle = made(**BAD_BUNDLES.get(fault, {}))
    if fault not in BAD_BUNDLES:
        with_fault(monkeypatch, fault)
    brief = with_rollout(problem, 2 if "port" in fault else 30, answer_timeout_s=2)
    with Load(problem.serving.port, 2) as load, pytest.raises(DeployError, match=STOPPED_BY[fault]):
        roll_out(brief, bundle, 2, slots.PROCESS)

    assert load.lost == []
    assert load.versions == {1}
    assert load.n_answered > 0
    assert all(len(scores) == 1 for scores in load.scores.values())
    assert proxy.serving_now(NAME) == champion
    assert is_healthy(champion)
    assert not processes.alive(slots.process_name(NAME, "b"))
    assert under_way(NAME) is None


def test_what_only_live_requests_bring_out_ends_the_canary(
    service: tuple[Problem, ServingRef],
    made: Callable[..., BundleRef],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem, champion = service
    with_fault(monkeypatch, "fails where it is logged")
    longer = with_rollout(problem, canary_s=20, canary_share=0.02)
    stages: list[Stage] = []
    with (
        Load(problem.serving.port, 2) as load,
        pytest.raises(RolloutError, match="a canary within the bounds.*failed"),
    ):
        roll_out(longer, made(), 2, slots.PROCESS, turn=Turn(tell=stages.append))
    assert [stage.name for stage in stages] == ["shadow", "canary"]
    assert load.versions == {1}
    # Its small share, until it was looked at: a quarter of a second.
    assert 0 < len(load.lost) < 0.1 * load.n_answered
    assert proxy.serving_now(NAME) == champion
    assert not processes.alive(slots.process_name(NAME, "b"))


def test_a_version_that_turns_sour_is_replaced_by_the_old_server_which_still_runs(
    service: tuple[Problem, ServingRef],
    made: Callable[..., BundleRef],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem, champion = service
    monkeypatch.setenv("RETRUE_TEST_SOUR_AFTER", "30")
    with_fault(monkeypatch, "turns sour")
    longer = with_rollout(problem, canary_requests=5, canary_share=0.02, canary_s=20, watch_s=20)
    with (
        Load(problem.serving.port, 2) as load,
        pytest.raises(RolloutError, match="a watch within the bounds.*failed"),
    ):
        roll_out(longer, made(), 2, slots.PROCESS)
    assert load.versions == {1, 2}
    assert proxy.serving_now(NAME) == champion
    assert ask(problem.serving.port)[1]["boot_nonce"] == champion.boot_nonce
    assert under_way(NAME) is None


def test_a_good_model_passes_every_stage_and_no_request_is_lost(
    service: tuple[Problem, ServingRef], made: Callable[..., BundleRef]
) -> None:
    problem, champion = service
    stages: list[Stage] = []
    with Load(problem.serving.port, 2) as load:
        new = roll_out(problem, made(), 2, slots.PROCESS, turn=Turn(tell=stages.append))
        assert proxy.serving_now(NAME) == new
        assert not is_healthy(champion)
    assert load.lost == []
    assert load.versions == {1, 2}
    assert [stage.name for stage in stages] == ["shadow", "canary", "watch"]
    shadow, canary, watch = (stage.figures() for stage in stages)
    assert "300 served" in shadow["rows"]
    assert shadow["failed"] == shadow["nan_share"] == 0
    assert 0 < shadow["changed_decisions"] < 0.5
    assert canary["requests"] < canary["champion_requests"]
    assert watch["requests"] > watch["champion_requests"]
