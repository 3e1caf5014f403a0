"""Delivered files become one data version; faults are set aside once; bad deliveries stop."""

import weakref
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from retrue import ingestion, lake, preparation
from retrue.config import Problem
from retrue.errors import DataError
from retrue.ingestion import Ingested
from retrue.linking import Linked, link
from retrue.preparation import Prepared, prepare
from retrue.problems import load_problem
from retrue.validation import ValidationError

if TYPE_CHECKING:
    from tests.unit.conftest import Small

ROOT = Path(__file__).parents[2]
UNTIL = date(2024, 1, 20)


def prepared(small: "Small", until: date = UNTIL) -> Prepared:
    return prepare(small.problem, until, small.root)


def test_the_same_data_prepared_again_is_the_same_version(small: "Small") -> None:
    first, second = prepared(small), prepared(small)

    assert first == second
    assert first.ref.version == 0
    assert first.ref.n_rows == 38
    assert len(lake.list_versions("visits")) == 1
    assert [v.table for v in first.validations] == ["shops", "weather", "visits", "linked"]
    assert lake.pins(first.ref) == first.tables
    assert set(first.tables) == {"visits", "shops", "weather"}


def test_rows_as_delivered_are_gone_when_those_of_the_span_are_linked(
    small: "Small", monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered: list[weakref.ref[pd.DataFrame]] = []
    alive: list[bool] = []
    read = ingestion.read

    def noted(problem: Problem, root: Path) -> Ingested:
        found = read(problem, root)
        delivered.append(weakref.ref(found.delivered["visits"].frame))
        return found

    def asked(*given: Any) -> Linked:
        alive.extend(one() is not None for one in delivered)
        return link(*given)

    monkeypatch.setattr(ingestion, "read", noted)
    monkeypatch.setattr(preparation, "link", asked)
    assert prepared(small).tables["visits"].n_rows == 40
    assert alive == [False]


def test_another_date_is_another_version(small: "Small") -> None:
    assert prepared(small, date(2024, 1, 10)).ref.n_rows == 18
    assert prepared(small).ref.version == 1


def test_a_fault_at_a_link_is_set_aside_once_and_its_rows_go_on(small: "Small") -> None:
    small.replace("weather.csv", "2024-01-02T02:00:00Z,7.5", "2024-01-02T02:00:00Z,1048.36")

    first = prepared(small, date(2024, 1, 10))
    prepared(small, date(2024, 1, 10))
    later = prepared(small)

    (fault,) = lake.read_quarantine("visits").to_dict("records")
    assert fault["table"] == "weather"
    assert fault["column"] == "wind"
    assert fault["value"] == "1048.36"
    assert fault["source_row"] == 4
    assert fault["key"] == '{"hour": "2024-01-02T02:00:00+00:00"}'
    assert fault["data_sha256"] == first.ref.sha256
    assert fault["until"] == "2024-01-10"
    assert "expect_column_values_to_be_between" in fault["reason"]
    assert (first.n_set_aside, later.n_set_aside) == (1, 1)
    frame = lake.read_version(later.ref, verify=True)
    assert frame["wind"].isna().sum() == 1
    assert len(frame) == 38


def test_a_fault_of_the_main_table_takes_its_row_out(small: "Small") -> None:
    small.replace("visits.csv", ",B,0.5,", ",B,-0.5,")

    result = prepared(small)

    assert result.ref.n_rows == 37
    assert lake.read_quarantine("visits")["key"].tolist() == ['{"visit": 1}']


@pytest.mark.parametrize("step", ["lake:write_parts", "quarantine:append_quarantine"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_cut_at_any_step_is_made_good_by_the_next(
    small: "Small", monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    small.replace("weather.csv", "2024-01-02T02:00:00Z,7.5", "2024-01-02T02:00:00Z,1048.36")
    module, name = step.split(":")
    room = getattr(preparation, module)
    real = getattr(room, name)

    def cut(*args: object, **kwargs: object) -> None:
        if moment == "after":
            real(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(room, name, cut)
        with pytest.raises(KeyboardInterrupt):
            prepared(small)
    result = prepared(small)

    assert lake.list_versions("visits") == [result.ref]
    assert lake.read_quarantine("visits")["data_sha256"].tolist() == [result.ref.sha256]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("weather.csv", "hour,wind", "hour,gust", ["weather.csv row 1", "the column wind"]),
        ("visits.csv", ",B,0.5,", ",B,x,", ["visits.csv row 3 column amount", "'x'"]),
        ("visits.csv", ",B,0.5,1", ",B,0.5,99", ["visits.csv row 3 column delay", "99"]),
        ("visits.csv", "\n1,2024", "\n0,2024", ["visits.csv row 2 column visit", "unique"]),
        ("shops.csv", "B,20", "A,20", ["link to shops", "2 rows for code=A"]),
        ("shops.csv", "B,20,large\n", "", ["table linked", "row_count"]),
    ],
)
def test_a_bad_delivery_leaves_the_earlier_version_untouched(
    small: "Small", name: str, old: str, new: str, words: list[str]
) -> None:
    if "linked" in words[0]:
        suite = "expectations/visits/linked.json"
        kind, column = '"expect_column_values_to_not_be_null"', '"shop_size"'
        rule = f'{{"type": {kind}, "kwargs": {{"column": {column}, "mostly": 0.6}}}}'
        small.write(suite, f'{{"name": "linked", "expectations": [{rule}]}}')
        words = ["table linked column shop_size", "not_be_null"]
    before = prepared(small)
    files = sorted(str(p) for p in before.ref.path.rglob("*"))
    small.replace(name, old, new)

    with pytest.raises(DataError) as error:
        prepared(small)

    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert sorted(str(p) for p in before.ref.path.rglob("*")) == files
    assert lake.latest_version("visits") == before.ref


def test_a_date_before_the_span_is_refused(small: "Small") -> None:
    with pytest.raises(DataError, match=r"until: expected a date after training.start"):
        prepared(small, date(2024, 1, 1))


def test_too_few_rows_for_the_span_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))
    flights = load_problem("flights", ROOT)

    with pytest.raises(ValidationError, match=r"weather.csv: .*row_count.* found 26115"):
        prepare(flights, date(2014, 6, 1), ROOT)


@pytest.mark.parametrize("until", [date(2013, 4, 1), date(2013, 8, 1), date(2014, 1, 1)])
def test_the_flights_are_prepared_at_any_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: date
) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path))

    result = prepare(load_problem("flights", ROOT), until, ROOT)

    assert result.match_rates["weather"] > 0.99
    (fault,) = lake.read_quarantine("flights").to_dict("records")
    assert (fault["table"], fault["column"], fault["source_row"]) == ("weather", "wind_speed", 1011)
    assert fault["key"] == '{"origin": "EWR", "time_hour": "2013-02-12T08:00:00+00:00"}'
    assert fault["value"].startswith("1048.36")
    assert fault["until"] == until.isoformat()
    times = lake.read_version(result.ref, columns=["time_hour"])["time_hour"]
    assert times.max() < until_utc(until)
    assert len(times) == result.ref.n_rows


