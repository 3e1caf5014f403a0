"""Links add columns and never rows; no partner is later than its row; bad links are errors."""

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.config import Data, Link, Problem, Source
from retrue.errors import DataError
from retrue.linking import Linked, known_before, link
from retrue.matches import Matches

HOUR = pd.Timedelta(hours=1)
START = pd.Timestamp("2024-01-01", tz="UTC")


def problem_of(*links: Link, time: str | None = "at") -> Problem:
    tables = ["visits", *dict.fromkeys(step.table for step in links)]
    sources = {table: Source(path=table) for table in tables}
    data = Data(sources=sources, main="visits", key=("visit",), time=time, links=links)
    # `link` and `known_before` look at nothing else.
    return cast(Problem, SimpleNamespace(data=data))


def hours(*values: float | None) -> pd.Series:
    """Times by their hours after the start of 2024."""
    times = [pd.NaT if value is None else START + value * HOUR for value in values]
    return pd.Series(pd.DatetimeIndex(times, tz="UTC").as_unit("us"))


def joined(left: pd.DataFrame, right: pd.DataFrame, **step: Any) -> Linked:
    """Link `right` to `left`, taking its column `value`."""
    one = Link(table="right", columns={"value": "value"}, **step)
    return link({"visits": left, "right": right}, problem_of(one))


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    visits = pd.DataFrame(
        {
            "visit": range(6),
            "at": hours(0, 1, 2, 3, 4, 5),
            "shop": pd.Categorical(["A", "B", "C", "A", None, "B"]),
        }
    )
    shops = pd.DataFrame(
        {
            "code": pd.Categorical(["A", "B", "Z"]),
            "size": [10, 20, 30],
            "kind": pd.Categorical(["small", "large", "large"]),
        }
    )
    weather = pd.DataFrame({"hour": hours(0, 1, 2, 3, 4, 5), "wind": [5.5, 6, 7, 8, 9, 10]})
    return {"visits": visits, "shops": shops, "weather": weather}


SHOPS = Link(table="shops", on={"shop": "code"}, columns={"size": "shop_size", "kind": "shop_kind"})
WEATHER = Link(table="weather", on={"at": "hour"}, columns={"wind": "wind"})


def test_each_row_gets_its_partners_and_keeps_its_place(tables: dict[str, pd.DataFrame]) -> None:
    before = {name: frame.copy() for name, frame in tables.items()}

    linked = link(tables, problem_of(SHOPS, WEATHER))

    nan = float("nan")
    assert linked.frame["visit"].tolist() == list(range(6))
    np.testing.assert_array_equal(linked.frame["shop_size"], [10, 20, nan, 10, nan, 20])
    assert linked.frame["shop_kind"].tolist()[:2] == ["small", "large"]
    assert linked.frame["wind"].tolist() == [5.5, 6, 7, 8, 9, 10]
    assert linked.matched == {"shops": 4, "weather": 6}
    assert linked.match_rates == {"shops": 4 / 6, "weather": 1.0}
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_linked_types_do_not_depend_on_the_match(tables: dict[str, pd.DataFrame]) -> None:
    visits = tables["visits"]
    problem = problem_of(SHOPS, WEATHER)
    some = link(tables, problem).frame.dtypes
    every = link(tables | {"visits": visits[visits["shop"] == "A"]}, problem).frame.dtypes

    assert every.equals(some)


def test_a_table_linked_twice_has_a_rate_for_each(tables: dict[str, pd.DataFrame]) -> None:
    visits = tables["visits"].assign(next_shop=pd.Categorical(["A"] * 6))
    again = Link(table="shops", on={"next_shop": "code"}, columns={"size": "next_size"})

    linked = link(tables | {"visits": visits}, problem_of(SHOPS, again))

    assert linked.match_rates == {"shops by shop": 4 / 6, "shops by next_shop": 1.0}


def test_a_key_that_is_not_unique_is_refused_with_its_values_and_rows(
    tables: dict[str, pd.DataFrame],
) -> None:
    shops = pd.concat([tables["shops"], tables["shops"].iloc[[0]]], ignore_index=True)

    with pytest.raises(
        DataError, match=r"link to shops: .*one row .* 2 rows for code=A: data rows 1, 4 \(1 such"
    ):
        link(tables | {"shops": shops}, problem_of(SHOPS))


