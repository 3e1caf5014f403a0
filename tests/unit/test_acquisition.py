"""CSV files become typed tables, or are refused with file, row and column."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.config import Source
from retrue.errors import DataError
from retrue.problems import load_problem
from retrue.sources.acquisition import column_kinds, deliveries, read_source, read_sources

if TYPE_CHECKING:
    from tests.unit.conftest import Small

ROOT = Path(__file__).parents[2]


def read(root: Path, content: str | bytes, **kinds: str) -> pd.DataFrame:
    (root / "t.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return read_source("t", Source(path="t.csv"), root, kinds)[0]  # type: ignore[arg-type]


def refusal(root: Path, content: str | bytes, **kinds: str) -> str:
    with pytest.raises(DataError) as error:
        read(root, content, **kinds)
    message = str(error.value)
    assert str(root / "t.csv") in message
    assert "\n" not in message
    return message


def test_the_definition_says_what_each_source_needs() -> None:
    kinds = column_kinds(load_problem("flights", ROOT))

    assert kinds["weather"]["wind_speed"] == "number"
    assert kinds["weather"]["time_hour"] == "time" == kinds["flights"]["time_hour"]
    assert kinds["planes"] == {
        "year": "number",
        "manufacturer": "text",
        "engine": "text",
        "seats": "number",
        "tailnum": "any",
    }
    assert kinds["flights"]["arr_delay"] == "any"
    assert kinds["flights"]["dest"] == "text"


def test_all_sources_are_read_typed_and_hashed(small: "Small") -> None:
    sources = read_sources(small.problem, small.root)

    visits = sources.tables["visits"]
    assert visits.shape == (40, 5)
    assert visits["at"].dtype == "datetime64[us, UTC]"
    assert visits["shop"].dtype == "category"
    assert visits["visit"].dtype == "int64"
    assert sources.tables["shops"]["kind"].tolist() == ["small, old", "large", "large"]
    assert set(sources.sha256) == {"visits", "shops", "weather"}
    assert all(len(digest) == 64 for digest in sources.sha256.values())


def test_missing_values_are_missing_in_every_kind(tmp_path: Path) -> None:
    frame = read(tmp_path, "n,x,s,b\n1,NA,NA,true\nNA,1.5,,\n", s="text")

    assert frame.isna().to_numpy().tolist() == [
        [False, True, True, False],
        [True, False, True, True],
    ]
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "category", "float64"]


def test_digits_stay_text_where_text_is_wanted(tmp_path: Path) -> None:
    frame = read(tmp_path, "code\n007\n12\n", code="text")

    assert frame["code"].tolist() == ["007", "12"]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-01T05:00:00Z", "2024-01-01T05:00:00Z"),
        ("2024-01-01T05:00:00+02:00", "2024-01-01T03:00:00Z"),
        ("2024-01-01 05:00:00", "2024-01-01T05:00:00Z"),
        ("2024-01-01T05:00:00.123456", "2024-01-01T05:00:00.123456Z"),
        ("2024-01-01", "2024-01-01T00:00:00Z"),
    ],
)
def test_times_are_utc(tmp_path: Path, text: str, utc: str) -> None:
    frame = read(tmp_path, f"at,x\n{text},1\n", at="time")

    assert frame["at"].dtype == "datetime64[us, UTC]"
    assert frame["at"][0] == pd.Timestamp(utc)


@pytest.mark.parametrize("pack", ["zip", "gz"])
def test_archives_are_read_in_memory(tmp_path: Path, pack: str) -> None:
    path = tmp_path / f"t.csv.{pack}"
    path.write_bytes(archive(pack, b"a\n1\n"))

    frame, file = read_source("t", Source(path=path.name), tmp_path, {})

    assert frame["a"].tolist() == [1]
    assert file.path == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("pack", ["zip", "gz"])
@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_cut_archive_is_refused(tmp_path: Path, pack: str, cut: int) -> None:
    path = tmp_path / f"t.csv.{pack}"
    path.write_bytes(
        archive(pack, b"a\n" + b"".join(b"%d\n" % (i * i) for i in range(1000)))[:-cut]
    )

    with pytest.raises(DataError, match=f"t.csv.{pack}: expected a whole {pack} archive"):
        read_source("t", Source(path=path.name), tmp_path, {})


def archive(pack: str, content: bytes) -> bytes:
    if pack == "gz":
        return gzip.compress(content)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("t.csv", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["an empty file"]),
        (b"\n\n", ["an empty file"]),
        (b"a,b\n", ["a header alone"]),
        (b"a,b\n1,2\n3\n", ["row 3 column b", "expected 2 fields, found 1"]),
        (b"a,b\n1,2\n\n3,4,5\n", ["row 4", "expected 2 fields, found 3"]),
        (b"a,b\n1,2\n3,4", ["row 3 column b", "stops within it"]),
        (b"a,b\n1,caf\xe9\n", ["row 2 column b", "UTF-8", "0xe9"]),
        ("a,b\n1,2\n".encode("utf-16-le"), ["row 1", "NUL", "set encoding: utf-16-le"]),
        (b"a,b\n1,\0\n", ["row 2 column b", "a NUL byte"]),
        (b"a,a\n1,2\n", ["row 1", "a twice"]),
        (b"b,c\n1,2\n", ["row 1", "the column a", "columns b, c"]),
        (b'a,b\n1,2\n3,"4\n5,6\n', ["row 3", "every quote closed"]),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(
    tmp_path: Path, content: bytes, words: list[str]
) -> None:
    message = refusal(tmp_path, content, a="any")

    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("number", ["1", "2", "oops", "3"], ["row 4 column x", "a number", "'oops'"]),
        ("number", ["1.5", "1,5"], ["row 3 column x", "'1,5'"]),
        ("time", ["2024-01-01T00:00:00Z", "soon"], ["row 3 column x", "an ISO 8601 time"]),
        ("time", ["2024-01-01T00:00:00Z", "NA"], ["row 3 column x", "a missing value"]),
        ("time", ["17", "18"], ["column x", "an ISO 8601 time"]),
        ("number", ["2024-01-01T00:00:00Z"], ["column x", "a number"]),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_row(
    tmp_path: Path, kind: str, values: list[str], words: list[str]
) -> None:
    content = "id,x\n" + "".join(f'{i},"{v}"\n' for i, v in enumerate(values))

    message = refusal(tmp_path, content, x=kind)

    assert all(word in message for word in words), message


def test_rows_are_counted_over_blank_lines_and_line_ends_in_quotes(tmp_path: Path) -> None:
    content = 'note,x\n"two\nlines",1\n\nplain,bad\n'

    assert "row 5 column x" in refusal(tmp_path, content, x="number")


def test_a_missing_file_and_a_missing_package_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"source t \(.*gone.csv\): expected a file, found no such file"
    ):
        read_source("t", Source(path="gone.csv"), tmp_path, {})
    with pytest.raises(DataError, match="the installed package no_such_package"):
        read_source("t", Source(path="a.csv", package="no_such_package"), tmp_path, {})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**62), 2**62)),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(st.none(), st.sampled_from(["a", 'q"uote', "com,ma", "new\nline", "é"])),
        ),
        min_size=1,
    )
)
def test_what_pandas_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, ...]]
) -> None:
    written = pd.DataFrame(rows, columns=["i", "f", "s"]).astype({"i": "Int64", "f": "float64"})
    content = written.assign(id=range(len(rows))).to_csv(index=False)

    frame = read(tmp_path_factory.mktemp("csv"), content, s="text", f="number", i="number")

    assert [None if pd.isna(s) else s for s in frame["s"]] == [r[2] for r in rows]
    np.testing.assert_array_equal(frame["f"].to_numpy(), written["f"].to_numpy())
    expected = written["i"].to_numpy(dtype="float64", na_value=np.nan)
    np.testing.assert_array_equal(frame["i"].to_numpy("float64"), expected)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([b"a,b\n", b"a\n", b""]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, header: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    message = ""
    try:
        read(folder, header + body, a="number")
    except DataError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("t.csv", "a,b\n1,x\n2,y\n", [2, 3]),
        ("t.csv", 'a,b\n1,"x"\n2,"y"\n', [2, 3]),
        ("t.csv", "a,b\n\n1,x\n\n\n2,y\n", [3, 6]),
        ("t.csv", 'a,b\n1,"x\nx"\n2,y\n', [2, 4]),
        ("t.csv", "a,b\r\n1,x\r\n2,y\r\n", [2, 3]),
        ("t.csv", "a,b\r1,x\r2,y\r", [2, 3]),
        ("t.jsonl", '{"a": 1}\n{"a": 2}\n', [1, 2]),
        ("t.jsonl", '{"a": 1}\n\n{"a": 2}', [1, 3]),
    ],
)
def test_a_rows_label_tells_its_row_in_the_file(
    tmp_path: Path, name: str, content: str, rows: list[int]
) -> None:
    (tmp_path / name).write_bytes(content.encode())

    (delivery,) = deliveries("t", Source(path=name), tmp_path, {})

    assert (delivery.frame.index + 2).tolist() == rows
    assert delivery.frame["a"].tolist() == [1, 2]
