"""Damage to the bytes of a file: cut, in another encoding, not the table that its header says."""

import codecs
from collections.abc import Callable

from tests.damaged.faults import as_clean, refused, with_cell
from tests.damaged.plant import Plant
from tests.damaged.readings import as_csv, readings

TEXT = as_csv(readings())
LINES = TEXT.splitlines(keepends=True)


def content(change: Callable[[], str | bytes], **keys: str) -> Callable[[Plant], None]:
    return lambda plant: plant.deliver(change(), **keys)


def _cut(marker: str, after: int = 0) -> str:
    """Return the text up to some characters after the first `marker` beyond its middle."""
    return TEXT[: TEXT.index(marker, len(TEXT) // 2) + after]


def _row(row: int, change: Callable[[str], str]) -> str:
    return "".join([*LINES[: row - 1], change(LINES[row - 1].rstrip("\n")) + "\n", *LINES[row:]])


def _remarked(encoding: str, remark: str) -> bytes:
    plain = "".join(line for line in LINES if line.isascii())
    return with_cell(plain, 9, "remark", remark).encode(encoding)


def _row_of(text: str) -> str:
    return f"row {text.count(chr(10)) + 1}"


_PLAIN = "".join(line for line in LINES if '"' not in line)
_IN_ROW = _cut("run,", 6)
_IN_QUOTE = _cut('"checked', 4)

FAULTS = [
    refused("cut inside a row", content(lambda: _IN_ROW), "readings.csv", _row_of(_IN_ROW)),
    refused("cut inside a quote", content(lambda: _IN_QUOTE), "readings.csv", _row_of(_IN_QUOTE)),
    refused(
        "cut at a line end",
        content(lambda: "".join(LINES[:200])),
        "readings.csv",
        "row_count",
        "199",
    ),
    refused("empty", content(lambda: b""), "readings.csv", "an empty file"),
    refused("white space alone", content(lambda: "\n \n"), "readings.csv", "an empty file"),
    refused("header alone", content(lambda: LINES[0]), "readings.csv", "a header alone"),
    as_clean("byte order mark", content(lambda: codecs.BOM_UTF8 + TEXT.encode())),
    as_clean("UTF-16 with a mark", content(lambda: TEXT.encode("utf-16"))),
    as_clean("line ends of Windows", content(lambda: TEXT.replace("\n", "\r\n"))),
    as_clean("blank lines", content(lambda: "".join([*LINES[:5], "\n", *LINES[5:], "\n"]))),
    refused(
        "UTF-16 without a mark",
        content(lambda: TEXT.encode("utf-16-le")),
        "readings.csv",
        "utf-16-le",
    ),
    refused(
        "Latin-1",
        content(lambda: _remarked("latin-1", "größer")),
        "readings.csv row 9 column remark",
        "UTF-8",
    ),
    refused(
        "CP949",
        content(lambda: _remarked("cp949", "점검 완료")),
        "readings.csv row 9 column remark",
        "UTF-8",
        "cp949",
    ),
    refused(
        "UTF-8 declared CP949",
        content(lambda: TEXT, encoding="cp949"),
        "readings.csv row",
        "cp949",
    ),
    refused("an encoding nobody knows", content(lambda: TEXT, encoding="ebcdic-9"), "'ebcdic-9'"),
    refused(
        "NUL byte",
        content(lambda: with_cell(TEXT, 7, "mode", "r\0n")),
        "readings.csv row 7 column mode",
        "NUL",
    ),
    refused(
        "short row",
        content(lambda: _row(12, lambda line: line.rsplit(",", 2)[0])),
        "readings.csv row 12 column remark",
        "found 7",
    ),
    refused(
        "long row",
        content(lambda: _row(12, lambda line: f"{line},1")),
        "readings.csv row 12",
        "found 10",
    ),
    refused(
        "duplicate header",
        content(lambda: TEXT.replace("battery", "load", 1)),
        "readings.csv row 1",
        "load twice",
    ),
    refused(
        "blank header over a needed column",
        content(lambda: TEXT.replace("temperature", "", 1)),
        "readings.csv row 1",
        "the column temperature",
    ),
    refused(
        "blank header over another column",
        content(lambda: TEXT.replace("battery", "", 1)),
        "readings.csv",
    ),
    refused(
        "field of 1 MB",
        content(lambda: with_cell(TEXT, 20, "remark", "x" * (1 << 20))),
        "readings.csv row 20 column remark",
    ),
    refused(
        "unclosed quote",
        content(lambda: _row(15, lambda line: line.replace(",", ',"', 1))),
        "readings.csv row 15",
    ),
    refused(
        "unclosed quote, and none after it",
        content(lambda: _PLAIN + _PLAIN.splitlines(keepends=True)[-1].replace(",", ',"', 1)),
        "readings.csv",
        _row_of(_PLAIN),
        "quote",
    ),
    refused(
        "semicolons for commas",
        content(lambda: readings().to_csv(index=False, sep=";", lineterminator="\n")),
        "readings.csv row",
        "column reading;at",
    ),
    refused(
        "rows before the header",
        content(lambda: f"Plant report\n2024\n{TEXT}"),
        "readings.csv",
    ),
    refused("no header", content(lambda: "".join(LINES[1:])), "readings.csv row 1"),
    refused("a web page", content(lambda: "<html>\n<p>504 Gateway Time-out\n"), "readings.csv"),
    refused(
        "two tables in one file",
        content(lambda: TEXT + TEXT),
        "readings.csv row 962 column at",
    ),
]