def test_keys_of_two_types_are_refused(tables: dict[str, pd.DataFrame]) -> None:
    shops = tables["shops"].assign(code=[1, 2, 3])

    with pytest.raises(DataError, match=r"shop is category.*code is int64"):
        link(tables | {"shops": shops}, problem_of(SHOPS))


def test_a_name_already_taken_and_a_missing_column_are_refused(
    tables: dict[str, pd.DataFrame],
) -> None:
    problem = problem_of(SHOPS, WEATHER)

    with pytest.raises(DataError, match="found wind, already taken"):
        link(tables | {"visits": tables["visits"].assign(wind=1)}, problem)
    with pytest.raises(DataError, match="column size in shops"):
        link(tables | {"shops": tables["shops"].drop(columns="size")}, problem)
    as_of = Link(table="weather", as_of={"seen": "hour"}, columns={"wind": "wind"})
    with pytest.raises(DataError, match="column seen in the linked rows"):
        link(tables, problem_of(as_of))


def test_a_row_used_twice_is_refused_where_the_link_is_one_to_one(
    tables: dict[str, pd.DataFrame],
) -> None:
    problem = problem_of(SHOPS.model_copy(update={"one_to_one": True}))
    visits = tables["visits"]

    with pytest.raises(
        DataError, match=r"link to shops: .*one_to_one.* 2 rows for code=A: data rows 1, 4 \(2 such"
    ):
        link(tables, problem)
    # Rows without a partner are not two uses of one row.
    once = link(tables | {"visits": visits.iloc[[0, 1, 2, 4]]}, problem)
    assert once.matched == {"shops": 2}


def test_parts_are_asked_together_for_enough_partners_and_single_use(
    tables: dict[str, pd.DataFrame],
) -> None:
    visits, problem = tables["visits"], problem_of(SHOPS.model_copy(update={"min_match": 4 / 6}))
    halves = [visits.iloc[[2, 4]], visits.iloc[[0, 1, 3, 5]]]
    with pytest.raises(DataError, match=r"found one for 0.00% \(0 of 2\), none for shop=C"):
        link(tables | {"visits": halves[0]}, problem)

    matches = Matches()
    for half in halves:
        link(tables | {"visits": half}, problem, matches)
    matches.insist_enough(problem.data)
    assert (matches.n_rows, matches.match_rates) == (6, {"shops": 4 / 6})
    link(tables | {"visits": halves[0]}, problem, matches)
    with pytest.raises(DataError, match=r"found one for 50.00% \(4 of 8\), none for shop=C"):
        matches.insist_enough(problem.data)

    single = problem_of(SHOPS.model_copy(update={"one_to_one": True}))
    matches = Matches()
    link(tables | {"visits": visits.iloc[[0, 1]]}, single, matches)
    with pytest.raises(
        DataError, match=r"found 2 rows for code=A: data row 4 and a row before .*\(1 such"
    ):
        link(tables | {"visits": visits.iloc[[2, 3]]}, single, matches)


@pytest.mark.parametrize(("min_match", "stops"), [(4 / 6, False), (0.67, True), (1, True)])
def test_too_few_partners_stop_with_rate_table_and_a_key(
    tables: dict[str, pd.DataFrame], min_match: float, stops: bool
) -> None:
    problem = problem_of(SHOPS.model_copy(update={"min_match": min_match}))
    if not stops:
        assert link(tables, problem).match_rates == {"shops": 4 / 6}
        return

    with pytest.raises(DataError, match=r"link to shops: .* 66.67% \(4 of 6\), none for shop=C"):
        link(tables, problem)


def test_an_empty_table_has_no_share_to_refuse(tables: dict[str, pd.DataFrame]) -> None:
    none = tables | {"visits": tables["visits"].iloc[:0]}

    linked = link(none, problem_of(SHOPS.model_copy(update={"min_match": 1.0})))

    assert (linked.n_rows, linked.match_rates) == (0, {"shops": 0.0})


