"""The table of labels: what was known when, exactly once, and nothing lost."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.errors import ConfigError, DataError
from retrue.labelling import labels
from tests.unit.late_labels import NOW, day, make_problem

PROBLEM = make_problem()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def batch(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of visit, label and, if wanted, known_at."""
    names = ["visit", "label", "known_at"][: len(rows[0])]
    return pd.DataFrame(rows, columns=names)


def known(moment: datetime, recorded_before: datetime | None = None) -> dict[str, Any]:
    """Label of each key, and that none of them is from the future."""
    found = labels.as_known_at("visits", moment, recorded_before)
    assert (found["known_at"] <= moment).all()
    return dict(zip(found["key"], found["value"], strict=True))


def test_a_correction_is_a_later_row_and_what_was_known_before_stays() -> None:
    labels.add(PROBLEM, batch((1, 0, day(2)), (2, 1, day(3))), "first.csv", "Ann", day(4))
    labels.add(PROBLEM, batch((1, 1, day(5))), "second.csv", "Bob", day(6))
    assert known(day(1)) == {}
    assert known(day(2)) == {'{"visit":1}': 0}
    assert known(day(4)) == {'{"visit":1}': 0, '{"visit":2}': 1}
    assert known(day(5)) == {'{"visit":1}': 1, '{"visit":2}': 1}
    assert known(day(5), recorded_before=day(6)) == {'{"visit":1}': 0, '{"visit":2}': 1}
    past = labels.history("visits", {"visit": 1.0})
    assert list(past["value"]) == [0, 1]
    assert list(past["author"]) == ["Ann", "Bob"]
    assert list(past["source"]) == ["first.csv", "second.csv"]
    assert list(past["recorded_at"]) == [day(4), day(6)]
    assert labels.history("visits", {"visit": 3}).empty


def test_of_two_labels_known_at_once_the_one_recorded_last_counts() -> None:
    labels.add(PROBLEM, batch((1, 0, day(2))), "a", None, day(9))
    labels.add(PROBLEM, batch((1, 1, day(2))), "b", None, day(8))
    assert known(day(9)) == {'{"visit":1}': 0}
    labels.add(PROBLEM, batch((1, 0, day(3)), (1, 1, day(3))), "c", None, day(9))
    assert known(day(9)) == {'{"visit":1}': 1}


def test_a_batch_is_appended_once_however_often_and_whenever_it_comes() -> None:
    frame = batch((1, 0), (2, 1))
    assert labels.add(PROBLEM, frame, "a.csv", "Ann", day(4)) == 2
    assert labels.add(PROBLEM, frame, "copy of a.csv", "Ann", day(5)) == 0
    assert labels.add(PROBLEM, frame.assign(visit=[1.0, 2.0]), "a.csv", "Ann", day(6)) == 0
    assert labels.add(PROBLEM, frame, "a.csv", "Bob", day(7)) == 2
    assert labels.add(PROBLEM, frame.head(0), "a.csv", "Ann", day(8)) == 0
    assert list(labels.history("visits", {"visit": 2})["known_at"]) == [day(4), day(7)]
    assert labels.summary("visits") == {
        "labels": 4,
        "rows": 2,
        "corrected": 0,
        "without_row": 0,
        "newest_known_at": "2024-02-07T00:00:00+00:00",
        "sources": {"a.csv": 4},
    }


VALUES = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=15, deadline=None)
@given(values=st.lists(VALUES | st.text(st.characters(codec="utf-8"), min_size=1), min_size=1))
def test_numbers_and_texts_are_kept_to_the_last_digit(values: list[Any]) -> None:
    problem = make_problem(expression="late_label > 5")
    frame = pd.DataFrame({"visit": range(len(values)), "label": pd.Series(values, dtype=object)})
    with fresh_home():
        labels.add(problem, frame, "a.csv", None, day(2))
        found = labels.as_known_at("visits", day(3)).sort_values("key", key=lambda k: k.str.len())
        stored = {key: (type(v), v) for key, v in zip(found["key"], found["value"], strict=True)}
    assert stored == {f'{{"visit":{i}}}': (type(v), v) for i, v in enumerate(values)}


