"""What a table is written like is found from the table, or it is refused."""

import csv
import io
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from retrue.config import Source
from retrue.errors import DataError
from retrue.sources.acquisition import read_source
from retrue.sources.detection import detect_source
from retrue.sources.text_encoding import detect_encoding

KOREAN = [
    "이름,도시,금액\n김철수,서울,100\n이영희,부산,200\n",
    "날짜,상품명,수량\n2024-01-01,㈜한국 사과 10kg,3\n2024-01-02,배(특상품) ①호,4\n",
    "id,note\n1,가\n",
    "품목;단가\n무선 마우스;12,500\n기계식 키보드;89,000\n",
    "주소\n서울특별시 강남구 테헤란로 152\n부산광역시 해운대구 우동\n",
]
WESTERN = [
    "nom,ville\nFrançois,Orléans\nHélène,Besançon\n",
    "Name;Ort\nMüller;Köln\nGröße;Düsseldorf\nJörg Weiß;Ärztehaus\n",
    "nombre,ciudad\nMuñoz,Málaga\nIñigo,Cádiz\n",
    "item,price\nbook,€10\ntea,£5\n“fine”,ø\n",
    "navn,by\nSøren,Århus\nBjørn,Ålesund\n",
    "name,n\n" + "".join(f"abc{i},{i}\n" for i in range(500)) + "Café,3\n",
    "cidade,estado\nSão Paulo,São\nBrasília,Ação\n",
]


def detected(root: Path, name: str, content: bytes) -> Source:
    (root / name).write_bytes(content)
    source, why = detect_source(str(root / name), root)
    assert all(why.values())
    given_keys = set(source.model_dump(exclude_defaults=True)) - {"path"}
    assert given_keys <= set(why)
    return source


def refusal(root: Path, name: str, content: bytes) -> str:
    with pytest.raises(DataError) as error:
        detected(root, name, content)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("text", KOREAN)
def test_korean_of_windows_is_cp949(text: str) -> None:
    assert detect_encoding(text.encode("cp949"))[0] == "cp949"


@pytest.mark.parametrize("text", WESTERN)
def test_western_european_of_windows_is_cp1252(text: str) -> None:
    assert detect_encoding(text.encode("cp1252"))[0] == "cp1252"


@pytest.mark.parametrize("text", [*KOREAN, *WESTERN])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_is_known_with_and_without_a_mark(text: str, encoding: str) -> None:
    expected = {"utf-8-sig": "utf-8"}.get(encoding, encoding)

    assert detect_encoding(text.encode(encoding))[0] == expected


@given(
    st.lists(
        st.text("가나다라마바사아자차카타파하고노도로모보소오조초코토포호", min_size=1), min_size=1
    )
)
def test_any_everyday_korean_is_cp949(words: list[str]) -> None:
    content = ("a\n" + "\n".join(words) + "\n").encode("cp949")
    # A syllable or two can be valid UTF-8 by accident.
    assume("\ufffd" in content.decode(errors="replace"))

    assert detect_encoding(content)[0] == "cp949"