def test_only_what_was_known_at_the_date_takes_part(tables: dict[str, pd.DataFrame]) -> None:
    later = {
        name: frame.assign(**{column: frame[column] + 22 * HOUR})
        for name, column in (("visits", "at"), ("weather", "hour"))
        for frame in [tables[name]]
    }
    known = known_before(tables | later, problem_of(SHOPS, WEATHER), date(2024, 1, 2))

    assert known["visits"]["visit"].tolist() == [0, 1]  # midnight itself is not known
    assert len(known["weather"]) == 2
    assert len(known["shops"]) == 3
    assert len(later["visits"]) == 6
    sides = {name: later.get(name, tables[name]) for name in ("shops", "weather")}
    assert list(known_before(sides, problem_of(SHOPS, WEATHER), date(2024, 1, 2))) == list(sides)


def test_an_as_of_table_is_cut_by_its_own_time(tables: dict[str, pd.DataFrame]) -> None:
    step = Link(table="weather", as_of={"at": "hour"}, columns={"wind": "wind"})
    late = tables | {"weather": tables["weather"].assign(hour=hours(20, 21, 22, 23, 24, 25))}

    for time in ("at", None):
        known = known_before(late, problem_of(step, time=time), date(2024, 1, 2))
        assert len(known["weather"]) == 4
        assert len(known["visits"]) == 6


def test_without_a_time_and_without_an_end_all_rows_are_known(
    tables: dict[str, pd.DataFrame],
) -> None:
    known = known_before(tables, problem_of(SHOPS, WEATHER, time=None), date(2000, 1, 1))
    whole = known_before(tables, problem_of(SHOPS, WEATHER), date.max)

    for name, frame in tables.items():
        pd.testing.assert_frame_equal(known[name], frame)
        pd.testing.assert_frame_equal(whole[name], frame)


def test_the_newest_row_at_or_before_the_time_is_taken() -> None:
    left = pd.DataFrame({"visit": range(5), "at": hours(0, 1, 1.5, None, 9)})
    right = pd.DataFrame({"hour": hours(2, 1, None, 0.5), "value": [20, 10, 99, 5]})
    nan = float("nan")

    every = joined(left, right, as_of={"at": "hour"})
    young = joined(left, right, as_of={"at": "hour"}, within_hours=0.5)

    np.testing.assert_array_equal(every.frame["value"], [nan, 10, 10, nan, 20])
    np.testing.assert_array_equal(young.frame["value"], [nan, 10, 10, nan, nan])
    assert (every.matched, young.matched) == ({"right": 3}, {"right": 2})


def test_an_earlier_row_of_another_key_is_no_partner() -> None:
    left = pd.DataFrame({"visit": range(3), "at": hours(3, 3, 6), "k": ["b", "c", "b"]})
    right = pd.DataFrame({"k": ["a", "b", "a"], "hour": hours(1, 5, 6), "value": [1, 2, 3]})

    linked = joined(left, right, on={"k": "k"}, as_of={"at": "hour"})

    nan = float("nan")
    np.testing.assert_array_equal(linked.frame["value"], [nan, nan, 2])


def test_two_rows_of_one_key_and_time_are_refused_with_both() -> None:
    left = pd.DataFrame({"visit": [0], "at": hours(9), "k": pd.Categorical(["a"])})
    keys = pd.Categorical(["a", "b", "a", "a"])
    right = pd.DataFrame({"k": keys, "hour": hours(1, 2, 2, 2), "value": [1, 2, 3, 4]})

    with pytest.raises(
        DataError,
        match=r"one row of right for each k, hour, found 2 rows for "
        r"k=a, hour=2024-01-01T02:00:00\+00:00: data rows 3, 4 \(1 such keys\)",
    ):
        joined(left, right, on={"k": "k"}, as_of={"at": "hour"})


def test_one_to_one_holds_as_of_a_time_too() -> None:
    left = pd.DataFrame({"visit": range(2), "at": hours(1, 2)})
    right = pd.DataFrame({"hour": hours(0), "value": [1]})

    with pytest.raises(DataError, match=r"one_to_one.* hour=2024-01-01T00:00:00.*data rows 1, 2"):
        joined(left, right, as_of={"at": "hour"}, one_to_one=True)


