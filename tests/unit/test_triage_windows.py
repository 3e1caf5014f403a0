"""Broken days are set aside once, kept out of data, checks and trainings, and can be released."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from retrue import ledger, loop_decisions, monitoring, prediction_table, quarantine
from retrue.bundles import read_manifest
from retrue.drift import DriftReport
from retrue.preparation import prepare
from retrue.refs import DataRef, ModelRef
from retrue.serving.log_reading import COLUMNS
from retrue.triage import Finding, Side, Triage, windows
from retrue.triage.days_aside import days_aside, set_aside, unsettled
from tests.unit.conftest import Small
from tests.unit.synthetic import learnable
from tests.unit.trained import Workshop

DAYS = (date(2024, 1, 3), date(2024, 1, 4))


def stuck(*, is_certain: bool = True, days: tuple[date, ...] = DAYS) -> Triage:
    one = Finding(
        kind="stuck",
        column="wind",
        is_certain=is_certain,
        evidence="wind has one value",
        figures={"days": 2},
        since=days[0],
        days=days,
        share=0.1,
        remedy="look at it",
    )
    verdict = "broken" if is_certain else "cannot tell"
    return Triage(verdict=verdict, findings=(one,), changes=(), reason="stuck", n_rows=100)


def drifted() -> DriftReport:
    return DriftReport(
        verdict="drift",
        magnitude=80,
        threshold=60,
        p_value=0,
        top_feature="wind",
        features=(),
        n_reference=100,
        n_current=100,
        reason="80 %",
    )


def test_days_at_fault_are_in_no_data_version_until_they_are_released(small: Small) -> None:
    until = date(2024, 1, 20)
    whole = prepare(small.problem, until, small.root)
    assert (set_aside("visits", stuck()), set_aside("visits", stuck())) == (2, 0)
    assert days_aside("visits") == set(DAYS)

    without = prepare(small.problem, until, small.root)
    assert without.ref.n_rows == whole.ref.n_rows - 4
    assert without.n_set_aside == whole.n_set_aside + 4

    ids = quarantine.ids_of_rule("visits", "triage: stuck")
    quarantine.release("visits", ids, "Ann", "it was calm", datetime(2024, 2, 1, tzinfo=UTC))
    assert prepare(small.problem, until, small.root).ref == whole.ref
    assert unsettled("visits", stuck()).verdict == "nothing"


def test_what_is_aside_already_is_no_news_and_a_new_day_is(small: Small) -> None:
    set_aside("visits", stuck())
    assert unsettled("visits", stuck()).verdict == "nothing"
    longer = unsettled("visits", stuck(days=(*DAYS, date(2024, 1, 5))))
    assert longer.verdict == "broken"
    assert longer.broken_days == (date(2024, 1, 5),)


def test_a_suspicion_keeps_its_rows_and_waits_for_a_person(small: Small) -> None:
    found = stuck(is_certain=False)
    set_aside("visits", found)
    assert days_aside("visits") == frozenset()
    assert unsettled("visits", found).verdict == "cannot tell"
    ids = quarantine.ids_of_rule("visits", "triage suspects")
    quarantine.release("visits", ids, "Ann", "as it should", datetime(2024, 2, 1, tzinfo=UTC))
    assert unsettled("visits", found).verdict == "nothing"


@pytest.mark.parametrize("is_certain", [True, False])
def test_drift_of_a_broken_window_is_not_announced(small: Small, is_certain: bool) -> None:
    problem, book = small.problem, ledger.connect()
    report = monitoring.weigh(problem, drifted(), stuck(is_certain=is_certain))
    since, until = date(2024, 1, 1), date(2024, 1, 31)
    loop_decisions.decide(book, "visits", 1, since, until, report, None)
    assert report.verdict == "cannot tell"
    assert "stuck" in report.reason
    assert ledger.open_decisions(book, "visits") == []

    # Mended and checked again, the window decides.
    sound = stuck().model_copy(update={"verdict": "changed", "findings": ()})
    report = monitoring.weigh(problem, drifted(), sound)
    loop_decisions.decide(book, "visits", 1, since, until, report, None)
    assert len(ledger.open_decisions(book, "visits")) == 1


def test_the_configuration_may_let_the_unclear_through_but_never_the_broken(small: Small) -> None:
    small.replace(
        "configs/visits.yaml", "training:\n", "drift: {retrain_when_unclear: true}\ntraining:\n"
    )
    weighed = [
        monitoring.weigh(small.problem, drifted(), stuck(is_certain=c)) for c in (False, True)
    ]
    assert [one.verdict for one in weighed] == ["drift", "cannot tell"]


def versions(workshop: Workshop, late: pd.DataFrame) -> tuple[ModelRef, DataRef]:
    """A champion of the rows before 13 January, and a data version with these later ones."""
    from retrue.lake import write_version

    old = workshop.data("2024-01-13")
    champion = ModelRef(problem="visits", version=1, run_id="run", bundle=workshop.fit(old))
    frame = learnable()
    is_old = frame["at"] < pd.Timestamp("2024-01-13", tz="UTC")
    new = write_version("visits", pd.concat([frame[is_old], late]), ["visit"], "2024-01-19")
    return champion, new


def later_rows() -> pd.DataFrame:
    frame = learnable()
    found: pd.DataFrame = frame[frame["at"] >= pd.Timestamp("2024-01-13", tz="UTC")]
    return found


def test_new_rows_that_are_broken_stop_a_training_and_sound_ones_do_not(small: Small) -> None:
    workshop, late = Workshop(small), later_rows()
    champion, sound = versions(workshop, late)
    problem = workshop.problem
    windows.insist_trainable(problem, windows.triage_training(problem, sound, champion))

    broken = late.assign(amount=late["amount"].mask(np.arange(len(late)) % 9 == 0, -999.0))
    champion, data = versions(workshop, broken)
    found = windows.triage_training(problem, data, champion)
    with pytest.raises(windows.BrokenDataError, match="sentinel: amount is -999"):
        windows.insist_trainable(problem, found)


def test_labels_that_were_flipped_stop_a_training(small: Small) -> None:
    small.replace("configs/visits.yaml", "delay > 5", "delay > 6")
    workshop, late = Workshop(small), later_rows()
    champion, data = versions(workshop, late.assign(delay=12 - late["delay"]))
    found = windows.triage_training(workshop.problem, data, champion)
    assert found is not None
    assert "labels flipped" in {one.kind for one in found.findings}


def test_a_first_training_has_nothing_to_be_held_against(small: Small) -> None:
    workshop = Workshop(small)
    data = workshop.data("2024-01-13")
    assert windows.triage_training(workshop.problem, data, None) is None
    windows.insist_trainable(workshop.problem, None)


def test_served_rows_are_triaged_against_what_the_model_was_made_of(small: Small) -> None:
    workshop, late = Workshop(small), later_rows()
    champion, _ = versions(workshop, late)
    problem, since, until = workshop.problem, date(2024, 1, 13), date(2024, 1, 20)
    serve(late.assign(wind=late["wind"].mask(late["at"] >= pd.Timestamp("2024-01-16", tz="UTC"))))
    found = windows.triage_served(problem, champion, since, until)
    assert found.verdict == "broken"
    assert found.findings[0].column == "wind"
    assert found.broken_days[0] == date(2024, 1, 16)

    set_aside("visits", found)
    again = windows.triage_served(problem, champion, since, until)
    assert again.verdict in ("changed", "nothing")


def test_rows_that_were_served_before_a_window_are_known_rows(small: Small) -> None:
    """They and the training rows have times of two makes; and a season between is no fault."""
    workshop, late = Workshop(small), later_rows()
    champion, _ = versions(workshop, late)
    serve(late)
    found = windows.triage_served(workshop.problem, champion, date(2024, 1, 16), date(2024, 1, 20))
    assert found.is_trainable, found.reason
    assert found.n_rows == int((late["at"] >= pd.Timestamp("2024-01-16", tz="UTC")).sum())


def serve(frame: pd.DataFrame, *, again: bool = False) -> None:
    """Put answers into the lake; `again`: others to the same keys, later."""
    names = ["amount", "shop_size", "wind", "shop", "shop_kind"]
    sent = frame[names].astype(object).where(frame[names].notna(), None)
    rows = pd.DataFrame(
        {
            "prediction_id": [f"p{again:d}-{i}" for i in range(len(frame))],
            "received_at_us": np.arange(len(frame)) + again * len(frame),
            "event_time": frame["at"].to_numpy(),
            "key": [json.dumps({"visit": int(one)}) for one in frame["visit"]],
            "row": [json.dumps(one) for one in sent.to_dict("records")],
            "score": 0.5,
            "decision": 0,
            "model_version": 1,
            "bundle_sha256": "b" * 64,
        }
    )
    rows["event_time"] = pd.to_datetime(rows["event_time"], utc=True).dt.floor("us")
    assert set(rows) == set(COLUMNS) - {"seq"}
    prediction_table.append_predictions("visits", f"log:{again:d}", len(rows), rows)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Side, ...]]:
    """The sides that were triaged: reference, window and, of served rows, what is known."""
    sides: list[tuple[Side, ...]] = []

    def triage(*given: Side) -> Triage:
        sides.append(given)
        return stuck().model_copy(update={"verdict": "nothing", "findings": ()})

    monkeypatch.setattr(windows, "triage", triage)
    return sides


def test_each_served_row_is_known_once_and_not_from_days_aside(
    small: Small, judged: list[tuple[Side, ...]]
) -> None:
    workshop = Workshop(small)
    champion, _ = versions(workshop, later_rows())
    frame = learnable()
    serve(frame)  # those that were learned from were served as well
    serve(frame, again=True)
    set_aside("visits", stuck(days=(date(2024, 1, 14),)))
    since = date(2024, 1, 16)
    windows.triage_served(workshop.problem, champion, since, date(2024, 1, 20))
    ((_, window, known),) = judged
    is_before = frame["at"] < pd.Timestamp(since, tz="UTC")
    assert window.n_rows == (~is_before).sum()
    is_aside = frame["at"].dt.date == date(2024, 1, 14)
    assert known.n_rows == pytest.approx((is_before & ~is_aside).sum(), abs=1)


def test_a_handful_of_new_rows_is_judged_with_the_days_before_and_no_learned_row_by_its_score(
    small: Small, judged: list[tuple[Side, ...]]
) -> None:
    workshop = Workshop(small)
    champion, data = versions(workshop, later_rows().head(20))
    windows.triage_training(workshop.problem, data, champion)
    ((reference, window),) = judged
    assert window.n_rows >= 200
    learned = np.datetime64(
        pd.Timestamp(read_manifest(champion.bundle)["trained_before"]).tz_localize(None)
    )
    for side in (reference, window):
        assert side.scores is not None and side.times is not None
        assert (np.isnan(side.scores) == (side.times < learned)).all()
