"""One text for one key, whether it was served, linked or written in a file."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from retrue.labelling.label_keys import canonical, key_text, key_texts, key_value

TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.from_regex(r"-?[0-9]{1,21}(\.[0-9]{1,3})?", fullmatch=True)
    | TIMES
)


@given(value=SCALARS)
def test_the_form_of_a_key_has_no_other_form(value: Any) -> None:
    found = key_value(value)
    assert key_value(found) == found
    assert type(key_value(found)) is type(found)


@given(rows=st.lists(st.tuples(SCALARS, SCALARS), max_size=8))
def test_a_frame_gives_the_texts_of_its_rows(rows: list[tuple[Any, Any]]) -> None:
    columns = {
        name: pd.Series([row[at] for row in rows], dtype=object) for at, name in enumerate("ab")
    }
    expected = [key_text(["b", "a"], {"a": a, "b": b}) for a, b in rows]
    assert list(key_texts(pd.DataFrame(columns), ["b", "a"])) == expected
    for text in expected:
        assert text is None or list(json.loads(text)) == ["b", "a"]
        assert canonical(text) == text


@given(number=st.integers(-(10**15), 10**15))
def test_a_whole_number_is_one_key_however_it_is_written(number: int) -> None:
    for form in (float(number), str(number), f"{number}.0"):
        assert key_value(form) == number
        assert isinstance(key_value(form), int)


@given(moment=TIMES, hours=st.integers(-12, 12))
def test_a_moment_is_one_key_in_every_zone(moment: datetime, hours: int) -> None:
    utc = moment.replace(tzinfo=UTC)
    zone = timezone(timedelta(hours=hours))
    try:
        there = utc.astimezone(zone)
    except OverflowError:
        there = utc
    text = key_value(utc)
    assert isinstance(text, str)
    assert text.endswith("Z")
    assert {key_value(form) for form in (moment, there, there.isoformat(), str(utc))} == {text}


def test_what_only_looks_like_a_number_or_a_time_stays_text() -> None:
    for text in ("007", "-0", "1e5", "0.50", "1_000", " 5", "+5", "2013-02-30", "2013-1-1", "٣"):
        assert key_value(text) == text


def test_a_key_with_a_gap_is_none() -> None:
    assert key_text(["a"], {}) is None
    assert key_text([], {"a": 1}) is None
    assert key_text(["a", "b"], {"a": 1, "b": ""}) is None
    assert canonical(None) is None
    assert canonical('{"a":null}') is None
    assert list(key_texts(pd.DataFrame({"a": [1, 2]}), [])) == [None, None]