@given(st.integers(0, 3), st.sampled_from(KOREAN))
def test_a_head_cut_within_a_character_is_detected(cut: int, text: str) -> None:
    for encoding in ("utf-8", "cp949"):
        data = (text * 50).encode(encoding)
        assert detect_encoding(data[: len(data) // 2 + cut])[0] == encoding


FIELDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff'"),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(FIELDS, FIELDS, st.integers(0, 999)), min_size=2, max_size=30),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_written_table_is_detected_and_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, int]],
    delimiter: str,
    encoding: str,
) -> None:
    root = tmp_path_factory.mktemp("t")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([("first name", "second name", "number"), *rows])

    source = detected(root, "t.csv", text.getvalue().encode(encoding))
    frame, _ = read_source("t", source, root, {"first name": "text", "number": "number"})

    assert source.delimiter == delimiter
    assert list(frame.columns) == ["first name", "second name", "number"]
    assert frame["number"].tolist() == [row[2] for row in rows]


@pytest.mark.parametrize(
    ("content", "delimiter", "quote"),
    [
        ("a,b\n1,2\n", ",", '"'),
        ("a;b\n1,5;2,5\n3,5;4,5\n", ";", '"'),
        ("a\tb c\n1\tx, y\n2\tz, w\n", "\t", '"'),
        ("a|b\n1|'x|y'\n2|'z'\n", "|", "'"),
        ("ort,name\n's-Hertogenbosch,1\nx,2\n", ",", '"'),
        ('a;b\n"x;y";1\n"z";2\n', ";", '"'),
        ("only\nx\ny\n", ",", '"'),
        ("note\nwell, yes\nno\n", ",", '"'),
        ("a;b;c\n1;2;3\n", ";", '"'),
        ("note\nwell; yes\nno; not so\n", ",", '"'),
        ("a;b\n\"x\";'y'\n\"z\";'w'\n", ";", '"'),
    ],
)
def test_delimiter_and_quote_are_found(
    tmp_path: Path, content: str, delimiter: str, quote: str
) -> None:
    source = detected(tmp_path, "t.csv", content.encode())

    assert (source.delimiter, source.quote) == (delimiter, quote)


@pytest.mark.parametrize(
    "content",
    [
        "1,2,x\n3,4,y\n",
        "2024-01-01,5\n2024-01-02,6\n",
        "Kim,1.5\nLee,2.5\nPark,3.5\n",
        "M,Seoul\nF,Busan\nM,Seoul\nF,Seoul\n",
        "17\n18\n",
    ],
)
def test_a_table_without_a_header_is_refused(tmp_path: Path, content: str) -> None:
    message = refusal(tmp_path, "t.csv", content.encode())

    assert "row 1: expected a header" in message
    assert "put a first row with one name a column" in message


@pytest.mark.parametrize(
    "content",
    [
        "country,1960,1961,1962\nA,1,2,3\nB,4,5,6\n",
        "name,city\nKim,Seoul\nLee,Busan\n",
        "x,y\n1,2\n",
        "id,2024\n1,a\n2,b\n",
        ",a,b\n0,1,2\n1,3,4\n",
        "a,b\n",
        "q1,q2\nyes,no\nno,yes\n",
    ],
)
def test_a_header_is_not_mistaken_for_data(tmp_path: Path, content: str) -> None:
    assert detected(tmp_path, "t.csv", content.encode()).path == "t.csv"


def parquet_bytes() -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"a": [1]}), buffer)
    return buffer.getvalue()


def workbook_bytes(*sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for i, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{i}")
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_the_format_is_that_of_the_content(tmp_path: Path) -> None:
    table, book = parquet_bytes(), workbook_bytes([["a"], [1]])

    assert detected(tmp_path, "t.parquet", table).format is None
    assert detected(tmp_path, "t.csv", table).format == "parquet"
    assert detected(tmp_path, "t.xlsx", book).format is None
    assert detected(tmp_path, "t", book).format == "excel"
    assert detected(tmp_path, "t.json", b'{"a": 1}\n').format == "jsonl"
    assert detected(tmp_path, "t.jsonl", b'{"a": 1}\n').format is None
    for name in ("t.csv", "t", "t.json"):
        source = detected(tmp_path, name, b'{"a": 1}\n{"a": 2}\n')
        assert read_source("t", source, tmp_path, {})[0]["a"].tolist() == [1, 2]


def test_the_first_sheet_with_rows_is_taken(tmp_path: Path) -> None:
    assert detected(tmp_path, "t.xlsx", workbook_bytes([], [["a"], [1]])).sheet == "s1"
    assert detected(tmp_path, "u.xlsx", workbook_bytes([["a"], [1]], [])).sheet is None
    assert "empty sheets" in refusal(tmp_path, "v.xlsx", workbook_bytes([], []))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b" \n\n", "an empty file"),
        (b"<!DOCTYPE html><html></html>\n", "'<!DOCTYPE html><html'"),
        (b'[{"a": 1}]\n', "one object a line"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary data"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refusal(tmp_path, "t.csv", content)


def test_paths_are_relative_within_the_project_and_absolute_outside(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    for folder in (project / "data", tmp_path):
        (folder / "t.csv").write_text("a\n1\n")

    assert detect_source(str(project / "data/t.csv"), project)[0].path == "data/t.csv"
    assert detect_source(str(tmp_path / "t.csv"), project)[0].path == str(tmp_path / "t.csv")
    with pytest.raises(DataError, match="a file, a folder or a URL"):
        detect_source(str(tmp_path / "gone.csv"), project)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["t.csv", "t", "t.xlsx", "t.gz", "t.zip"]))
def test_any_bytes_are_described_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(content)
    message = ""
    try:
        detect_source(str(path), path.parent)
    except DataError as error:
        message = str(error)
    assert "\n" not in message
