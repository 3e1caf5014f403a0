"""Which encoding the bytes of a text file are in, and why that was found."""

import codecs
import re

_MARKS = (
    # UTF-32's little-endian mark starts with UTF-16's: it has to be looked for first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What tables are exported in where UTF-8 is not the habit, by region; more only adds mistakes.
_REGIONAL = {
    "cp1252": "Western European",
    "cp1250": "Central European",
    "cp1251": "Cyrillic",
    "cp1253": "Greek",
    "cp1254": "Turkish",
    "cp949": "Korean",
    "cp932": "Japanese",
    "euc_jp": "Japanese",
    "gb18030": "Chinese",
    "big5": "Chinese",
}
# Share of the characters beyond ASCII that are everyday syllables in Korean text; the rest are
# signs and Chinese characters. Western text read as CP949 stays below 0.1, Chinese near 0.5.
_KOREAN_SHARE = 0.8
_EVERYDAY_SYLLABLE = re.compile(rb"[\xb0-\xc8][\xa1-\xfe]")
# Letters of cp1250 that cp1252 shows as signs within a word.
_SIGN = re.compile(r"[^\W\d_][¹³¿£¥¯ª¼¾]|[¹³¿£¯ª¼¾][^\W\d_]")
_LOOKED_AT_BYTES = 1 << 16


def marked_encoding(data: bytes) -> str | None:
    r"""Encoding that a byte order mark at the start declares; None without one.

    Examples
    --------
    >>> marked_encoding(b"\xff\xfea\x00")
    'utf-16'
    """
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def detect_encoding(head: bytes) -> tuple[str, str]:
    r"""Encoding of a text, and why, in plain words.

    Parameters
    ----------
    head : bytes
        The start of the file; it may stop within a character.

    Returns
    -------
    encoding : str
        A Python codec name; `utf-8` for ASCII, for nothing, and where a mark says so.
    why : str
        What in the bytes says so.

    Examples
    --------
    >>> detect_encoding("도시,금액\n서울,1\n".encode("cp949"))[0]
    'cp949'
    >>> detect_encoding("ville,prix\nOrléans,1\n".encode("cp1252"))[0]
    'cp1252'
    """
    if marked := marked_encoding(head):
        name = "utf-8" if marked == "utf-8-sig" else marked
        return name, f"the file starts with the byte order mark of {name.upper()}"
    if head.isascii() and b"\0" not in head:
        return "utf-8", "only ASCII characters, which are the same in UTF-8"
    if wide := _utf16_without_mark(head):
        return wide, "every other byte is zero, as in UTF-16 without a byte order mark"
    if _decodes(head, "utf-8"):
        return "utf-8", "all bytes are valid UTF-8"
    lines = _whole_lines(head)
    if _is_korean(lines):
        return "cp949", "not UTF-8; read as CP949 it is Korean"
    name = _most_plausible(lines)
    return name, f"not UTF-8; by its letters {_REGIONAL[name]} is the most plausible"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _utf16_without_mark(head: bytes) -> str | None:
    even = head[: len(head) // 2 * 2]
    little, big = even[1::2].count(0), even[0::2].count(0)
    # A table has ASCII digits, delimiters and line ends in any language; text has no zeros.
    if max(little, big) <= 10 * min(little, big):
        return None
    name = "utf-16-le" if little > big else "utf-16-be"
    # One stray zero in a text of one byte a character gives no line end of two bytes.
    line_end = "\n".encode(name)
    ends = even.find(line_end)
    return name if ends >= 0 and ends % 2 == 0 and _decodes(even, name) else None


def _whole_lines(head: bytes) -> bytes:
    """Up to the last line end (one byte in all regional encodings), lines with letters first."""
    cut = head.rfind(b"\n") + 1
    lines = (head[:cut] if cut else head).splitlines(keepends=True)
    telling = b"".join(line for line in lines if not line.isascii())
    return telling[: telling.rfind(b"\n", 0, _LOOKED_AT_BYTES) + 1 or None]


def _is_korean(lines: bytes) -> bool:
    try:
        beyond = sum(1 for c in lines.decode("cp949") if not c.isascii())
    except UnicodeDecodeError:
        return False
    return beyond > 0 and len(_EVERYDAY_SYLLABLE.findall(lines)) >= _KOREAN_SHARE * beyond


def _most_plausible(lines: bytes) -> str:
    from charset_normalizer import from_bytes

    found = from_bytes(lines, cp_isolation=list(_REGIONAL))
    best = found.best()
    name = best.encoding if best and best.encoding in _REGIONAL else "cp1252"
    # Its neighbours share most letters with cp1252, which is far more common: a tie is its.
    if best and name in ("cp1250", "cp1254") and _decodes(lines, "cp1252"):
        western = next((m for m in found if m.encoding == "cp1252"), None)
        text = lines.decode("cp1252")
        as_likely = western is None or western.coherence >= best.coherence
        if text == str(best) or (as_likely and not _SIGN.search(text)):
            return "cp1252"
    return name
