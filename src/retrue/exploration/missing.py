"""Where values are missing: by column, by time, together, and where the label is."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from retrue.exploration.spans import Spans
from retrue.exploration.vectors import Floats, Vector


@dataclass(frozen=True)
class Missing:
    """Columns with missing values, most first; all rows count."""

    shares: dict[str, float]
    by_span: dict[str, tuple[float, ...]]
    """Share missing in each calendar span, NaN in a span without rows; empty without a time."""
    together: tuple[tuple[str, ...], ...]
    """Columns that are missing in exactly the same rows."""
    with_label: dict[str, float]
    """Phi of missing here and missing label, -1 to 1 (Pearson 1900), where either is."""


@dataclass
class MissingCounter:
    """Takes columns one by one, so that no table of masks stands in memory."""

    spans: Spans | None
    unlabelled: np.typing.NDArray[np.bool_]
    _shares: dict[str, float] = field(default_factory=dict)
    _by_span: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _masks: dict[bytes, list[str]] = field(default_factory=dict)
    _with_label: dict[str, float] = field(default_factory=dict)

    def add(self, vector: Vector) -> None:
        """Count one column."""
        mask = vector.codes < 0
        if not mask.any():
            return
        self._shares[vector.name] = float(mask.mean())
        digest = blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()
        self._masks.setdefault(digest, []).append(vector.name)
        self._with_label[vector.name] = _phi(mask, self.unlabelled)
        if self.spans is not None:
            rows = self.spans.n_rows
            gone = self.spans.codes[mask & (self.spans.codes >= 0)]
            lost: Floats = np.bincount(gone, minlength=len(rows)).astype(float)
            shares = np.divide(lost, rows, out=np.full(len(rows), np.nan), where=rows > 0)
            self._by_span[vector.name] = tuple(shares.tolist())

    def counted(self) -> Missing:
        """What was found."""
        shares = dict(sorted(self._shares.items(), key=lambda item: (-item[1], item[0])))
        together = tuple(tuple(names) for names in self._masks.values() if len(names) > 1)
        return Missing(shares, self._by_span, together, self._with_label)


def _phi(a: np.typing.NDArray[np.bool_], b: np.typing.NDArray[np.bool_]) -> float:
    n, n_a, n_b = len(a), int(a.sum()), int(b.sum())
    spread = n_a * (n - n_a) * n_b * (n - n_b)
    both = int((a & b).sum())
    return (n * both - n_a * n_b) / float(spread) ** 0.5 if spread else 0.0
