"""Exactly one answer for a decision, in 2,000 simulated schedules with crashes."""

from collections import Counter

import pytest

from tests.unit.loop_schedules import new_ledger, play

N_SCHEDULES = 2_000

MUST_HAPPEN = (
    *("lost", "doubled", "refused", "signed", "stood still", "claimed", "busy", "finished"),
    *("waits", "exhausted", "late finish", "late beat", "deployment lost", "stale or busy"),
    *("crashed: started", "crashed: told", "crashed: claimed", "crashed: ingested"),
    *("crashed: fitted", "crashed: judged", "crashed: deployment claimed"),
    *("crashed: about to switch", "crashed: switched", "crashed: settled", "crashed: finished"),
    *("forged: unknown decision", "forged: not a drift", "forged: unsigned", "forged: wrong key"),
    *("forged: wrong problem", "forged: stale", "forged: changed", "forged: no event"),
    *("decisions", "answered by their own"),
)
"""What a simulation must have met, or it proves little."""


@pytest.mark.timeout(1800)  # two minutes of one idle core; a busy one takes its time
def test_in_two_thousand_schedules_with_crashes_each_decision_is_answered_once() -> None:
    engine = new_ledger()
    seen: Counter[str] = Counter()
    for seed in range(N_SCHEDULES):
        seen += play(seed, engine).seen
    engine.dispose()
    assert [what for what in MUST_HAPPEN if not seen[what]] == []


def test_a_schedule_is_its_seed() -> None:
    engine, other = new_ledger(), new_ledger()
    play(6, other)
    assert play(7, engine).trace == play(7, other).trace
    engine.dispose()
    other.dispose()
