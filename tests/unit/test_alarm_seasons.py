"""A window is held against its own season of an earlier year, where there is one."""

from datetime import date

import pandas as pd
import pytest

from retrue.alarms.seasons import same_season, season
from retrue.config_drift import Drift

DRIFT = Drift(min_rows=100, season_days=7)
JULY = (date(2016, 7, 1), date(2016, 8, 1))
ENOUGH = pd.DataFrame({"temp": [20.0] * 100})


class Table:
    """Answers the given years, and notes what it was asked for."""

    def __init__(self, years: dict[int, tuple[pd.DataFrame, int]]) -> None:
        self.years, self.asked = years, list[tuple[date, date]]()

    def __call__(self, first: date, end: date) -> tuple[pd.DataFrame, int]:
        self.asked.append((first, end))
        return self.years.get(first.year, (ENOUGH.head(0), 0))


def chosen(tables: dict[str, Table], **changes: object) -> str | None:
    given = {"learned_until": date(2016, 6, 1), "drift": DRIFT, **changes}
    found = same_season(
        *JULY,
        learned_until=given["learned_until"],  # type: ignore[arg-type]
        readers=tables,
        columns=["temp"],
        drift=given["drift"],  # type: ignore[arg-type]
    )
    return None if found is None else found[1]


def test_the_same_days_of_the_year_before_are_taken_and_named() -> None:
    table = Table({2015: (ENOUGH, 31)})
    assert chosen({"served rows": table}) == (
        "served rows of 2015-06-24 to 2015-08-07, the same season"
    )
    assert table.asked == [(date(2015, 6, 24), date(2015, 8, 8))]


def test_an_older_year_is_taken_when_the_last_one_has_too_little() -> None:
    table = Table({2015: (ENOUGH.head(99), 31), 2014: (ENOUGH, 15), 2013: (ENOUGH, 16)})
    assert chosen({"served rows": table}) == (
        "served rows of 2013-06-24 to 2013-08-07, the same season"
    )


def test_served_rows_go_before_training_rows_of_the_same_year() -> None:
    tables = {"served rows": Table({}), "training rows": Table({2015: (ENOUGH, 31)})}
    assert (chosen(tables) or "").startswith("training rows of 2015")
    tables["served rows"] = Table({2015: (ENOUGH, 31)})
    assert (chosen(tables) or "").startswith("served rows of 2015")


@pytest.mark.parametrize(
    "changes",
    [
        {"learned_until": None},
        {"learned_until": date(2011, 1, 1)},
        {"drift": DRIFT.model_copy(update={"season_days": None})},
    ],
    ids=["no time", "the model never saw it", "switched off"],
)
def test_no_season_is_taken_that_is_none_or_that_the_model_never_saw(
    changes: dict[str, object],
) -> None:
    table = Table(dict.fromkeys(range(2010, 2016), (ENOUGH, 31)))
    assert chosen({"served rows": table}, **changes) is None
    assert table.asked == []


def test_a_season_without_values_in_a_column_is_not_taken() -> None:
    assert chosen({"served rows": Table({2015: (ENOUGH * float("nan"), 31)})}) is None


def test_a_window_of_more_than_a_year_has_no_season_of_its_own() -> None:
    first, end = season(date(2015, 1, 1), date(2016, 2, 1), 1, 7)
    assert end > date(2015, 1, 1)
    found = same_season(
        date(2015, 1, 1),
        date(2016, 2, 1),
        date(2016, 2, 1),
        {"served rows": Table({first.year: (ENOUGH, 400)})},
        ["temp"],
        DRIFT,
    )
    assert found is None
