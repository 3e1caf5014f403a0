"""What each column of a table looks like, in a few numbers; all that is guessed starts here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Kind = Literal["number", "text", "time"]

ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "key", "pk", "rowid", "index", "serial"})
ID_WORDS_KOREAN = ("번호", "아이디", "식별자")
MIN_ROWS_TO_JUDGE = 50
"""Below it, that all values differ says little: fifty normal numbers with two decimals do."""

# Words are counted on so many different texts: the mean is then right to a few per cent.
_TEXTS_READ = 5_000
# Sentences have four words or forty letters; names, codes and places mostly have fewer.
_FREE_WORDS, _FREE_CHARS = 4.0, 40.0


@dataclass(frozen=True)
class Column:
    """One column: `n_distinct` counts values that are there, `n_top` rows of the commonest."""

    name: str
    kind: Kind
    n_rows: int
    n_missing: int
    n_distinct: int
    n_top: int
    whole: bool = False
    """A number that never has a fraction."""
    counting: bool = False
    """Whole numbers that all differ and leave no gap, or only ever rise: a row count."""
    words: float = 0.0
    chars: float = 0.0

    @property
    def n_present(self) -> int:
        """Rows with a value."""
        return self.n_rows - self.n_missing

    @property
    def null_share(self) -> float:
        """Share of rows without a value, 0 to 1."""
        return self.n_missing / max(self.n_rows, 1)

    @property
    def distinct_share(self) -> float:
        """Distinct values by rows with a value, 0 to 1; 0 for an empty column."""
        return self.n_distinct / max(self.n_present, 1)

    @property
    def is_unique(self) -> bool:
        """Complete, and no value twice."""
        return self.n_missing == 0 and self.n_distinct == self.n_rows

    @property
    def is_free_text(self) -> bool:
        """Sentences: mostly different from row to row, and several words long."""
        long = self.words >= _FREE_WORDS or self.chars >= _FREE_CHARS
        return self.kind == "text" and long and self.n_distinct > MIN_ROWS_TO_JUDGE

    @property
    def has_id_name(self) -> bool:
        """Its name says that it identifies something, such as `order_id` or `userId`.

        Examples
        --------
        >>> names = ("user_id", "customerID", "회원번호", "paid", "idle_time", "Unnamed: 0")
        >>> [Column(n, "number", 1, 0, 1, 1).has_id_name for n in names]
        [True, True, True, False, False, True]
        """
        found = words_of(self.name)
        last_or_first = {found[-1], found[0]} if found else set()
        named = bool(last_or_first & ID_WORDS) or self.name.strip().endswith(ID_WORDS_KOREAN)
        # pandas writes its row labels under this name, or none.
        return named or self.name.startswith("Unnamed: 0") or not self.name.strip()

    @property
    def is_identifier(self) -> bool:
        """Names a row or an entity, so that a model could only learn it by heart."""
        if self.kind == "time" or self.is_free_text or self.n_present < MIN_ROWS_TO_JUDGE:
            return False
        if self.kind == "number" and not self.whole:
            return False
        if self.counting or (self.has_id_name and self.distinct_share >= 0.1):
            return True
        return self.kind == "text" and self.distinct_share > 0.5


def words_of(name: str) -> list[str]:
    """Lower-case words of a column's name.

    Examples
    --------
    >>> words_of("arrDelay_minutes (UTC)")
    ['arr', 'delay', 'minutes', 'utc']
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word.lower() for word in re.split(r"[\W_]+", spaced) if word]


def profile(frame: pd.DataFrame) -> dict[str, Column]:
    """Profile each column of a typed table, as `retrue.sources.acquisition.read_source` gives it.

    Empty tables and columns give zeros; nothing is sampled but the length of texts.
    """
    return {str(name): _column(str(name), frame[name]) for name in frame.columns}


def kind_of(values: pd.Series) -> Kind:
    """Number (truth values are 0 and 1), time, or else text."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "time"
    return "number" if pd.api.types.is_numeric_dtype(values.dtype) else "text"


def _column(name: str, values: pd.Series) -> Column:
    kind, n_rows = kind_of(values), len(values)
    n_missing = int(values.isna().sum())
    counts = values.value_counts(sort=False, dropna=True)
    counts = counts[counts > 0]
    sizes = (n_rows, n_missing, len(counts), int(counts.max()) if len(counts) else 0)
    if kind == "number":
        numbers = values.dropna().to_numpy(np.float64)
        whole = bool(len(numbers)) and bool(np.all(np.mod(numbers[np.isfinite(numbers)], 1) == 0))
        whole = whole and bool(np.isfinite(numbers).all())
        return Column(name, kind, *sizes, whole=whole, counting=whole and _counts_up(numbers))
    if kind == "text":
        words, chars = _lengths([str(text) for text in counts.index[:_TEXTS_READ]])
        return Column(name, kind, *sizes, words=words, chars=chars)
    return Column(name, kind, *sizes)


def _counts_up(numbers: NDArray[np.float64]) -> bool:
    n = len(numbers)
    if n < MIN_ROWS_TO_JUDGE:
        return False
    steps = np.diff(numbers)
    if np.all(steps > 0):
        return True
    return bool(np.ptp(numbers) == n - 1) and len(np.unique(numbers)) == n


def _lengths(texts: Sequence[str]) -> tuple[float, float]:
    if not texts:
        return 0.0, 0.0
    n_words = sum(len(text.split()) for text in texts)
    return n_words / len(texts), sum(map(len, texts)) / len(texts)
