"""Concept drift by the model's errors: seen where x is untouched, silent where only x moves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrue.performance.concept import ALPHA, Labelled, compare
from retrue.performance.report import Concept

NUMERIC = ("a", "b", "c", "empty", "still")
CATEGORICAL = ("shop",)
WEIGHTS = np.array([1.0, 0.6, -0.4])


def expit(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def rows(
    seed: int,
    n_days: int = 28,
    shift: float = 0.0,
    weights: Any = WEIGHTS,
    day_sd: float = 0.4,
    shop_a: float = 0.0,
) -> Labelled:
    """Rows of a model that knows P(y|x) but for a shock that the labels of a day share."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(n_days), 150)
    x = rng.normal(size=(len(day), 3)) + np.array([shift, 0, 0])
    x[:, 0] += rng.normal(0, 0.5, n_days)[day]  # weather: the features of a day are alike as well
    shop = rng.choice(["A", "B", "C"], len(day))
    shock = rng.normal(0, day_sd, n_days)[day] + np.where(shop == "A", shop_a, 0)
    y = rng.random(len(day)) < expit(x @ weights - 1 + shock)
    features = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        shop=pd.Categorical(shop), empty=np.nan, still=1.0
    )
    return Labelled(y.astype(float), expit(x @ WEIGHTS - 1), day, features)


def compared(reference: Labelled, current: Labelled, seed: int = 7) -> Concept:
    return compare(reference, current, NUMERIC, CATEGORICAL, seed)


def share_changed(n: int, **changes: Any) -> float:
    found = [compared(rows(2 * s), rows(2 * s + 1, **changes)) for s in range(n)]
    return float(np.mean([one.verdict == "changed" for one in found]))


def test_days_that_share_shocks_raise_no_more_false_alarms_than_promised() -> None:
    # 20 windows at 1 % each: three alarms by chance come once in 1,000 seeds.
    assert ALPHA == 0.01
    assert share_changed(20) <= 2 / 20


def test_features_that_move_alone_are_no_concept_drift() -> None:
    assert share_changed(20, shift=1.0) <= 2 / 20


@pytest.mark.parametrize("n_days", [7, 28])
def test_a_concept_that_flips_with_x_untouched_is_seen(n_days: int) -> None:
    flipped = WEIGHTS * np.array([-1, 1, 1])
    assert share_changed(3, n_days=n_days, weights=flipped) == 1
    moved = compared(rows(0), rows(1, n_days=n_days, weights=flipped)).terms
    assert {one.name for one in moved[:2]} == {"a", "score"}


def test_a_minor_feature_that_flips_is_seen_and_named() -> None:
    found = compared(rows(0), rows(1, weights=WEIGHTS * np.array([1, 1, -1])))
    assert found.verdict == "changed"
    assert found.terms[0].name == "c"
    assert "along c" in found.reason


def test_a_category_that_changed_its_meaning_is_named() -> None:
    found = compared(rows(0), rows(1, shop_a=1.0))
    assert found.verdict == "changed"
    assert found.terms[0].name == "shop = A"
    assert found.terms[0].z > 0


def test_a_regression_and_several_classes_have_errors_as_well() -> None:
    rng = np.random.default_rng(4)
    sides = [rows(seed) for seed in (0, 1)]
    as_numbers = [
        replace(one, y=one.score * 10 + rng.normal(0, 1, len(one.y)), score=one.score * 10)
        for one in sides
    ]
    assert compared(as_numbers[0], as_numbers[1]).verdict == "unchanged"
    more = replace(as_numbers[1], y=as_numbers[1].y + as_numbers[1].features["b"].to_numpy())
    assert compared(as_numbers[0], more).terms[0].name == "b"
    both = [replace(one, score=np.column_stack([1 - one.score, one.score])) for one in sides]
    assert compared(both[0], both[1]).verdict == "unchanged"
    turned = replace(both[1], y=1 - both[1].y)
    assert compared(both[0], turned).verdict == "changed"


def test_the_same_seed_and_any_order_of_rows_give_the_same_answer() -> None:
    reference, current = rows(0), rows(1)
    order = np.random.default_rng(1).permutation(len(current.y))
    mixed = Labelled(
        current.y[order],
        current.score[order],
        np.asarray(current.days)[order],
        current.features.iloc[order],
    )
    first, again = compared(reference, current), compared(reference, mixed)
    assert first.p_value == again.p_value
    assert [one.name for one in first.terms] == [one.name for one in again.terms]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": np.zeros(28 * 150)}, "all labels of the window are alike"),
        ({"score": np.full(28 * 150, np.nan)}, "scores or labels of the window that are no"),
        ({"days": np.arange(28 * 150) % 4}, "4 labelled days in the window"),
    ],
)
def test_what_cannot_be_tested_cannot_tell(change: dict[str, Any], said: str) -> None:
    found = compared(rows(0), replace(rows(1), **change))
    assert found.verdict == "cannot tell"
    assert said in found.reason
    nothing = Labelled(np.empty(0), np.empty(0), np.empty(0), rows(1).features[:0])
    assert compared(rows(0), nothing).verdict == "cannot tell"
    assert compared(nothing, rows(0)).verdict == "cannot tell"
