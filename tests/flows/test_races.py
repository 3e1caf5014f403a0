"""Two at once: one does the work, the other one is told so, and the service never notices."""

from datetime import date
from pathlib import Path

import pytest

from tests.flows.harness import STACK, Counts, Stack

pytestmark = STACK


@pytest.mark.parametrize("keys", [("same", "same"), ("one", "other")])
def test_of_two_retrainings_at_once_one_is_done(
    loop: Stack, tmp_path: Path, keys: tuple[str, str]
) -> None:
    until = date(2013, 1, 31) if keys[0] == keys[1] else date(2013, 2, 1)
    loop.serve("races")
    before, rows = loop.counts("races"), len(loop.retrainings("races"))
    with loop.traffic("races") as traffic:
        both = [
            loop.start(
                "retrain",
                fault=f"meet {tmp_path / 'meet'}",
                at="retrue.ledger:claim_retraining",
                problem="races",
                until=until,
                trigger_key=key,
            )
            for key in keys
        ]
        ends = [run.wait() for run in both]
    assert traffic.report().failed == 0

    assert sorted(str(end.state) for end in ends) == ["Completed", "Skipped"]
    assert "is running" in next(end.message for end in ends if end.state == "Skipped")
    *_, row = loop.retrainings("races")
    assert len(loop.retrainings("races")) == rows + 1
    assert row.status in ("promoted", "refused")
    after = loop.counts("races")
    assert after == Counts(
        before.data_versions + 1,
        before.bundles + 1,
        before.finished_runs + 1,
        before.model_versions + 1,
    )
    assert loop.answering("races") == loop.should_serve("races")


def test_of_two_deployments_at_once_one_wins_and_the_other_is_told(
    loop: Stack, tmp_path: Path
) -> None:
    loop.serve("races")
    before = len(loop.deployments("races"))
    with loop.traffic("races") as traffic:
        both = [
            loop.start(
                "deploy",
                fault=f"meet {tmp_path / 'meet'}",
                at="retrue.ledger:start_deployment",
                problem="races",
                version=1,
            )
            for _ in range(2)
        ]
        ends = [run.wait() for run in both]
    assert traffic.report().failed == 0

    (won,) = (end for end in ends if end.state == "Completed")
    (lost,) = (end for end in ends if end is not won)
    assert lost.error == "LedgerError"
    assert "races: expected no other deployment running" in lost.message
    assert len(loop.deployments("races")) == before + 1
    assert loop.answering("races") == loop.should_serve("races") == 1