LABELS = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(1, 6))
BATCHES = st.lists(
    st.tuples(st.lists(LABELS, min_size=1, max_size=4), st.integers(0, 2)), min_size=1, max_size=4
)


@settings(max_examples=20, deadline=None)
@given(batches=BATCHES, known_day=st.integers(1, 7), taken=st.integers(0, 4))
def test_no_label_is_seen_before_it_was_known_and_the_past_never_changes(
    batches: list[tuple[list[tuple[int, int, int]], int]], known_day: int, taken: int
) -> None:
    recorded = [day(7)]
    for _, later in batches:
        recorded.append(recorded[-1] + timedelta(hours=later))
    moment, before = day(known_day), recorded[min(taken, len(batches))]
    rows = []
    answers = []
    with fresh_home():
        for number, (entries, _) in enumerate(batches):
            at = recorded[number + 1]
            if at >= before:
                answers.append(known(moment, recorded_before=before))
            frame = batch(*[(key, value, day(when)) for key, value, when in entries])
            # An author a batch, or a batch drawn twice would rightly be taken once.
            labels.add(PROBLEM, frame, "a.csv", f"Ann {number}", at)
            rows += [(key, day(when), at, value) for key, value, when in entries]
        answers.append(known(moment, recorded_before=before))
        now_known = known(moment)
    assert all(answer == answers[-1] for answer in answers)
    for key in range(3):
        seen = [row for row in rows if row[0] == key and row[1] <= moment]
        text = f'{{"visit":{key}}}'
        newest = max((row[1:3] for row in seen), default=None)
        allowed = {row[3] for row in seen if row[1:3] == newest}
        assert (text in now_known) == bool(seen)
        assert not seen or now_known[text] in allowed
        was_taken = [row for row in seen if row[2] < before]
        assert (text in answers[-1]) == bool(was_taken)


def test_linked_rows_get_what_was_known_at_midnight_of_the_day() -> None:
    labels.add(
        PROBLEM, batch((1, 1, day(3)), (2, 0, day(3) + timedelta(seconds=1))), "a", None, NOW
    )
    linked = pd.DataFrame({"visit": [2, 9, 1], "amount": [1.0, 2.0, 3.0]}, index=[5, 5, 7])
    joined = labels.join(PROBLEM, linked, date(2024, 2, 3))
    assert joined["late_label"].dtype == np.float64
    assert joined["late_label"].fillna(-1).tolist() == [-1, -1, 1]
    assert joined.index.tolist() == [5, 5, 7]
    assert list(linked) == ["visit", "amount"]
    tomorrow = labels.join(PROBLEM, linked, date(2024, 2, 4))["late_label"]
    assert tomorrow.fillna(-1).tolist() == [0, -1, 1]
    none = labels.join(PROBLEM, linked, date(2024, 2, 4), recorded_before=NOW)["late_label"]
    assert none.isna().all()
    assert labels.join(PROBLEM, linked.head(0), date(2024, 2, 4))["late_label"].empty


def test_one_text_among_the_labels_makes_them_categories() -> None:
    problem = make_problem("multiclass")
    labels.add(problem, batch((1, "red"), (2, 5), (3, "blue")), "a", None, day(1))
    joined = labels.join(problem, pd.DataFrame({"visit": [3, 2, 4]}), date(2024, 3, 1))
    assert joined["late_label"].cat.categories.tolist() == ["5", "blue", "red"]
    assert [str(value) for value in joined["late_label"]] == ["blue", "5", "nan"]


