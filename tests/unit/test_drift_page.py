"""The page of a drift check: what the ledger holds, shown; what it lacks, said; nothing runs."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from retrue import drift, drift_page, ledger
from retrue.check_facts import CheckFacts
from retrue.config import Features
from retrue.config_drift import Drift
from retrue.drift import DriftReport
from retrue.drift_page import course_sections, feature_rows, feature_sections
from retrue.ledger import Check, Ledger
from tests.unit.html_outline import Outline

HOSTILE = '<script>alert("1")</script>'
FEATURES = Features(numeric=("temp", HOSTILE), categorical=("carrier",))
DRIFT = Drift(min_rows=100, max_rows=500, magnitude_above=50, backend="native")
FIRST = date(2013, 4, 1)


def rows(seed: int, temp: float = 0.0, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temp": rng.normal(temp, 1, n).round(2),
            HOSTILE: rng.exponential(5, n),
            "carrier": rng.choice(
                ["AA", "B6", HOSTILE], n, p=[0.1, 0.1, 0.8] if temp else [0.4, 0.4, 0.2]
            ),
        }
    )


def report(temp: float, n: int = 400) -> DriftReport:
    return drift.check(rows(0), rows(1, temp, n), FEATURES, DRIFT)


@pytest.fixture(scope="module")
def reports() -> dict[str, DriftReport]:
    return {"drift": report(4), "no drift": report(0), "cannot tell": report(0, n=20)}


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RETRUE_LEDGER_URL", raising=False)
    return ledger.connect()


def record(
    book: Ledger,
    found: DriftReport,
    week: int = 0,
    version: int = 1,
    verdict: Literal["drift", "no drift", "cannot tell"] | None = None,
    **more: Any,
) -> Check:
    start = FIRST + timedelta(weeks=week)
    return ledger.record_check(
        book,
        "flights",
        version,
        start,
        start + timedelta(weeks=1),
        verdict=verdict or found.verdict,
        report_json=json.dumps({**found.model_dump(mode="json"), **more}),
    )


def page_of(book: Ledger, check: Check, more: dict[str, Any] | None = None) -> str:
    path = drift_page.write_page(check, ledger.checks(book, "flights"), more)
    assert path == drift_page.page_path(check)
    text = path.read_text(encoding="utf-8")
    Outline(text)
    assert not re.search(r'\b(?:src|href)="(?!#|data:,|drift-v)', text)
    assert HOSTILE not in text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).split()
    return text


def section(text: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">(.*?)</section>', text, re.DOTALL)
    assert found, name
    return found[1]


def test_drift_is_told_with_its_reason_and_the_distributions_that_moved(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    found = reports["drift"]
    text = page_of(book, record(book, found))

    lead = section(text, "overview")
    assert '<span class="verdict bad">drift</span>' in lead
    assert found.reason.split(";")[0] in lead and "A retraining is asked for" in lead
    moved = section(text, "moved")
    temp = found.features[0]
    assert "<h3>temp</h3>" in moved and "temp: reference and current" in moved
    assert "<h3>carrier</h3>" in moved
    assert "above " in moved  # the last bin of numbers
    assert f"{100 * temp.bins[-1].current:.1f}".removesuffix(".0") + " %" in moved
    table = section(text, "features")
    for one in found.features:
        assert f"{one.contribution:.1f} %" in table


def test_no_drift_asks_for_nothing_and_draws_no_distribution(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    text = page_of(book, record(book, reports["no drift"]))
    assert '<span class="verdict good">no drift</span>' in text
    assert "Nothing is done." in section(text, "overview")
    assert "No single distribution moved." in section(text, "moved")


def test_cannot_tell_is_no_all_clear(book: Ledger, reports: dict[str, DriftReport]) -> None:
    text = page_of(book, record(book, reports["cannot tell"]))
    lead = section(text, "overview")
    assert '<span class="verdict ask">cannot tell</span>' in lead
    assert "not an all-clear" in lead and "20 current rows are fewer than 100" in lead
    assert "<b>-</b><span>magnitude</span>" in lead
    assert "Not measured." in section(text, "moved")
    assert "Not measured." in section(text, "features")


def test_a_first_check_says_that_there_is_no_course(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    course = section(page_of(book, record(book, reports["no drift"])), "course")
    assert "This is the first check" in course
    assert course.count("<tr>") == 2


def test_the_course_has_the_checks_before_it_alone_with_links_to_pages_that_are_there(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    first = record(book, reports["no drift"], 0)
    record(book, reports["cannot tell"], 1)
    page_of(book, first)
    last = record(book, reports["drift"], 2, version=2)
    record(book, reports["drift"], 3, version=2)

    course = section(page_of(book, last), "course")
    assert "3 checks, by 2 model versions" in course
    for verdict in ("drift", "no drift", "cannot tell"):
        assert f"{verdict}," in course
    assert f'<a href="{drift_page.page_path(first).name}">' in course
    assert course.count("<a ") == 1
    assert "2013-04-22 until" not in course
    assert ">v2</text>" in course


def test_checks_of_other_forms_of_report_do_not_hide_the_rest(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    for week, text in enumerate(("{}", "no JSON", '{"magnitude": NaN, "features": [3]}')):
        ledger.record_check(
            book,
            "flights",
            1,
            FIRST + timedelta(weeks=week),
            FIRST + timedelta(weeks=week + 1),
            verdict="drift",
            report_json=text,
        )
    course = section(page_of(book, record(book, reports["drift"], 5)), "course")
    assert "4 checks" in course


def test_what_else_is_known_has_sections_and_what_is_not_has_none(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    plain = page_of(book, record(book, reports["drift"], 0))
    for name in ("alarm", "triage", "performance"):
        assert f'<section id="{name}">' not in plain

    alarm = {
        "verdict": "no drift",
        "vote": "drift",
        "held_back": "cool-down",
        "exceeded": ["temp"],
        "reason": f"held {HOSTILE}",
        "warnings": ["short reference"],
    }
    interval = {"value": 0.45, "lower": 0.44, "upper": 0.46}
    more = {
        "triage": {
            "verdict": "broken",
            "reason": f"units {HOSTILE}",
            "findings": [{"kind": "stuck", "column": HOSTILE, "is_certain": False, "share": 0.4}],
            "changes": ["dewp rose"],
        },
        "performance": {
            "verdict": "worse",
            "reason": "log loss rose",
            "estimated": {"metrics": {"log_loss": interval}},
            "realised": {"metrics": {}, "reason": "no labels yet"},
            "trust": {"state": "untested", "reason": HOSTILE},
        },
    }
    held = record(book, reports["drift"], 1, verdict="no drift", alarm=alarm)
    text = page_of(book, held, more)

    assert "held back (cool-down)" in section(text, "overview")
    assert "short reference" in section(text, "alarm")
    assert "perhaps stuck" in section(text, "triage") and "40%" in section(text, "triage")
    assert "0.4500 <small>[0.4400, 0.4600]</small>" in section(text, "performance")
    assert "no labels yet" in section(text, "performance")


def test_a_column_that_lost_its_values_is_shown_though_it_has_no_distribution(book: Ledger) -> None:
    current = rows(1)
    current["temp"] = np.nan
    text = page_of(book, record(book, drift.check(rows(0), current, FEATURES, DRIFT)))
    assert "temp is all null in the current rows alone" in section(text, "moved")
    assert "100 %" in section(text, "moved")


def test_predictions_and_labels_are_shown_where_they_are_known(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    answers = {"score": pd.Series(np.linspace(0, 1, 200))}
    kept = drift.summarise(rows(0), FEATURES, answers).outputs["score"]
    shift = drift.shift(kept, pd.Series(np.linspace(0, 1, 300) ** 3))
    assert shift is not None
    found = reports["drift"].model_copy(update={"predictions": shift, "attributions": 0.9314})
    outputs = section(page_of(book, record(book, found)), "outputs")
    assert "Predictions: reference and current" in outputs and "0.931" in outputs
    assert "none are known yet" in outputs


def test_many_categories_become_those_that_moved_most_and_the_rest() -> None:
    bins = [
        {"category": str(i), "reference": 0.02, "current": 0.5 if i == 40 else 0.5 / 49}
        for i in range(50)
    ]
    drawn = feature_sections.bars(bins, most=5)
    assert len(drawn) == 5 and drawn[-1][0] == "all others"
    assert ("40", 0.02, 0.5) in drawn
    assert sum(one[1] for one in drawn) == pytest.approx(1)
    assert sum(one[2] for one in drawn) == pytest.approx(1)


def test_ends_of_bins_are_told_apart_however_close_they_are() -> None:
    ends = [{"up_to": 20130105.0 + i, "reference": 0.5, "current": 0.5} for i in range(2)]
    names = [name for name, _, _ in feature_sections.bars(ends)]
    assert names == ["up to 20130105", "20130105 to 20130106"]


def test_the_table_for_the_ui_has_a_row_a_feature_and_no_nan(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    found = feature_rows.rows(record(book, reports["drift"]))
    assert found[0]["feature"] == reports["drift"].top_feature
    assert len(found) == len(FEATURES.numeric) + len(FEATURES.categorical)
    json.dumps(found, allow_nan=False)


def test_windows_with_times_of_day_have_pages_of_their_own(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    names = set()
    for hour in (6, 7):
        check = ledger.record_check(
            book,
            "flights",
            1,
            f"2013-04-01T0{hour}:00:00Z",
            f"2013-04-01T0{hour + 1}:00:00Z",
            verdict="no drift",
            report_json=reports["no drift"].model_dump_json(),
        )
        names.add(drift_page.page_path(check).name)
    assert names == {
        "drift-v1-2013-04-01T0600-2013-04-01T0700.html",
        "drift-v1-2013-04-01T0700-2013-04-01T0800.html",
    }


def moved(alarm: Any = None, **changes: Any) -> str:
    """The section of a feature that did not move but for these figures."""
    still = {"name": "temp", "contribution": 2, "significant": True, "psi": 0.01}
    still |= {"missing_reference": 0.0, "missing_current": 0.0, **changes}
    return feature_sections.moved({"features": [still], "alarm": alarm})


def test_a_feature_is_drawn_when_the_alarm_names_it_or_its_values_went_missing() -> None:
    assert "No single distribution moved." in moved()
    assert "<h3>temp</h3>" in moved({"exceeded": ["temp"]})
    assert "<h3>temp</h3>" in moved(missing_current=0.05)


def test_of_many_that_moved_the_rest_is_counted() -> None:
    many = [
        {"name": f"f{i}", "contribution": 15 - i, "significant": True, "psi": 1.0}
        for i in range(15)
    ]
    shown = feature_sections.moved({"features": many})
    assert shown.count("<h3>") == 12
    assert "3 more moved" in shown


def test_what_a_report_holds_itself_goes_before_what_is_told_beside_it(
    book: Ledger, reports: dict[str, DriftReport]
) -> None:
    told = {name: {"verdict": "broken", "reason": f"as {name}"} for name in ("recorded", "told")}
    check = record(book, reports["drift"], triage=told["recorded"])
    shown = section(page_of(book, check, {"triage": told["told"]}), "triage")
    assert "as recorded" in shown and "as told" not in shown


def test_the_last_check_has_a_colour_for_each_of_its_features() -> None:
    def one(**contributions: float) -> CheckFacts:
        plain = ("p", 1, "2013-04-01", "2013-04-02", "", "drift", "")
        return CheckFacts(1, *plain, 50.0, None, None, None, None, contributions)

    earlier = [one(**{f"old{i}": 15.0 for i in range(6)}) for _ in range(4)]
    assert course_sections.leading([*earlier, one(new=20.0)])[0] == "new"
