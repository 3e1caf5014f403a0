"""How a CSV text is written: delimiter, quote character, and whether it has a header."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from retrue.errors import DataError

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d+)*|\.\d+)([eE][-+]?\d+)?\s*%?\s*")
_TIME = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?\s*")
_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "-"}
# Names of numbers, such as years, count up evenly; two of them always do, so three are asked.
_NAMED_NUMBERS = 3
_LOOKED_AT_ROWS = 1000


@dataclass(frozen=True)
class Dialect:
    """Delimiter and quote of a text, its first rows, and why they were found."""

    delimiter: str
    quote: str
    rows: list[list[str]]
    why_delimiter: str
    why_quote: str


def detect_dialect(text: str, *, whole: bool) -> Dialect:
    """Find the delimiter and quote that make the most regular table of a text.

    Parameters
    ----------
    text : str
        The start of the file.
    whole : bool
        Whether that is all of it: if not, its last line is left out.

    Returns
    -------
    Dialect
        Comma and double quote when nothing speaks for others.
    """
    if not whole:
        text = text[: text.rfind("\n") + 1] or text
    quote = _quote(text)
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        score = _regularity(_rows(text, delimiter, quote))
        if score > best_score:
            best, best_score = delimiter, score
    rows = _rows(text, best, quote)
    share, width = best_score
    why = (
        f"a {_DELIMITERS[best]} gives {share:.0%} of the first {len(rows)} rows {width} fields"
        if best_score[1]
        else "no delimiter divides the rows: one column"
    )
    name = "double" if quote == '"' else "single"
    return Dialect(best, quote, rows, why, f"fields are in {name} quotes, or in none")


def insist_on_header(rows: list[list[str]], where: str) -> None:
    """Refuse a table whose first row is data.

    It is taken for data when a number or time stands over each column of numbers or times, or,
    in a table of text, when most of its values come again further down in their columns.

    Raises
    ------
    DataError
        If the first row holds values instead of names.
    """
    header, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if not body:
        return
    columns = [[row[i] for row in body] for i in range(len(header))]
    measured = [i for i, column in enumerate(columns) if _measures(column)]
    if measured:
        over = [header[i] for i in measured]
        is_data = all(_is_value(cell) for cell in over) and not _counts_up(over)
    else:
        again = sum(cell in columns[i] for i, cell in enumerate(header) if cell)
        is_data = 2 * again > len(header)
    if is_data:
        shown = ", ".join(header)[:80]
        raise DataError(
            "a header with the names of the columns",
            f"values: {shown}",
            f"{where} row 1",
            "put a first row with one name a column into the file",
        )


def _rows(text: str, delimiter: str, quote: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) >= _LOOKED_AT_ROWS:
                break
    except csv.Error:
        # A field beyond the limit, or a NUL byte: what was read so far has to do here.
        pass
    return rows


def _regularity(rows: list[list[str]]) -> tuple[float, int]:
    """Share of rows as wide as most, and that width; nothing for a single column."""
    if not rows:
        return 0.0, 0
    width, count = Counter(map(len, rows)).most_common(1)[0]
    # The header decides: a comma within text must not divide what the header does not.
    if width == 1 or len(rows[0]) == 1:
        return 0.0, 0
    return round(count / len(rows), 2), width


def _quote(text: str) -> str:
    single, double = (_quoted(text, quote) for quote in "'\"")
    return "'" if single and not double else '"'


def _quoted(text: str, quote: str) -> bool:
    """Whether the quote opens and closes fields, and no field opens with it in vain."""
    opens = len(re.findall(rf"(?:^|[,;\t|]){quote}", text, re.MULTILINE))
    whole = rf"(?:^|[,;\t|]){quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*{quote}(?=\r?$|[,;\t|])"
    closed = len(re.findall(whole, text, re.MULTILINE))
    return opens > 0 and closed == opens


def _measures(column: list[str]) -> bool:
    known = [cell for cell in column if cell.strip().lower() not in _MISSING]
    return bool(known) and all(_is_value(cell) for cell in known)


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _TIME.fullmatch(cell))


def _counts_up(cells: list[str]) -> bool:
    if len(cells) < _NAMED_NUMBERS or not all(cell.strip().isdecimal() for cell in cells):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(cells)}
    return len(steps) == 1 and steps.pop() > 0
