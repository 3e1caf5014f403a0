"""Links add columns and never rows; only what was known at the date takes part."""

from datetime import date
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.acquisition import read_sources
from retrue.config import Data, Link, Problem, Source
from retrue.errors import DataError
from retrue.linking import known_before, link

if TYPE_CHECKING:
    from tests.unit.conftest import Small


def joined(left: pd.DataFrame, right: pd.DataFrame, on: dict[str, str]) -> pd.DataFrame:
    data = Data(
        sources={"left": Source(path="left"), "right": Source(path="right")},
        main="left",
        key=("id",),
        time="at",
        links=(Link(table="right", on=on, columns={"value": "value"}),),
    )
    # `link` looks at nothing else.
    problem = cast(Problem, SimpleNamespace(data=data))
    return link({"left": left, "right": right}, problem).frame


def test_each_row_gets_its_partners_and_keeps_its_place(small: "Small") -> None:
    tables = read_sources(small.problem, small.root).tables
    before = {name: frame.copy() for name, frame in tables.items()}

    linked = link(tables, small.problem)

    assert linked.frame["visit"].tolist() == list(range(40))
    assert linked.frame["shop_size"].tolist()[:3] == [10, 20, pytest.approx(np.nan, nan_ok=True)]
    assert linked.frame["shop_kind"].tolist()[1] == "large"
    assert linked.matched == {"shops": 27, "weather": 40}
    assert linked.match_rates == {"shops": 27 / 40, "weather": 1.0}
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_linked_types_do_not_depend_on_the_match(small: "Small") -> None:
    tables = read_sources(small.problem, small.root).tables
    matched = tables | {"visits": tables["visits"][tables["visits"]["shop"] != "C"]}

    assert (link(matched, small.problem).frame.dtypes.drop(["shop"])).equals(
        link(tables, small.problem).frame.dtypes.drop(["shop"])
    )


def test_a_key_that_is_not_unique_is_refused_with_its_values(small: "Small") -> None:
    small.write("shops.csv", "code,size,kind\nA,1,x\nB,2,y\nA,3,z\n")
    tables = read_sources(small.problem, small.root).tables

    with pytest.raises(DataError, match=r"link to shops: expected one row .* 2 rows for code=A"):
        link(tables, small.problem)


def test_keys_of_two_types_are_refused(small: "Small") -> None:
    small.write("shops.csv", "code,size,kind\n1,1,x\n2,2,y\n")
    tables = read_sources(small.problem, small.root).tables

    with pytest.raises(DataError, match=r"shop is category.*code is int64"):
        link(tables, small.problem)


def test_a_name_already_taken_and_a_missing_column_are_refused(small: "Small") -> None:
    tables = read_sources(small.problem, small.root).tables

    with pytest.raises(DataError, match="found wind, already taken"):
        link(tables | {"visits": tables["visits"].assign(wind=1)}, small.problem)
    with pytest.raises(DataError, match="column size in shops"):
        link(tables | {"shops": tables["shops"].drop(columns="size")}, small.problem)


def test_only_what_was_known_at_the_date_takes_part(small: "Small") -> None:
    tables = read_sources(small.problem, small.root).tables

    known = known_before(tables, small.problem, date(2024, 1, 6))

    end = pd.Timestamp("2024-01-06", tz="UTC")
    assert known["visits"]["at"].max() < end
    assert len(known["visits"]) == 10
    assert known["weather"]["hour"].max() < end
    assert len(known["shops"]) == 3
    assert len(tables["visits"]) == 40


def test_a_time_is_excluded_at_the_date_itself(small: "Small") -> None:
    tables = read_sources(small.problem, small.root).tables
    midnight = tables["visits"]["at"] == pd.Timestamp("2024-01-01", tz="UTC")
    assert midnight.sum() == 1

    assert known_before(tables, small.problem, date(2024, 1, 1))["visits"].empty


keys = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
numbers = st.one_of(st.none(), st.integers(0, 3))


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
    a = pd.DataFrame(left, columns=["k", "n"]).astype(kinds).assign(id=range(len(left)))
    b = pd.DataFrame(right, columns=["k", "n"]).astype(kinds).assign(value=range(len(right)))
    lookup = {key: i for i, key in enumerate(right) if None not in key}

    result = joined(a, b, {"k": "k", "n": "n"})["value"]

    expected = [lookup.get(key, np.nan) for key in left]
    np.testing.assert_array_equal(result.to_numpy(dtype="float64"), np.array(expected, dtype=float))
