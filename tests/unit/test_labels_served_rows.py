"""Served rows as a source table: typed as a source is, one row a key, with late labels joined."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.errors import BundleError
from retrue.labelling import labels
from retrue.labelling.served_rows import served, served_rows
from tests.unit.late_labels import NOW, day, make_problem, serve, write_bundle


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def test_rows_are_typed_as_a_source_is() -> None:
    features = [
        {"name": "amount", "kind": "numeric"},
        {"name": "n_calls", "kind": "numeric"},
        {"name": "seats", "kind": "numeric"},
        {"name": "shop", "kind": "categorical"},
        {"name": "door", "kind": "categorical"},
        {"name": "opened", "kind": "date"},
        {"name": "note", "kind": "text"},
    ]
    rows: list[list[Any]] = [
        [0.5, 3, 4, "B", 5, "2020-01-01", "2020-01-01"],
        [2, 4, None, None, 5.0, "2020-01-02T03:00:00+01:00", None],
        [None, True, 5, "A", "x", None, "hello"],
    ]
    names = [str(feature["name"]) for feature in features]
    bundle = write_bundle(features=features)
    serve([{"row": dict(zip(names, row, strict=True)), "day": 3} for row in rows], bundle)
    frame = served_rows("visits")
    assert list(frame) == ["visit", "at", *names]
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert kinds == {
        "visit": "int64",
        "at": "datetime64[us, UTC]",
        "amount": "float64",
        "n_calls": "int64",
        "seats": "float64",
        "shop": "category",
        "door": "category",
        "opened": "datetime64[us, UTC]",
        "note": "category",
    }
    by_visit = frame.set_index("visit").sort_index()
    assert by_visit["n_calls"].tolist() == [3, 4, 1]
    assert by_visit["door"].tolist() == ["5", "5", "x"]
    assert by_visit["opened"].tolist()[1] == pd.Timestamp("2020-01-02T02:00:00Z")
    assert by_visit["amount"].fillna(-1).tolist() == [0.5, 2, -1]
    assert (frame["at"] == day(3)).all()


def test_the_first_answer_to_a_key_counts_and_others_are_counted() -> None:
    rows: list[dict[str, Any]] = [
        {"key": {"visit": 7}, "row": {"amount": 1.0, "shop": "A"}, "day": 9},
        {"key": {"visit": 7.0}, "row": {"amount": 2.0, "shop": "A"}, "day": 1},
        {"key": {"visit": 5}, "row": {"amount": 3.0, "shop": "A"}, "day": 9},
        {"key": {"visit": 6}, "row": {"amount": 4.0, "shop": "A"}, "day": 2},
        {"key": None},
        {"key": {"visit": None}},
    ]
    serve(rows, write_bundle())
    found = served("visits")
    assert (found.n_doubles, found.n_without_key) == (1, 2)
    assert found.frame["visit"].tolist() == [6, 5, 7]
    assert found.frame["amount"].tolist() == [4.0, 3.0, 1.0]


def test_the_order_does_not_depend_on_the_order_of_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = []
    for number, logs in enumerate((("1-a", "1-b"), ("1-b", "1-a"))):
        monkeypatch.setenv("RETRUE_HOME", str(tmp_path / f"home{number}"))
        bundle = write_bundle()
        for log in logs:
            shift = 10 if log == "1-b" else 0
            serve([{"key": {"visit": n + shift}, "day": n % 3 + 1} for n in range(6)], bundle, log)
        frames.append(served_rows("visits"))
    assert frames[0].equals(frames[1])
    assert len(frames[0]) == 12


def test_without_a_key_each_row_stands_for_itself() -> None:
    row = {"amount": 1.0, "shop": "A"}
    serve([{"key": None, "row": row}, {"key": None, "row": row}], write_bundle(key=[], time=None))
    found = served("visits")
    assert (len(found.frame), found.n_doubles, found.n_without_key) == (2, 0, 0)
    assert list(found.frame) == ["amount", "shop"]


def test_before_the_first_answer_there_is_nothing() -> None:
    assert served_rows("visits").empty


def test_a_lost_bundle_is_told() -> None:
    serve([{}], "0" * 64)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        served_rows("visits")


def test_served_rows_and_late_labels_make_a_labelled_table() -> None:
    serve([{"day": n} for n in range(1, 6)], write_bundle())
    problem = make_problem()
    frame = pd.DataFrame(
        {"visit": [1, 2, 3], "label": [1, 0, 1], "known_at": [day(2), day(3), NOW]}
    )
    labels.add(problem, frame, "a.csv", None, NOW)
    joined = labels.join(problem, served_rows("visits"), date(2024, 2, 20))
    assert joined["late_label"].fillna(-1).tolist() == [1, 0, -1, -1, -1]
    assert joined["late_label"].dtype == np.float64
