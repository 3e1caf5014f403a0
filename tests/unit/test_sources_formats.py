"""The same table in any format gives the same types and values, or is refused with its place."""

import io
import json
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import read_source

KINDS = {"s": "text", "at": "time", "x": "number", "due": "optional_time"}


def read(
    root: Path, name: str, content: bytes, keys: dict[str, Any] | None = None, **kinds: str
) -> pd.DataFrame:
    (root / name).write_bytes(content)
    source = Source.model_validate({"path": name} | (keys or {}))
    return read_source("t", source, root, kinds)[0]  # type: ignore[arg-type]


def refusal(
    root: Path, name: str, content: bytes, keys: dict[str, Any] | None = None, **kinds: str
) -> str:
    with pytest.raises(DataError) as error:
        read(root, name, content, keys, **kinds)
    assert str(root / name) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def as_parquet(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_workbook(*sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for i, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{i}")
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


ROWS: list[dict[str, Any]] = [
    {"i": 1, "x": 1.5, "s": "007", "at": "2024-01-01T05:00:00Z", "yes": True, "due": None},
    {"i": 2, "x": None, "s": "é, x", "at": "2024-01-02T05:00:00Z", "yes": False, "due": None},
    {"i": 3, "x": 3.0, "s": None, "at": "2024-01-03T05:00:00Z", "yes": True, "due": "2024-02-01"},
]
NAMES = list(ROWS[0])


def times(name: str) -> list[datetime | None]:
    texts = (row[name] for row in ROWS)
    return [None if t is None else datetime.fromisoformat(str(t)) for t in texts]


@cache  # a workbook holds the time it was written at
def written(kind: str) -> bytes:
    if kind == "csv":
        return pd.DataFrame(ROWS).to_csv(index=False).encode()
    if kind == "jsonl":
        return as_lines(ROWS)
    if kind == "xlsx":
        dated = [
            {**row, "at": at.replace(tzinfo=None) if at else None, "due": due}
            for row, at, due in zip(ROWS, times("at"), times("due"), strict=True)
        ]
        return as_workbook([NAMES, *([row[n] for n in NAMES] for row in dated)])
    columns: dict[str, Any] = {n: [row[n] for row in ROWS] for n in NAMES}
    at = pa.array(times("at"), pa.timestamp("ns", "Europe/Berlin"))
    return as_parquet(columns | {"at": at, "due": pa.array(times("due"), pa.date32())})


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx", "parquet"])
def test_every_format_gives_the_same_frame(tmp_path: Path, kind: str) -> None:
    frame = read(tmp_path, f"t.{kind}", written(kind), None, **KINDS)

    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "i": "int64",
        "x": "float64",
        "s": "category",
        "at": "datetime64[us, UTC]",
        "yes": "int64",
        "due": "datetime64[us, UTC]",
    }
    assert frame["s"].tolist()[:2] == ["007", "é, x"]
    assert frame["x"].tolist()[::2] == [1.5, 3.0]
    assert frame["at"].tolist() == [pd.Timestamp(t) for t in times("at") if t]
    assert frame["due"][2] == pd.Timestamp("2024-02-01", tz="UTC")
    assert frame.isna().sum().to_dict() == {"i": 0, "x": 1, "s": 1, "at": 0, "yes": 0, "due": 2}


@pytest.mark.parametrize(
    ("encoding", "keys"),
    [
        ("utf-8-sig", {}),
        ("utf-16", {}),
        ("utf-16", {"encoding": "cp949"}),
        ("cp949", {"encoding": "cp949"}),
        ("utf-16-be", {"encoding": "utf-16-be"}),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_is_read_in_its_encoding_and_a_mark_goes_first(
    tmp_path: Path, encoding: str, keys: dict[str, str], ending: str
) -> None:
    text = "도시,값\n서울,1\n" if ending == "csv" else '{"도시": "서울", "값": 1}\n'

    frame = read(tmp_path, f"t.{ending}", text.encode(encoding), keys)

    assert frame.to_dict("list") == {"도시": ["서울"], "값": [1]}


@pytest.mark.parametrize(
    ("text", "true", "given"),
    [
        ("도시,값\n서울,1\n부산,2\n", "cp949", "utf-8"),
        ("ville,prix\nOrléans,1\nBesançon,2\n", "cp1252", "utf-8"),
        ("ville,prix\nOrléans,1\nBesançon,2\n", "utf-8", "cp1252"),
        ("ville,prix\nOrléans,1\nBesançon,2\n", "utf-16-le", "utf-8"),
    ],
)
def test_the_refusal_of_a_wrong_encoding_names_the_right_one(
    tmp_path: Path, text: str, true: str, given: str
) -> None:
    keys = {"encoding": given}

    assert f"set encoding: {true}" in refusal(tmp_path, "t.csv", text.encode(true), keys)


def test_a_rare_character_far_into_a_file_names_its_encoding(tmp_path: Path) -> None:
    content = b"a,b\n" + b"x,1\n" * 400_000 + "Orléans,1\n".encode("cp1252")

    message = refusal(tmp_path, "t.csv", content)

    assert "row 400002 column a" in message
    assert "set encoding: cp1252" in message


def test_delimiter_and_quote_are_those_of_the_definition(tmp_path: Path) -> None:
    content = b"a;b\n1;'x;y'\n2;'it''s'\n"

    frame = read(tmp_path, "t.csv", content, {"delimiter": ";", "quote": "'"})

    assert frame["b"].tolist() == ["x;y", "it's"]
    open_quote = b"a;b\n1;2\n3;'4\n"
    keys = {"delimiter": ";", "quote": "'"}
    assert "row 3: expected every quote closed" in refusal(tmp_path, "t.csv", open_quote, keys)
    assert "row 3 column b" in refusal(tmp_path, "t.csv", b"a;b\n1;2\n3\n", keys)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"a": 1}', '{"a": {"b": 1}}'], ["row 2 column a", "nested"]),
        (['{"a": 1}', "", '{"a": [1]}'], ["row 3 column a", "nested"]),
        (['{"a": [1]}'], ["row 1 column a", "nested"]),
        (['{"a": 1}', '{"a": "x"}'], ["row 2 column a", "'x' after numbers"]),
        (['{"a": true}', '{"a": 1}'], ["row 2 column a"]),
        (['{"a": 1}', '{"a": 1'], ["row 2", "a JSON object"]),
        (['{"a": 1}', "[1]"], ["row 2", "a JSON object"]),
        (['{"a": 1, "a": 2}'], ["row 1", "a twice"]),
        (['{"a": "\0"}'], ["row 1", "NUL"]),
        (['{"b": 1}'], ["the column a", "columns b"]),
        (['{"a": 1, "b": "' + "x" * 131_073 + '"}'], ["row 1 column b", "131,072"]),
    ],
)
def test_json_lines_are_refused_with_their_place(
    tmp_path: Path, lines: list[str], words: list[str]
) -> None:
    message = refusal(tmp_path, "t.jsonl", "\n".join(lines).encode() + b"\n", a="any")

    assert all(word in message for word in words), message


