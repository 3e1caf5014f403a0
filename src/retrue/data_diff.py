"""What changed between two data versions: columns, rows, cells and distributions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.data_shift import Shift, shift
from retrue.data_versions import kinds
from retrue.lake import pins, read_version, version_meta
from retrue.refs import DataRef
from retrue.row_json import rows_as_json, values_as_json

Codes = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]

# Odd, with its bits well mixed: 2^64 over the golden ratio (Knuth, The Art of Computer
# Programming 3, 6.4).
_MIX = np.uint64(0x9E3779B97F4A7C15)
# Kinds that are compared with one another by value.
_NUMBERS = {"whole number", "number", "yes or no"}


@dataclass(frozen=True)
class Cell:
    """One value that changed; `old` and `new` are JSON values, `key` a JSON object."""

    key: str
    column: str
    old: str
    new: str


@dataclass(frozen=True)
class Diff:
    """What changed from version `before` to version `after`."""

    before: int
    after: int
    changed_tables: tuple[str, ...]
    """Source tables that are pinned at other contents."""
    added_columns: tuple[str, ...]
    removed_columns: tuple[str, ...]
    retyped_columns: dict[str, tuple[str, str]]
    """Kinds before and after. Numbers are compared across kinds; other cells are not."""
    key: tuple[str, ...]
    """Columns by which rows were matched; without any, equal rows were."""
    n_added: int
    n_removed: int
    n_changed: int
    n_same: int
    changed_columns: dict[str, int]
    """Changed cells of each column that has any."""
    cells: tuple[Cell, ...]
    """The first changed cells, in order of the rows after."""
    added: tuple[str, ...]
    """Keys (or whole rows) of the first added rows, as JSON objects."""
    removed: tuple[str, ...]
    shifts: tuple[Shift, ...]
    """Each column of both versions whose values differ, the one that moved most first."""

    @property
    def is_empty(self) -> bool:
        """Whether the two hold the same."""
        schema = self.added_columns or self.removed_columns or self.retyped_columns
        return not (schema or self.n_added or self.n_removed or self.n_changed)


def diff(before: DataRef, after: DataRef, limit: int = 20) -> Diff:
    """Compare any two data versions of a problem.

    Parameters
    ----------
    before, after : DataRef
        Two versions; rows are matched by the key that both were written with, repeated keys by
        the order of their rows.
    limit : int
        How many changed cells, added and removed rows to tell.

    Returns
    -------
    Diff
        Where the key is empty, or another in each version, a changed row is one row removed and
        another added.
    """
    a, b = read_version(before), read_version(after)
    kinds_a, kinds_b = kinds(before), kinds(after)
    shared = [name for name in b.columns if name in kinds_a]
    retyped = {n: (kinds_a[n], kinds_b[n]) for n in shared if kinds_a[n] != kinds_b[n]}
    compared = [n for n in shared if n not in retyped or set(retyped[n]) <= _NUMBERS]
    codes = {name: _codes(a[name], b[name]) for name in compared}
    key_a, key_b = (tuple(version_meta(ref)["key"]) for ref in (before, after))
    key = key_a if key_a == key_b and set(key_a) <= set(compared) else ()
    at_a, at_b = _matched(codes, key or compared, len(a), len(b))
    differ = {n: codes[n][0][at_a] != codes[n][1][at_b] for n in compared if n not in key}
    changed = np.zeros(len(at_a), bool)
    for mask in differ.values():
        changed |= mask
    added, removed = _others(len(b), at_b), _others(len(a), at_a)
    counts = {name: int(np.count_nonzero(mask)) for name, mask in differ.items()}
    moved = compared if len(added) or len(removed) else [n for n, count in counts.items() if count]
    shifts = [shift(name, a[name], b[name]) for name in moved]
    return Diff(
        before=before.version,
        after=after.version,
        changed_tables=_changed_tables(before, after),
        added_columns=tuple(n for n in b.columns if n not in kinds_a),
        removed_columns=tuple(n for n in a.columns if n not in kinds_b),
        retyped_columns=retyped,
        key=key,
        n_added=len(added),
        n_removed=len(removed),
        n_changed=int(np.count_nonzero(changed)),
        n_same=len(at_a) - int(np.count_nonzero(changed)),
        changed_columns={name: count for name, count in counts.items() if count},
        cells=_cells(a, b, key, differ, at_a, at_b, np.flatnonzero(changed)[:limit], limit),
        added=_told(b, key, added[:limit]),
        removed=_told(a, key, removed[:limit]),
        shifts=tuple(sorted(shifts, key=lambda one: -(one.psi or 0))),
    )


def _changed_tables(before: DataRef, after: DataRef) -> tuple[str, ...]:
    old, new = ({name: pin.sha256 for name, pin in pins(r).items()} for r in (before, after))
    return tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))


def _codes(a: pd.Series, b: pd.Series) -> tuple[Codes, Codes]:
    """Numbers of both columns that are equal where the values are, exactly; a missing one too."""
    if isinstance(a.dtype, pd.CategoricalDtype):
        texts = a.cat.categories.union(b.astype("category").cat.categories)
        return _ranks(a, texts), _ranks(b.astype("category"), texts)
    if pd.api.types.is_datetime64_any_dtype(a.dtype):
        return _instants(a), _instants(b)
    if object in (a.dtype, b.dtype):  # booleans with missing ones
        both = pd.factorize(pd.concat([a, b], ignore_index=True).astype(object))[0].astype(np.int64)
        return both[: len(a)], both[len(a) :]
    if a.dtype.kind in "iub" and b.dtype.kind in "iub":
        return a.to_numpy(np.int64), b.to_numpy(np.int64)
    return _bits(a), _bits(b)


def _ranks(column: pd.Series, texts: pd.Index) -> Codes:
    ranks: Codes = np.append(texts.get_indexer(column.cat.categories), -1).astype(np.int64)
    found: Codes = ranks[column.cat.codes.to_numpy()]
    return found


def _instants(column: pd.Series) -> Codes:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().astype("datetime64[us]").view(np.int64)


def _bits(column: pd.Series) -> Codes:
    values = column.to_numpy(np.float64, copy=True)
    values[np.isnan(values)] = np.nan
    return values.view(np.int64)


def _matched(
    codes: dict[str, tuple[Codes, Codes]], names: Sequence[str], n_a: int, n_b: int
) -> tuple[Positions, Positions]:
    """Positions of the rows that are in both, in order of the second table."""
    hash_a, hash_b = np.zeros(n_a, np.uint64), np.zeros(n_b, np.uint64)
    for name in names:
        hash_a, hash_b = (
            _mixed(had, new) for had, new in zip((hash_a, hash_b), codes[name], strict=True)
        )
    hash_a, hash_b = _numbered(hash_a), _numbered(hash_b)
    _, at_a, at_b = np.intersect1d(hash_a, hash_b, assume_unique=True, return_indices=True)
    order = np.argsort(at_b)
    at_a, at_b = at_a[order], at_b[order]
    # Two rows that share a hash by chance (1 in 10^7 for a million rows) are no match.
    equal = np.ones(len(at_a), bool)
    for name in names:
        equal &= codes[name][0][at_a] == codes[name][1][at_b]
    return at_a[equal], at_b[equal]


def _mixed(hashes: Hashes, codes: Codes) -> Hashes:
    """A round of multiply and shift (as in splitmix64, Steele and others 2014)."""
    mixed = (hashes ^ codes.view(np.uint64)) * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(mixed ^ (mixed >> np.uint64(32)), np.uint64)


def _numbered(hashes: Hashes) -> Hashes:
    """The second row of a hash gets another one, and the third; in order of the rows."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]
    if starts.all():
        return hashes
    at = np.arange(len(ordered))
    number = at - np.maximum.accumulate(np.where(starts, at, 0))
    found = np.empty_like(hashes)
    found[order] = ordered + number.astype(np.uint64) * _MIX
    return found


def _others(n: int, positions: Positions) -> Positions:
    rest = np.ones(n, bool)
    rest[positions] = False
    return np.flatnonzero(rest)


def _told(frame: pd.DataFrame, key: Sequence[str], positions: Positions) -> tuple[str, ...]:
    return tuple(rows_as_json(frame.iloc[positions][list(key) or list(frame.columns)]))


def _cells(
    a: pd.DataFrame,
    b: pd.DataFrame,
    key: Sequence[str],
    differ: dict[str, npt.NDArray[np.bool_]],
    at_a: Positions,
    at_b: Positions,
    rows: Positions,
    limit: int,
) -> tuple[Cell, ...]:
    found = []
    for row, identity in zip(rows.tolist(), _told(b, key, at_b[rows]), strict=True):
        for name in (name for name, mask in differ.items() if mask[row]):
            (old,) = values_as_json(a[name].iloc[[at_a[row]]])
            (new,) = values_as_json(b[name].iloc[[at_b[row]]])
            found.append(Cell(identity, name, old, new))
    return tuple(found[:limit])