def until_utc(until: date) -> object:
    return pd.Timestamp(until, tz="UTC")


def as_batches(small: "Small", *sizes: int) -> None:
    """Deliver the visits as files of a folder instead of one."""
    header, *rows = (small.root / "visits.csv").read_text().splitlines(keepends=True)
    small.replace("configs/visits.yaml", "{path: visits.csv}", "{folder: incoming}")
    for number, size in enumerate(sizes):
        text = header + "".join(rows[:size])
        del rows[:size]
        small.write(f"incoming/{number:02d}.csv", text)


def test_batches_make_the_version_that_one_file_makes(small: "Small") -> None:
    whole = prepared(small)
    as_batches(small, 20, 10, 10)
    batched = prepared(small)

    assert batched.ref.sha256 == whole.ref.sha256
    assert batched.tables["visits"].n_rows == 40


def test_a_batch_delivered_twice_under_two_names_is_taken_in_once(small: "Small") -> None:
    as_batches(small, 20, 20)
    first = prepared(small)
    small.write("incoming/07.csv", (small.root / "incoming/01.csv").read_bytes())

    assert prepared(small) == first


def test_a_row_of_an_earlier_part_that_comes_again_is_set_aside(
    small: "Small", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrue.tables.PART_ROWS", 20)
    as_batches(small, 20, 20)
    again = (small.root / "incoming/00.csv").read_text().splitlines(keepends=True)
    small.write("incoming/05.csv", "".join(again[:11]))
    result = prepared(small)

    faults = lake.read_quarantine("visits")
    assert set(faults["rule"]) == {"key_delivered_once (visit)"}
    assert set(faults["key"]) == {f'{{"visit": {visit}}}' for visit in range(10)}
    assert result.ref.n_rows == 38
    assert lake.read_version(result.ref, verify=True)["visit"].tolist() == list(range(38))


def test_a_bad_batch_is_not_taken_in_and_the_good_ones_stay(small: "Small") -> None:
    as_batches(small, 20, 20)
    first = prepared(small)
    path = small.write("incoming/09.csv", "visit,at,shop,amount,delay\n90,2024-01-19,A,1,900\n")

    with pytest.raises(ValidationError, match=r"09.csv row 2 column delay"):
        prepared(small)
    path.unlink()
    assert prepared(small) == first
