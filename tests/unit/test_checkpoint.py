"""The checkpoint before fitting: missing values and balance of the classes."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.checkpoint import Checkpoint, checkpoint, class_weights, markdown
from retrue.config import Features, Processing
from retrue.processing import fit_features

FEATURES = Features(numeric=("x", "plain"), categorical=("c",), dates=("when",), text=("note",))
PROCESSING = Processing(fill={"x": "median"}, clip={"x": (0.1, 0.9)}, rare_below=3, text_buckets=4)


def rows_of(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": [None if i % 4 == 0 else float(i) for i in range(n)],
            "plain": [None if i % 5 == 0 else 1.0 for i in range(n)],
            "c": [None if i % 10 == 0 else "ab"[i % 2] if i < n - 4 else f"r{i}" for i in range(n)],
            "when": pd.Series([pd.Timestamp("2013-01-01", tz="UTC")] * n).where(
                pd.Series(range(n)) >= 2
            ),
            "note": ["late"] * n,
        }
    )


def taken(n: int = 20, **given_: Any) -> Checkpoint:
    frame = rows_of(n)
    y = (np.arange(n) % 4 == 0).astype(np.float64)
    features = fit_features(frame, FEATURES, PROCESSING)
    return checkpoint(frame, y, features, **given_)


def test_missing_values_are_counted_before_and_after() -> None:
    found = {one.name: one for one in taken().features}
    missing = {name: (one.missing_before, one.missing_after) for name, one in found.items()}
    assert missing == {
        "x": (0.25, 0.0),
        "plain": (0.2, 0.2),
        "c": (0.1, 0.1),
        "when": (0.1, 0.1),
        "note": (0.0, 0.0),
    }


def test_clipped_values_and_merged_categories_are_counted() -> None:
    found = {one.name: one for one in taken().features}
    # 15 known values; the 0.1 quantile is the second, the 0.9 quantile the fourteenth.
    assert found["x"].clipped == pytest.approx(2 / 15)
    assert found["plain"].clipped == 0
    assert (found["c"].n_rare_merged, found["plain"].n_rare_merged) == (4, 0)


def test_balanced_weights_make_the_classes_equal() -> None:
    y = (np.arange(20) % 4 == 0).astype(np.float64)
    weights = class_weights(y, "balanced")
    assert weights is not None
    assert weights.mean() == pytest.approx(1)
    shares = [(one.label, one.n_rows, one.share_before) for one in taken().classes]
    assert shares == [("0", 15, 0.75), ("1", 5, 0.25)]
    assert [one.share_after for one in taken().classes] == [0.75, 0.25]
    after = [one.share_after for one in taken(weights=weights).classes]
    assert after == pytest.approx([0.5, 0.5])
    assert class_weights(y, "none") is None


@given(y=st.lists(st.integers(0, 5).map(float), max_size=40))
def test_balanced_weights_are_those_of_scikit_learn(y: list[float]) -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    found = class_weights(np.array(y), "balanced")
    assert found is not None
    wanted = compute_sample_weight("balanced", y) if y else []
    assert found.tolist() == pytest.approx(list(wanted))


def test_classes_keep_their_texts_and_those_without_a_row_are_told() -> None:
    frame, y = rows_of(6), np.array([0.0, 0, 2, 2, 2, 0])
    found = checkpoint(frame, y, [], task="multiclass", classes=("early", "on time", "late"))
    assert [(one.label, one.n_rows) for one in found.classes] == [
        ("early", 3), ("on time", 0), ("late", 3),
    ]  # fmt: skip


def test_a_regression_has_quartiles_and_no_classes() -> None:
    y = np.arange(5.0)
    found = checkpoint(rows_of(5), y, [], task="regression")
    assert (found.quartiles, found.classes) == ((0, 1, 2, 3, 4), ())
    told = checkpoint(rows_of(5), y + 0.5, [])
    assert told.quartiles[2] == 2.5
    assert checkpoint(rows_of(5), y, []).quartiles == ()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", None])
def test_no_rows_have_no_shares(task: Any) -> None:
    frame = rows_of(8).head(0)
    features = fit_features(frame, FEATURES, PROCESSING)
    found = checkpoint(frame, np.empty(0), features, np.empty(0), task)
    assert found.n_rows == 0
    assert {one.missing_before for one in found.features} == {0.0}
    assert "0 training rows" in markdown(found)


def test_null_and_constant_columns_do_not_stop_it() -> None:
    frame = pd.DataFrame({"x": [math.nan] * 4, "c": [None] * 4})
    features = fit_features(
        frame, Features(numeric=("x",), categorical=("c",)), Processing(rare_below=2)
    )
    found = checkpoint(frame, np.ones(4), features)
    assert [one.missing_after for one in found.features] == [1.0, 1.0]


def test_the_page_tells_what_was_done_and_leaves_out_what_was_not() -> None:
    page = markdown(taken(weights=np.ones(20)))
    assert "| 1 | 5 | 25.00 % | 25.00 % |" in page
    assert "| x | numeric | 25.00 % | 0 % | 13.33 % | 0 |" in page
    assert "| c | categorical | 10.00 % | 10.00 % | 0 % | 4 |" in page
    assert "| note" not in page
    assert "Not shown: 1 features without a missing, clipped or merged value." in page


def test_a_page_of_many_features_and_classes_stays_readable() -> None:
    frame = pd.DataFrame({f"f{i}": [None] * (1 + i % 7) + [1.0] * (9 - i % 7) for i in range(300)})
    names = Features(numeric=tuple(frame.columns))
    features = fit_features(frame, names, Processing())
    y = np.repeat(np.arange(90.0), np.arange(1, 91))
    page = markdown(checkpoint(frame, y, features, task="multiclass"))
    assert len(page.splitlines()) < 100
    assert "Not shown: 260 features with fewer missing values." in page
    assert "Not shown: 50 classes with as many rows or more." in page
    assert "| 39 | 40 |" in page
    assert "| 40 | 41 |" not in page


@pytest.mark.parametrize("name", ["a|b", "a\nb", "<script>x</script>", "`x`", "x\\", "y" * 500])
def test_a_name_from_the_data_cannot_break_the_table(name: str) -> None:
    frame = pd.DataFrame({name: [1.0, None]})
    features = fit_features(frame, Features(numeric=(name,)), Processing())
    page = markdown(checkpoint(frame, np.array([0.0, 1.0]), features))
    line = next(line for line in page.splitlines() if "numeric" in line)
    cells = line.replace("\\\\", "").replace("\\|", "").split("|")
    assert len(cells) == 8
    assert len(line) < 300
    assert "<" not in line.replace("\\<", "")
