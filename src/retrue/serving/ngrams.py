"""Text to counts of hashed character n-grams (Weinberger et al. 2009, without their sign)."""

from array import array
from zlib import crc32

# Three tell words apart across inflections and spelling mistakes, and stay frequent enough to
# learn from (Cavnar & Trenkle 1994 use 1 to 5).
NGRAM = 3
_CODE_POINT_BYTES = 4


def padded(text: str) -> str:
    """The text as its n-grams are taken: case gone, a space before and after.

    Examples
    --------
    >>> padded("Groß")
    ' gross '
    """
    return f" {text.casefold()} "


def code_points(text: str) -> bytes:
    """Four bytes a character, so that an n-gram is a slice; a lone surrogate is a character too."""
    return text.encode("utf-32-le", "surrogatepass")


def ngram_counts(text: str, n_buckets: int) -> "array[float]":
    """How many n-grams of the text fall into each bucket, by CRC-32.

    Returns
    -------
    array of float64
        Length n_buckets; the sum is the number of characters after folding, minus one for the
        empty text. The empty text has no n-grams.

    Examples
    --------
    >>> ngram_counts("late", 4).tolist(), sum(ngram_counts("", 4))
    ([1.0, 2.0, 0.0, 1.0], 0.0)
    """
    counts = array("d", bytes(8 * n_buckets))
    content = code_points(padded(text))
    width = NGRAM * _CODE_POINT_BYTES
    for start in range(0, len(content) - width + 1, _CODE_POINT_BYTES):
        counts[crc32(content[start : start + width]) % n_buckets] += 1.0
    return counts
