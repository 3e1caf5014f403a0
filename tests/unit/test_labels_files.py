"""Labels from CSV files: taken once, and every fault told with file, row and column."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrue.errors import DataError
from retrue.labelling import labels
from retrue.labelling.label_files import import_csv
from tests.unit.late_labels import NOW, day, make_problem


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRUE_HOME", str(tmp_path / "home"))


def known() -> dict[str, Any]:
    found = labels.as_known_at("visits", NOW)
    return dict(zip(found["key"], found["value"], strict=True))


def test_a_file_of_labels_is_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(
        b"\xef\xbb\xbfvisit,label,known_at,author\r\n"
        b'1,1,2024-02-05,Ann\r\n"002",0,,\r\n\r\n3,TRUE,2024-02-06T08:00:00+02:00,\r\n'
    )
    problem = make_problem()
    assert import_csv(problem, file, "Bob", day(20)) == 3
    assert import_csv(problem, file, "Bob", day(21)) == 0
    found = labels.as_known_at("visits", NOW)
    assert found["key"].tolist() == ['{"visit":1}', '{"visit":2}', '{"visit":3}']
    assert found["value"].tolist() == [1, 0, 1]
    assert found["author"].tolist() == ["Ann", "Bob", "Bob"]
    assert found["known_at"].tolist() == [day(5), day(20), day(6).replace(hour=6)]
    assert set(found["source"]) == {str(file)}


def test_codes_that_look_like_numbers_keep_their_zeros_where_they_are_text(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("visit,shop,label\n007,007,0031\n8,08,0032\n")
    import_csv(make_problem("multiclass", key=["shop", "visit"]), file, None, NOW)
    assert known() == {'{"shop":"007","visit":7}': "0031", '{"shop":"08","visit":8}': "0032"}


def test_amounts_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("visit,label\nx7,007\nx8,-1.50\n9,1e3\n")
    import_csv(make_problem("regression"), file, None, NOW)
    assert known() == {'{"visit":"x7"}': 7, '{"visit":"x8"}': -1.5, '{"visit":9}': 1000.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ": expected a CSV file of labels, found an empty file"),
        (b"visit,label\n", ": expected labels, found a header alone"),
        (b"visit\n1\n", " row 1: expected the column label, found columns visit"),
        (b"visit,lable\n1,1\n", " row 1: expected only the columns visit, label, known_at, author"),
        (b"visit,label,label\n1,1,1\n", " row 1 column 2: expected each column named once"),
        (b"visit,label,\n1,1,1\n", " row 1 column 3: expected each column named once, found an em"),
        (b"visit,label\n1,1\n2\n", " row 3 column visit: expected 2 fields, found 1"),
        (b"visit,label\n1,1,0\n", " row 2 column label: expected 2 fields, found 3"),
        (b"visit,label\n1,1\n2,7\n", " row 3 column label: expected 1 or 0, found 7"),
        (b"visit,label\n1,1\n,1\n", " row 3 column visit: expected a key's value, found none"),
        (b"visit,label\n1,1\n2,\n", " row 3 column label: expected a number or a text, found none"),
        (b"visit,label\n1,1\n2,\xff\n", " line 3: expected text in UTF-8, found other bytes"),
        (b"visit,label\n1,1\n2,\0\n", " row 3: expected text, found a NUL character"),
        (b'visit,label\n1,1\n2,"1\n', " line 3: expected a CSV table"),
        (b"visit,label\n1," + b"1" * 200_000 + b"\n", " line 2: expected a CSV table"),
        (b"visit,label\n1," + b"1" * 5000 + b"\n", " row 2 column label: expected a number within"),
        (
            b"visit,label,known_at\n1,1,2024-02-05\n2,1,5.2.24\n",
            " row 3 column known_at: expected an ISO 8601 time, found '5.2.24'",
        ),
        (
            b"visit,label,known_at\n1,1,2042-02-05\n",
            " row 2 column known_at: expected a time that has passed, found 2042-02-05",
        ),
    ],
)
def test_a_wrong_file_is_refused_whole_with_its_place(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        import_csv(make_problem(), file, None, NOW)
    assert str(caught.value).startswith(f"{file}{said}")
    assert "\n" not in str(caught.value)
    assert known() == {}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv: expected a CSV file .* No such file"):
        import_csv(make_problem(), tmp_path / "none.csv", None, NOW)


@settings(max_examples=150)
@given(content=st.binary(max_size=60) | st.text("visit,label\n\r01\"'\0;", max_size=40))
def test_no_bytes_crash_the_import(tmp_path_factory: Any, content: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(
        b"visit,label\n" + (content if isinstance(content, bytes) else content.encode())
    )
    try:
        taken = import_csv(make_problem(key=["visit"]), file, None, NOW)
    except DataError as error:
        assert str(file) in str(error)
    else:
        assert taken >= 0
