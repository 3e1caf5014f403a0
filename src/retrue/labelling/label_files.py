"""Files of labels: plain tables of text, every fault told with file, row and column."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pandas as pd

from retrue.errors import DataError
from retrue.labelling import labels
from retrue.labelling.label_entries import insist_on_key
from retrue.labelling.label_expression import LATE_LABEL
from retrue.problem_checks import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from retrue.config import Problem

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
# Python refuses to read longer ones as whole numbers.
_DIGITS = 4000
_OPTIONAL = ("known_at", "author")
_TRUTHS = {"true": "1", "false": "0"}
_AGAIN = "correct the file and import it again"


def import_csv(problem: Problem, path: Path, author: str | None, now: datetime) -> int:
    """Take a CSV file of labels: the key columns, `label`, and if wanted `known_at` and `author`.

    A label that is spelled as a number is one, true and false are 1 and 0. Without `known_at`,
    or where it is empty, a label was known at `now`.

    Returns
    -------
    int
        How many labels were new: all of them, or 0 if the same file was imported before.

    Raises
    ------
    DataError
        The file, a column, a key, a label or a time is wrong; nothing is taken.
    ConfigError
        The problem has no key.
    """
    insist_on_key(problem)
    frame = read_csv(path)
    wanted = [*problem.data.key, "label"]
    for name in frame.columns:
        if name not in wanted and name not in _OPTIONAL:
            expected = f"only the columns {', '.join([*wanted, *_OPTIONAL])}"
            remedy = did_you_mean(name, [*wanted, *_OPTIONAL]) or "remove the column"
            raise DataError(expected, name, f"{path} row 1", remedy)
    if missing := [name for name in wanted if name not in frame.columns]:
        expected = f"the column{'s' * (len(missing) > 1)} {', '.join(missing)}"
        found = f"columns {', '.join(frame.columns)}"
        raise DataError(expected, found, f"{path} row 1", _AGAIN)
    if frame.empty:
        raise DataError("labels", "a header alone", str(path), _AGAIN)
    return labels.add(problem, typed(problem, frame), str(path), author, now)


def typed(problem: Problem, frame: pd.DataFrame) -> pd.DataFrame:
    """Text columns of a file as the sources' columns of the same values would be typed."""
    texts = {*problem.features.categorical, *problem.features.text}
    columns = {name: frame[name] for name in frame.columns}
    for name in problem.data.key:
        if name in columns and name not in texts and all(map(_is_number, frame[name])):
            # A column of whole numbers is one of numbers, however they are padded: 007 is 7.
            columns[name] = frame[name].map(_number)
    if "label" in columns:
        columns["label"] = frame["label"].map(lambda text: label_of(problem, text))
    return pd.DataFrame({name: column.astype(object) for name, column in columns.items()})


def label_of(problem: Problem, text: str) -> str | int | float:
    """A label that stands in a file as text: a number where it is spelled as one.

    Classes stay the texts they are, so that 007 is not 7.
    """
    plain = text.strip()
    if problem.label.task == "multiclass" and problem.label.expression.strip() == LATE_LABEL:
        return plain
    if problem.label.task == "binary":
        plain = _TRUTHS.get(plain.lower(), plain)
    return _number(plain) if _is_number(plain) else plain


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file as text; the row labels count its rows, the header is row 1.

    Raises
    ------
    DataError
        No such file, no UTF-8, a NUL, a ragged row, or a column named twice or not at all.
    """
    numbers: list[int] = []
    rows: list[Sequence[str]] = []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        found = error.strerror or "an error"
        raise DataError("a CSV file of labels", found, str(path), "correct the path") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError("text in UTF-8", "other bytes", f"{path} line {line}", _AGAIN) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    try:
        for number, row in enumerate(reader, start=1):
            if not row:  # an empty line says nothing
                continue
            if any("\0" in field for field in row):
                raise DataError("text", "a NUL character", f"{path} row {number}", _AGAIN)
            if not header:
                header = _header(row, path)
            elif len(row) != len(header):
                where = f"{path} row {number} column {header[min(len(row), len(header)) - 1]}"
                raise DataError(f"{len(header)} fields", str(len(row)), where, _AGAIN)
            else:
                numbers.append(number)
                rows.append(row)
    except csv.Error as error:
        where = f"{path} line {reader.line_num}"
        raise DataError("a CSV table", str(error), where, _AGAIN) from error
    if not header:
        raise DataError("a CSV file of labels", "an empty file", str(path), _AGAIN)
    return pd.DataFrame(rows, index=numbers, columns=header, dtype=object)


def _header(row: Sequence[str], path: Path) -> list[str]:
    names = [name.strip() for name in row]
    for position, name in enumerate(names, start=1):
        if not name or names.count(name) > 1:
            found = f"{name} again" if name else "an empty name"
            where = f"{path} row 1 column {position}"
            raise DataError("each column named once", found, where, _AGAIN)
    return names


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _number(text: str) -> int | float:
    is_whole = text.lstrip("-").isdigit() and len(text) < _DIGITS
    return int(text) if is_whole else float(text)