@pytest.mark.parametrize(
    ("left_time", "right_time", "words"),
    [
        (pd.Series([1.0]), hours(0), "at is float64.*hour is datetime64"),
        (hours(0), pd.Series([1.0]), "at is datetime64.*hour is float64"),
        (pd.Series([1.0]), pd.Series([1.0]), "at is float64.*hour is float64"),
        (hours(0), hours(0).dt.tz_convert(None), r"UTC\].*hour is datetime64\[us\]"),
    ],
)
def test_times_that_cannot_be_compared_are_refused(
    left_time: pd.Series, right_time: pd.Series, words: str
) -> None:
    left = pd.DataFrame({"visit": [0], "at": left_time})
    right = pd.DataFrame({"hour": right_time, "value": [1]})

    with pytest.raises(DataError, match=f"times of one type.*{words}"):
        joined(left, right, as_of={"at": "hour"})


keys = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
numbers = st.one_of(st.none(), st.integers(0, 3))
moments = st.one_of(st.none(), st.integers(0, 12))


@settings(deadline=None)
@given(
    left=st.lists(st.tuples(keys, numbers), max_size=20),
    right=st.lists(st.tuples(keys, numbers), max_size=12, unique=True),
    as_category=st.booleans(),
)
def test_links_are_what_a_lookup_by_key_gives(
    left: list[tuple[str | None, int | None]],
    right: list[tuple[str | None, int | None]],
    as_category: bool,
) -> None:
    kinds = {"k": "category" if as_category else "object", "n": "float64"}
    a = pd.DataFrame(left, columns=["k", "n"]).astype(kinds).assign(visit=range(len(left)))
    b = pd.DataFrame(right, columns=["k", "n"]).astype(kinds).assign(value=range(len(right)))
    lookup = {key: i for i, key in enumerate(right) if None not in key}

    result = joined(a, b, on={"k": "k", "n": "n"}).frame["value"]

    expected = [lookup.get(key, np.nan) for key in left]
    np.testing.assert_array_equal(result.to_numpy(dtype="float64"), np.array(expected, dtype=float))


def newest(
    row: tuple[str | None, int | None],
    right: list[tuple[str | None, int | None]],
    with_keys: bool,
    within_hours: float | None,
) -> int | None:
    """Position of the partner, by looking at every row."""
    key, at = row
    best: tuple[int, int] | None = None
    for position, (other, hour) in enumerate(right):
        if at is None or hour is None or hour > at:
            continue
        if with_keys and (key is None or key != other):
            continue
        if within_hours is not None and at - hour > within_hours:
            continue
        if best is None or hour > best[0]:
            best = hour, position
    return None if best is None else best[1]


@settings(deadline=None, max_examples=300)
@given(
    left=st.lists(st.tuples(keys, moments), max_size=20),
    right=st.lists(st.tuples(keys, moments), max_size=15),
    with_keys=st.booleans(),
    within_hours=st.one_of(st.none(), st.sampled_from([0.5, 1, 2.5, 6])),
    as_category=st.booleans(),
)
def test_as_of_is_what_looking_at_every_row_gives(
    left: list[tuple[str | None, int | None]],
    right: list[tuple[str | None, int | None]],
    with_keys: bool,
    within_hours: float | None,
    as_category: bool,
) -> None:
    kind = "category" if as_category else "object"

    def frame(rows: list[tuple[str | None, int | None]], time: str, name: str) -> pd.DataFrame:
        column = pd.Series([key for key, _ in rows], dtype=kind)
        times = hours(*(hour for _, hour in rows))
        return pd.DataFrame({"k": column, time: times, name: range(len(rows))})

    usable = [(k if with_keys else "", t) for k, t in right if t is not None]
    usable = [row for row in usable if row[0] is not None]
    main, table = frame(left, "at", "visit"), frame(right, "hour", "value")
    step: dict[str, Any] = {"as_of": {"at": "hour"}, "within_hours": within_hours}
    if with_keys:
        step["on"] = {"k": "k"}
    if len(set(usable)) < len(usable):
        with pytest.raises(DataError, match="one row of right for each"):
            joined(main, table, **step)
        return

    linked = joined(main, table, **step)

    expected = [newest(row, right, with_keys, within_hours) for row in left]
    found = [None if pd.isna(value) else int(value) for value in linked.frame["value"]]
    assert found == expected
    assert linked.matched == {"right": sum(row is not None for row in expected)}
    pd.testing.assert_frame_equal(linked.frame[list(main.columns)], main)