@pytest.mark.parametrize(
    "kind", ["int64", "float64", "Int64", "object", "category", "text", "padded"]
)
def test_keys_meet_whatever_type_their_column_has(kind: str) -> None:
    problem = make_problem(key=["at", "visit"])
    at = pd.Series(pd.to_datetime(["2024-02-01T05:00:00Z", "2024-02-01T06:00:00Z"]))
    frame = pd.DataFrame(
        {"visit": ["7", "8"], "at": ["2024-02-01T06:00+01:00", "2024-02-01 06:00"]}
    )
    labels.add(problem, frame.assign(label=[0, 1]), "a", None, day(2))
    visits: Any = pd.Series([7, 8])
    if kind == "category":
        visits = pd.Series(["7", "8"], dtype="category")
    elif kind in ("text", "padded"):
        visits = pd.Series(["7", "8"] if kind == "text" else ["07", "08"])
    else:
        visits = visits.astype(kind)
    for times in (at, at.astype("datetime64[us, UTC]"), at.dt.tz_convert("Asia/Seoul")):
        linked = pd.DataFrame({"visit": visits, "at": times})
        found = labels.join(problem, linked, date(2024, 3, 1))["late_label"].tolist()
        assert found == [0, 1] or (kind == "padded" and np.isnan(found).all())


def test_rows_without_a_key_get_no_label() -> None:
    labels.add(PROBLEM, batch((1, 1)), "a", None, day(1))
    linked = pd.DataFrame({"visit": [np.nan, 1.0, np.inf]})
    assert labels.join(PROBLEM, linked, date(2024, 3, 1))["late_label"].notna().tolist() == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"visit": [1, None]}, "a.csv row 1 column visit: expected a key's value, found none"),
        ({"label": [1, 2]}, "a.csv row 1 column label: expected 1 or 0, found 2"),
        ({"label": [1, "yes"]}, "a.csv row 1 column label: expected 1 or 0, found 'yes'"),
        ({"label": [1, np.nan]}, "a.csv row 1 column label: expected a number or a text"),
        ({"label": [1, np.inf]}, "a.csv row 1 column label: expected a number within float64"),
        ({"label": ["", 1]}, "a.csv row 0 column label: expected a number or a text"),
        ({"known_at": ["", "soon"]}, "a.csv row 1 column known_at: expected an ISO 8601 time"),
        ({"known_at": [None, 20240201]}, "a.csv row 1 column known_at: expected an ISO 8601 time"),
        ({"known_at": [day(1), day(40)]}, "a.csv row 1 column known_at: expected a time that has"),
    ],
)
def test_a_wrong_label_is_told_with_row_and_column_and_nothing_is_taken(
    change: dict[str, Any], said: str
) -> None:
    frame = pd.DataFrame({"visit": [1, 2], "label": [0, 1]}).assign(
        **{name: pd.Series(values, dtype=object) for name, values in change.items()}
    )
    with pytest.raises(DataError) as caught:
        labels.add(PROBLEM, frame, "a.csv", None, NOW)
    assert str(caught.value).startswith(said)
    assert known(NOW) == {}


def test_labels_need_a_key_and_its_columns() -> None:
    frame = batch((1, 1))
    with pytest.raises(ConfigError, match="columns in data.key, found none"):
        labels.add(make_problem(key=()), frame, "a.csv", None, NOW)
    with pytest.raises(DataError, match="found no column shop"):
        labels.add(make_problem(key=["visit", "shop"]), frame, "a.csv", None, NOW)
    with pytest.raises(DataError, match="expected the column visit, found columns shop"):
        labels.join(PROBLEM, pd.DataFrame({"shop": ["A"]}), date(2024, 3, 1))
    with pytest.raises(DataError, match="expected no column late_label"):
        labels.join(PROBLEM, pd.DataFrame({"visit": [1], "late_label": [1]}), date(2024, 3, 1))
    with pytest.raises(DataError, match="column label: expected a number, found 'many'"):
        labels.add(make_problem("regression"), batch((1, "many")), "a.csv", None, NOW)


@contextmanager
def fresh_home() -> Iterator[None]:
    """A state folder for one example of a property."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"RETRUE_HOME": folder}),
    ):
        yield
