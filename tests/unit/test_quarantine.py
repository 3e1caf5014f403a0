"""Rows that were set aside: told once, let pass once, and admitted again by the next run."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from retrue import lake, quarantine
from retrue.errors import DataError
from retrue.preparation import prepare

if TYPE_CHECKING:
    from tests.unit.conftest import Small

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def put(*fault_ids: str, **columns: object) -> None:
    faults = [
        dict.fromkeys(quarantine.QUARANTINE.names, "-")
        | {"fault_id": fault_id, "source_row": 7, **columns}
        for fault_id in fault_ids
    ]
    quarantine.append_quarantine("p", pd.DataFrame(faults))


def test_a_fault_is_released_once_and_says_who_when_and_why() -> None:
    put("aa", "ab", "b")

    assert quarantine.release("p", ["aa", "b", "aa"], "Ada", "the sensor was right", NOW) == 2
    assert quarantine.release("p", ["aa", "ab"], "Bob", "again", NOW) == 1

    assert quarantine.released("p") == {"aa", "ab", "b"}
    releases = quarantine.read_releases("p").set_index("fault_id")
    assert releases["by"].to_dict() == {"aa": "Ada", "b": "Ada", "ab": "Bob"}
    assert releases["reason"]["aa"] == "the sensor was right"
    assert releases["at"]["aa"] == pd.Timestamp(NOW)


@pytest.mark.parametrize(
    ("ids", "by", "reason", "words"),
    [
        (["aa", "zz"], "Ada", "why", "a fault in the quarantine, found zz; .*retrue data faults p"),
        (["aa"], " ", "why", "by: some words, found none"),
        (["aa"], "Ada", "", "reason: some words, found none"),
    ],
)
def test_a_release_that_is_wrong_releases_nothing(
    ids: list[str], by: str, reason: str, words: str
) -> None:
    put("aa")

    with pytest.raises(DataError, match=words):
        quarantine.release("p", ids, by, reason, NOW)

    assert quarantine.released("p") == frozenset()


def test_a_row_stays_set_aside_while_one_of_its_faults_is_left() -> None:
    faults = pd.DataFrame({"fault_id": ["a", "b", "c"], "label": [1, 1, 2]})

    assert quarantine.keep_released(faults, frozenset({"a", "c"}))["label"].tolist() == [1]
    assert quarantine.keep_released(faults, frozenset())["label"].tolist() == [1, 1, 2]


def test_the_beginning_of_an_id_is_enough_where_it_is_one() -> None:
    put("abc1", "abd2", "f")

    assert quarantine.whole_ids("p", ["abd", "f"]) == ["abd2", "f"]
    with pytest.raises(DataError, match="found ab, which 2 faults begin with; give more of it"):
        quarantine.whole_ids("p", ["ab"])
    with pytest.raises(DataError, match="a fault in the quarantine, found x"):
        quarantine.whole_ids("p", ["x"])
    with pytest.raises(DataError, match="a fault in the quarantine, found nothing"):
        quarantine.whole_ids("p", [""])


def test_faults_are_found_by_words_of_their_rule() -> None:
    put("a", "b", table="weather", column="wind", rule="between (min_value 0)")
    put("c", table="flights", column="dep", rule="between (min_value 1)")

    assert quarantine.ids_of_rule("p", "weather wind between (min") == ["a", "b"]
    assert len(quarantine.ids_of_rule("p", "between")) == 3
    for nothing in ("gust", ""):
        with pytest.raises(DataError, match="a rule that set rows aside"):
            quarantine.ids_of_rule("p", nothing)


def test_a_released_row_is_in_the_next_data_version(small: "Small") -> None:
    small.replace("visits.csv", ",B,0.5,", ",B,-0.5,")
    until = date(2024, 1, 20)
    before = prepare(small.problem, until, small.root)

    ids = quarantine.whole_ids("visits", [quarantine.read_quarantine("visits")["fault_id"][0][:8]])
    quarantine.release("visits", ids, "Ada", "a refund", NOW)
    after = prepare(small.problem, until, small.root)

    assert (before.n_set_aside, after.n_set_aside) == (1, 0)
    assert after.ref.n_rows == before.ref.n_rows + 1
    assert -0.5 in lake.read_version(after.ref, verify=True)["amount"].tolist()
    assert -0.5 not in lake.read_version(before.ref, verify=True)["amount"].tolist()