def test_what_python_writes_for_missing_numbers_is_missing(tmp_path: Path) -> None:
    for lines in ('{"a": NaN}\n{"a": 1}\n', '{"a": NaN, "s": 1}\n{"a": 1, "s": 2}\n'):
        kinds = {"s": "text"} if "s" in lines else {}
        frame = read(tmp_path, "t.jsonl", lines.encode(), None, **kinds)
        assert frame["a"].isna().tolist() == [True, False]


def test_codes_in_json_are_text_where_text_is_wanted(tmp_path: Path) -> None:
    frame = read(tmp_path, "t.jsonl", as_lines([{"s": 7}, {"s": None}, {"s": 8}]), s="text")

    assert frame["s"].tolist()[::2] == ["7", "8"]
    assert "the column s" in refusal(tmp_path, "t.jsonl", as_lines([{"a": 1}]), s="text")


def test_a_column_of_a_wrong_kind_is_named_with_its_row(tmp_path: Path) -> None:
    lines = as_lines([{"n": "x"}, {"n": "y"}])
    book = as_workbook([["n"], [1], [], ["x"]])

    assert "row 1 column n: expected a number" in refusal(tmp_path, "t.jsonl", lines, n="number")
    blank = b"\n" + lines
    assert "row 2 column n: expected a number" in refusal(tmp_path, "t.jsonl", blank, n="number")
    assert "row 4 column n: expected a number" in refusal(tmp_path, "t.xlsx", book, n="number")
    assert "row 2 column n" in refusal(
        tmp_path, "t.parquet", as_parquet({"n": ["1", "x"]}), n="number"
    )


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    book = as_workbook([["a"], [1]], [["b"], [2]])

    assert read(tmp_path, "t.xlsx", book)["a"].tolist() == [1]
    assert read(tmp_path, "t.xlsx", book, {"sheet": "s1"})["b"].tolist() == [2]
    assert "the sheets s0, s1" in refusal(tmp_path, "t.xlsx", book, {"sheet": "x"})


