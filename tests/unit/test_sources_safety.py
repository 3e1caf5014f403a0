"""Files made to harm, or harmed on the way, are refused before they cost memory."""

import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from pyarrow import parquet

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import read_source


def refusal(root: Path, name: str, content: bytes, **keys: object) -> str:
    (root / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_source("t", Source.model_validate({"path": name} | keys), root, {})
    assert str(root / name) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "member", ["../t.csv", "a/../../t.csv", "/etc/t.csv", "..\\t.csv", "C:\\t.csv", "\\\\host\\t"]
)
def test_a_member_whose_name_leads_out_is_refused(tmp_path: Path, member: str) -> None:
    content = zipped((member, b"a\n1\n"))

    assert "member names inside" in refusal(tmp_path, "t.csv.zip", content)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv.zip"]


def test_an_archive_of_two_files_or_none_is_refused(tmp_path: Path) -> None:
    two = zipped(("a.csv", b"a\n1\n"), ("b.csv", b"a\n1\n"))

    assert "2 files" in refusal(tmp_path, "t.zip", two)
    assert "0 files" in refusal(tmp_path, "t.zip", zipped())


@pytest.mark.parametrize("pack", ["gz", "zip"])
def test_a_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path, pack: str) -> None:
    content = b"a\n" + b"0\n" * (32 << 20)
    bomb = gzip.compress(content) if pack == "gz" else zipped(("t.csv", content))
    del content
    tracemalloc.start()
    try:
        message = refusal(tmp_path, f"t.csv.{pack}", bomb, max_mb=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "at most 2 MB unpacked" in message
    assert peak < 16 << 20


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    honest = zipped(("t.csv", b"a\n" + b"0\n" * (4 << 20)))
    size = (2 + (8 << 20)).to_bytes(4, "little")
    assert honest.count(size) == 2

    message = refusal(tmp_path, "t.csv.zip", honest.replace(size, (4).to_bytes(4, "little")))

    assert "a whole zip archive" in message


def test_a_plain_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    content = b"a\n" + b"0\n" * (1 << 20)

    assert "at most 1 MB" in refusal(tmp_path, "t.csv", content, max_mb=1)


def test_a_sheet_of_two_far_cells_is_refused_before_it_is_laid_out(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = book.active["XFD1048576"] = 1
    buffer = io.BytesIO()
    book.save(buffer)

    assert "1048576 x 16384 cells" in refusal(tmp_path, "t.xlsx", buffer.getvalue())


def test_a_workbook_with_a_bomb_in_it_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["A2"] = "a", 1
    buffer = io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image.bin", b"0" * (2 << 20))

    assert "at most 1 MB" in refusal(tmp_path, "t.xlsx", buffer.getvalue(), max_mb=1)


def test_a_parquet_file_of_a_repeated_value_counts_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"a": pa.repeat(1, 4 << 20)}), buffer)
    assert len(buffer.getvalue()) < 1 << 16

    assert "at most 1 MB" in refusal(tmp_path, "t.parquet", buffer.getvalue(), max_mb=1)


@pytest.mark.parametrize("size", [131_073, 1 << 20, 6 << 20])
@pytest.mark.parametrize("quoted", [True, False])
def test_an_over_long_field_is_named(tmp_path: Path, size: int, quoted: bool) -> None:
    field = b'"' + b"x," * (size // 2) + b'x"' if quoted else b"x" * size
    content = b"a,b\n1,2\n3," + field + b"\n"

    message = refusal(tmp_path, "t.csv", content)

    assert "row 3 column b: expected fields of at most 131,072 characters" in message


def test_the_longest_allowed_field_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "é" * 131_072 + "\n")

    frame, _ = read_source("t", Source(path="t.csv"), tmp_path, {})

    assert len(frame["a"][0]) == 131_072


def test_a_folder_where_a_file_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()

    with pytest.raises(DataError, match="found a folder"):
        read_source("t", Source(path="t.csv"), tmp_path, {})


def test_an_unknown_encoding_and_a_wide_delimiter_are_named(tmp_path: Path) -> None:
    assert "a known encoding" in refusal(tmp_path, "t.csv", b"a\n1\n", encoding="utf-9")
    assert "two ASCII characters" in refusal(tmp_path, "t.csv", b"a\n1\n", delimiter="§")
