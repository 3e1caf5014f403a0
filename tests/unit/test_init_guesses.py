"""What is guessed of a table: kinds, task, time, key and leaks, each for the reason given."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.errors import DataError
from retrue.initialisation.guessing import label_of, quoted
from retrue.initialisation.keys import key_of
from retrue.initialisation.leaks import skills, suspects
from retrue.initialisation.profiling import profile
from retrue.initialisation.roles import assign, without
from retrue.initialisation.spans import span_of, time_column
from retrue.labelling import label_expression

N = 1_000


def label(values: Any, name: str = "y") -> tuple[str, str]:
    frame = pd.DataFrame({name: values})
    found = label_of(frame[name], profile(frame)[name], "t.csv")
    return found.task, found.expression


def days(n: int, start: str = "2024-01-01") -> pd.Series[Any]:
    return pd.Series(
        pd.date_range(start, periods=n, freq="h", tz="UTC").astype("datetime64[us, UTC]")
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("values", "task", "expression"),
    [
        ([0, 1, 0, 0], "binary", "y > 0.5"),
        ([1, 2, 2, None], "binary", "y > 1.5"),
        (pd.Categorical(["no", "yes", "no", None]), "binary", "y == 'yes'"),
        (pd.Categorical(["B", "M", "B", "B"]), "binary", "y == 'M'"),
        (pd.Categorical(["yes", "no", "yes", "yes"]), "binary", "y == 'yes'"),
        (pd.Categorical(["a", "b", "c", "c"]), "multiclass", "y"),
        ([3, 4, 5, 5], "multiclass", "y"),
        ([0.5, 1.25, 3.0, 9.0], "regression", "y"),
        (list(range(40)), "regression", "y"),
    ],
)
def test_the_task_follows_the_values_of_the_target(values: Any, task: str, expression: str) -> None:
    assert label(values) == (task, expression)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1, 1, 1], "one value"),
        ([None, None], "no value"),
        (days(5), "times"),
        (pd.Categorical([f"v{i}" for i in range(60)]), "60 texts"),
    ],
)
def test_a_target_that_cannot_be_one_is_refused_with_its_name(values: Any, found: str) -> None:
    with pytest.raises(DataError, match=f"t.csv column y: expected .* found {found}"):
        label(values)


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(min_size=1, max_size=12).filter(lambda text: "`" not in text),
    texts=st.lists(st.text(max_size=8), min_size=2, max_size=2, unique=True),
)
def test_a_label_of_any_name_and_texts_selects_one_of_the_two(name: str, texts: list[str]) -> None:
    values = pd.Categorical([texts[0]] * 3 + [texts[1]] * 2)
    _, expression = label(values, name)

    assert label_expression.columns(expression) == (name,)
    found = label_expression.evaluate(expression, pd.DataFrame({name: values}))
    assert sorted(found.unique()) == [0.0, 1.0]


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_a_bound_between_two_numbers_tells_them_apart(one: float, other: float) -> None:
    if one == other:
        return
    frame = pd.DataFrame({"y": [one, other, one]})
    _, expression = label(frame["y"])

    assert sorted(label_expression.evaluate(expression, frame).unique()) == [0.0, 1.0]


def test_only_a_name_that_is_no_identifier_is_quoted() -> None:
    assert quoted("기온") == "기온"
    assert [quoted(name) for name in ("a b", "if", "ﬁ", "1st")] == [
        "`a b`",
        "`if`",
        "`ﬁ`",
        "`1st`",
    ]


def test_columns_take_the_role_of_their_values(rng: np.random.Generator) -> None:
    sentences = [f"the {a} and the {b} went on to {c}" for a, b, c in rng.integers(0, 99, (N, 3))]
    frame = pd.DataFrame(
        {
            "order_id": np.arange(N) + 17,
            "uuid": pd.Categorical([f"{i:032x}" for i in rng.permutation(N)]),
            "amount": rng.normal(size=N),
            "shop": pd.Categorical(rng.choice(["A", "B", "C"], N)),
            "note": pd.Categorical(sentences),
            "born": days(N, "1980-01-01"),
            "empty": np.full(N, np.nan),
            "same": np.ones(N),
            "y": rng.integers(0, 2, N),
        }
    )
    columns = profile(frame)
    key = key_of(columns, frame, "y", None)
    roles = assign(columns, "y", None, key)

    assert key == ("order_id",)
    assert roles.numeric == ["amount"]
    assert roles.categorical == ["shop"]
    assert roles.text == ["note"]
    assert roles.dates == ["born"]
    assert list(roles.left_out) == ["order_id", "uuid", "empty", "same"]


def test_a_key_of_several_columns_is_found_and_an_accident_is_none(
    rng: np.random.Generator,
) -> None:
    shops = pd.Categorical(np.repeat([f"s{i}" for i in range(20)], 50))
    at = pd.concat([days(50)] * 20, ignore_index=True)
    frame = pd.DataFrame({"at": at, "shop": shops, "x": rng.normal(size=N), "y": rng.random(N)})
    assert key_of(profile(frame), frame, "y", "at") == ("at", "shop")

    # Moments to the microsecond differ by themselves: another batch might repeat one.
    frame["at"] = at + pd.to_timedelta(rng.integers(0, 10**12, N), unit="us")
    assert key_of(profile(frame), frame, "y", "at") == ()


def test_the_earliest_complete_time_is_taken_and_a_wrong_wish_is_refused() -> None:
    at = days(100)
    frame = pd.DataFrame({"paid_at": at + pd.Timedelta("2D"), "sold_at": at, "x": range(100)})
    frame["gap_at"] = at.where(at.index != 7) - pd.Timedelta("9D")
    columns = profile(frame)

    assert time_column(columns, frame, "x", "t.csv", None) == "sold_at"
    assert time_column(columns, frame, "x", "t.csv", "paid_at") == "paid_at"
    for wish, found in (("x", "numbers"), ("gap_at", "data row 8"), ("gone", "columns paid_at")):
        with pytest.raises(DataError, match=found):
            time_column(columns, frame, "x", "t.csv", wish)


def test_the_span_holds_out_the_newest_fifth() -> None:
    span = span_of(days(24 * 50))

    assert (span.start, span.until) == (date(2024, 1, 1), date(2024, 2, 20))
    assert span.holdout_days == 10
    assert span.holdout_share == pytest.approx(0.2)


def world(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series[Any]]:
    frame = pd.DataFrame(rng.normal(size=(4 * N, 5)), columns=list("abcde"))
    y = pd.Series((frame["a"] + rng.normal(size=4 * N) > 0.5).astype(float))
    return frame, y


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("copy", "alone it tells"),
        ("text", "alone it tells"),
        ("near", "alone it tells"),
        ("null", "of class 0.0: known afterwards"),
        ("late", "lies after at"),
        ("named", "its name has 'y'"),
        ("unknown", "missing where the target is"),
    ],
)
def test_each_leak_is_found_and_no_honest_column_is(
    rng: np.random.Generator, kind: str, reason: str
) -> None:
    frame, y = world(rng)
    at = days(len(frame))
    frame["at"] = at
    leak: Any = {
        "copy": y * 3 + 1,
        "text": pd.Categorical(np.where(y == 1, "was late", "was not")),
        "near": y + rng.normal(0, 0.4, len(y)),
        "null": frame["b"].where((y == 0) | (rng.random(len(y)) < 0.03)),
        "late": at + pd.to_timedelta(rng.integers(1, 900, len(y)), unit="m"),
        "named": y + rng.normal(0, 0.9, len(y)),
        "unknown": frame["b"].where(rng.random(len(y)) > 0.1),
    }[kind]
    if kind == "unknown":
        y = y.where(leak.notna())
    name = "y_final" if kind == "named" else "leak"
    frame[name] = leak

    found = suspects(frame, [*"abcde", name], "y", y, "at")

    assert list(found) == [name], found
    assert reason in found[name]


def test_an_easy_task_is_no_leak(rng: np.random.Generator) -> None:
    y = pd.Series(rng.integers(0, 3, N)).map({0: "x", 1: "y", 2: "z"})
    centre = y.map({"x": 0, "y": 1, "z": 2})
    frame = pd.DataFrame({c: centre + rng.normal(0, 0.25, N) for c in "abcd"})

    assert min(skills(frame, list("abcd"), y).values()) > 0.8
    assert suspects(frame, list("abcd"), "y", y) == {}


def test_a_function_of_an_amount_is_found_and_chance_has_no_skill(rng: np.random.Generator) -> None:
    y = pd.Series(rng.lognormal(size=N))
    frame = pd.DataFrame({"log": np.log(y), "x": rng.normal(size=N), "z": y * rng.random(N)})

    skill = skills(frame, ["log", "x", "z"], y)
    assert skill["log"] > 0.99
    assert abs(skill["x"]) < 0.15
    assert list(suspects(frame, ["log", "x", "z"], "price", y)) == ["log"]


def test_if_all_columns_are_suspects_they_stay_with_a_word(rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"x": rng.normal(size=N)})
    roles = assign(profile(frame), "y", None, ())

    kept = without(roles, {"x": "it is a copy"})
    assert (kept.features, kept.suspects) == (["x"], {"x": "it is a copy"})