def test_a_workbook_is_typed_as_its_csv_would_be(tmp_path: Path) -> None:
    book = as_workbook(
        [[], ["n", "when", "took", "s"]],
    )
    assert "a header alone" in refusal(tmp_path, "t.xlsx", book)
    rows: list[list[Any]] = [[1, date(2024, 1, 1), timedelta(hours=1), 7], ["NA", None, None, "x7"]]
    frame = read(tmp_path, "t.xlsx", as_workbook([["n", "when", "took", "s"], *rows]))

    assert [str(kind) for kind in frame.dtypes][:2] == ["float64", "datetime64[us]"]
    assert frame["s"].tolist() == ["7", "x7"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["a", None], [1, 2]], ["row 1", "column B", "row 2"]),
        ([["a", "a"], [1, 2]], ["row 1", "a twice"]),
        ([[]], ["an empty sheet"]),
        ([["a"], ["x" * 32_000]], []),
    ],
)
def test_a_sheet_that_is_no_table_is_refused(
    tmp_path: Path, rows: list[list[Any]], words: list[str]
) -> None:
    if not words:
        assert len(read(tmp_path, "t.xlsx", as_workbook(rows))) == 1
        return
    message = refusal(tmp_path, "t.xlsx", as_workbook(rows))

    assert all(word in message for word in words), message


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    columns = {
        "d": pa.array([1, None], pa.decimal128(9, 2)),
        "u": pa.array([2**63, 1], pa.uint64()),
        "c": pa.array(["x", None]).dictionary_encode(),
        "k": pa.array([5, 5], pa.int16()).dictionary_encode(),
        "t": pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 2, pa.timestamp("ns", "Asia/Seoul")),
        "code": pa.array([7, 8]),
    }

    frame = read(tmp_path, "t.parquet", as_parquet(columns), code="text")

    assert [str(kind) for kind in frame.dtypes] == [
        "float64",
        "float64",
        "category",
        "int64",
        "datetime64[us, UTC]",
        "category",
    ]
    assert frame["code"].tolist() == ["7", "8"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": [None, [1]]}, ["row 2 column a", "nested"]),
        ({"a": [b"x"]}, ["row 1 column a", "binary"]),
        ({"a": pa.array([], pa.int64())}, ["a header alone"]),
        ({"b": [1]}, ["the column a", "columns b"]),
    ],
)
def test_parquet_is_refused_with_its_place(
    tmp_path: Path, columns: dict[str, Any], words: list[str]
) -> None:
    message = refusal(tmp_path, "t.parquet", as_parquet(columns), a="any")

    assert all(word in message for word in words), message


@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_cut_or_damaged_binary_file_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    content = bytearray(written(kind))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    message = ""
    try:
        read(tmp_path_factory.mktemp("cut"), f"t.{kind}", bytes(content))
    except DataError as error:
        message = str(error)
    assert "\n" not in message
