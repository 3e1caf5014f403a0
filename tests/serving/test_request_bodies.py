"""Bodies that are taken, and hostile ones that are not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrue.errors import DataError
from retrue.serving.parsing import parse_rows

HOSTILE = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b'{"dataframe_records":' + b"[" * 100_000,
    b'{"dataframe_records":[' + b'{"x":' * 100_000,
    b'{"dataframe_records":[]}',
    b'{"dataframe_records":null}',
    b'{"dataframe_records":[{"x":NaN}]}',
    b'{"dataframe_records":[{"x":Infinity}]}',
    b'{"dataframe_records":[{"x":-Infinity}]}',
    b'{"dataframe_records":[{"x":1e999}]}',
    b'{"dataframe_records":[{"x":' + b"9" * 10_000 + b"}]}",
    b'{"dataframe_records":[{"x":"\\ud800"}]}',
    b'{"dataframe_records":[{"x":"\xed\xa0\x80"}]}',
    b'{"dataframe_records":[{"x":[1]}]}',
    b'{"dataframe_records":[{"x":{"secret":1}}]}',
    b'{"dataframe_records":[1]}',
    b'{"dataframe_records":[{"x":1}],}',
    b'{"dataframe_records":[{"x":1}]} {}',
    b'{"dataframe_records":[{"x":1,"x":2}]}',
    b'{"dataframe_records":[{"x":1,"\\u0078":2}]}',
    b'{"dataframe_records":[{"x":"\\u003a","x":":"}]}',
    b'{"dataframe_records":[{"x":1}],"dataframe_records":[{"x":1}]}',
    b'{"dataframe_records":[{"x":1}],"instances":[{"x":1}]}',
    b'{"secret":1}',
    b'{"dataframe_split":{"columns":["x"],"data":[[1,2]]}}',
    b'{"dataframe_split":{"columns":["x","x"],"data":[[1,2]]}}',
    b'{"dataframe_split":{"columns":["x"],"data":[]}}',
    b'{"dataframe_split":{"columns":["x"],"data":[[1]],"data":[[2]]}}',
    b'{"dataframe_split":{"columns":[1],"data":[[1]]}}',
    b'{"dataframe_split":{"data":[[1]]}}',
    b'{"inputs":{}}',
    b'{"inputs":[]}',
    b'{"inputs":[[]]}',
    b'{"inputs":[[1,2]]}',
    b'{"inputs":[{"x":1},[1,2]]}',
    b'{"inputs":{"x":[1],"y":[1,2]}}',
    b'{"inputs":{"x":[1],"x":[2]}}',
    b'{"inputs":{"x":1}}',
    b'{"inputs":{"x":[[1]]}}',
    b'{"inputs":"secret"}',
    b'{"inputs":[{"x":1}],"params":{"secret":1}}',
    b'{"params":{}}',
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_bodies_are_refused_without_an_echo(body: bytes) -> None:
    with pytest.raises(DataError) as caught:
        parse_rows(body, ["x"])
    assert len(str(caught.value)) < 300
    assert "secret" not in str(caught.value)


def test_all_formats_give_the_same_rows() -> None:
    rows: list[dict[str, Any]] = [{"x": 1, "t": "2013-01-01T00:00:00Z"}, {"x": None, "t": ":"}]
    split = {"columns": ["x", "t"], "data": [list(row.values()) for row in rows]}
    columns = {"x": [1, None], "t": ["2013-01-01T00:00:00Z", ":"]}
    lists = [list(row.values()) for row in rows]
    for body in (
        {"dataframe_records": rows},
        {"dataframe_split": split},
        {"instances": rows},
        {"instances": lists},
        {"inputs": rows},
        {"inputs": lists},
        {"inputs": [rows[0], lists[1]]},
        {"inputs": columns, "params": {}},
        {"inputs": columns, "params": None},
    ):
        assert parse_rows(json.dumps(body).encode(), ["x", "t"]) == rows


def test_rows_without_names_need_the_models_own() -> None:
    with pytest.raises(DataError, match="a row of other than as many"):
        parse_rows(b'{"inputs":[[1]]}')


def test_numbers_keep_their_value() -> None:
    body = b'{"instances":[{"a":9007199254740993,"b":1e308,"c":0.1,"d":123456789012345678901234}]}'
    expected = {"a": 9007199254740993, "b": 1e308, "c": 0.1, "d": 123456789012345678901234}
    assert parse_rows(body) == [expected]


TEXT = st.text(alphabet=':",{}[]\\ax\u00e9\n', max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False)
OBJECTS = st.dictionaries(TEXT, TEXT | SCALARS.filter(lambda value: abs(value or 0) < 1e308))


@given(rows=st.lists(OBJECTS, min_size=1, max_size=5), is_ascii=st.booleans())
def test_colons_in_texts_are_never_taken_for_a_repeated_name(
    rows: list[dict[str, Any]], is_ascii: bool
) -> None:
    body = json.dumps({"instances": rows}, ensure_ascii=is_ascii).replace(":", ": ", 1)
    assert parse_rows(body.encode()) == rows


@given(row=OBJECTS, extra=TEXT, data=st.data())
def test_a_repeated_name_is_always_found(row: dict[str, Any], extra: str, data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(row)) if row else TEXT)
    first = json.dumps({**row, name: row.get(name)})
    escaped = json.dumps(name) if data.draw(st.booleans()) else _escape(name)
    value = json.dumps(extra) if data.draw(st.booleans()) else _escape(extra)
    body = f'{{"instances":[{first[:-1]},{escaped}:{value}}}]}}'
    with pytest.raises(DataError, match="a name given twice"):
        parse_rows(body.encode())


def _escape(text: str) -> str:
    return '"' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"'
