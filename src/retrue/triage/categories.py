"""Categories that are known ones in disguise: cut, recased, wrongly decoded or recoded."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from retrue.triage.faults import finding
from retrue.triage.sides import shares

if TYPE_CHECKING:
    from collections.abc import Collection

    from retrue.triage.result import Finding
    from retrue.triage.sides import Coded, Side

_UNKNOWN, _REPAIRED, _RECODED = 0.05, 0.8, 0.9
_COVERED = 0.95


def damaged_texts(known: Side, window: Side) -> list[Finding]:
    """Days with unknown categories of which a repair makes known ones, or with no known one left.

    New categories enter a few at a time, and no repair makes known ones of them. Features whose
    categories are mostly new at all times (names, ids) are left alone.
    """
    found = []
    for name, column in window.texts.items():
        before = known.texts.get(name)
        if before is None or not before.labels or not _is_covered(before, known):
            continue
        labels = set(before.labels)
        new = {c: one for c, one in enumerate(column.labels) if one not in labels}
        is_new = np.isin(column.codes, list(new))
        unknown = np.nan_to_num(shares(is_new, window, column.codes >= 0))
        if not (unknown > _UNKNOWN).any():
            continue
        repaired = {code: how for code, one in new.items() if (how := _repair(one, labels))}
        is_repaired = np.isin(column.codes, list(repaired))
        share = np.nan_to_num(shares(is_repaired, window, is_new, least=1))
        damaged = (unknown > _UNKNOWN) & (share >= _REPAIRED)
        if damaged.any():
            code = next(iter(repaired))
            found.append(
                finding(
                    "damaged text",
                    name,
                    f"{unknown[damaged].mean():.0%} of {name} is unknown as it is, such as"
                    f" {new[code]!r}, which is a known one {repaired[code]}",
                    window,
                    damaged,
                    {"unknown": unknown[damaged].mean(), "repaired": share[damaged].mean()},
                )
            )
        recoded = (unknown >= _RECODED) & ~damaged
        if recoded.any():
            found.append(
                finding(
                    "recoded categories",
                    name,
                    f"{unknown[recoded].mean():.0%} of {name} is unknown, such as"
                    f" {next(iter(new.values()))!r}; hardly one of its {len(labels)} categories"
                    " is left",
                    window,
                    recoded,
                    {"unknown": unknown[recoded].mean()},
                )
            )
    return found


def _is_covered(column: Coded, known: Side) -> bool:
    """Whether the last third of the reference has hardly a category that the rest has not."""
    is_late = known.blocks >= 2 * known.n_blocks // 3
    early, late = column.codes[~is_late], column.codes[is_late]
    if known.n_blocks < 3 or not len(late):
        return True
    return float(np.isin(late[late >= 0], early).mean()) >= _COVERED if (late >= 0).any() else True


def _repair(text: str, labels: Collection[str]) -> str:
    """How a known category comes of the text; empty when it does not."""
    plain = _plain(text)
    if plain in {_plain(label) for label in labels}:
        return "but for case, spaces, accents or leading zeros"
    for encoding in ("latin-1", "cp1252"):
        try:
            if text.encode(encoding).decode() in labels:
                return f"after decoding {encoding} as UTF-8"
        except UnicodeError:
            pass
    if len(text) >= 1 and any(one.startswith(text) and one != text for one in labels):
        return "cut short"
    marks = [one for one in labels if _is_masked(text, one)]
    return "with lost characters" if marks else ""


def _plain(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    bare = "".join(bare.casefold().split()).strip("\"'")
    return bare.removesuffix(".0").lstrip("0") or bare


def _is_masked(text: str, label: str) -> bool:
    """Whether text is the label but for characters that came as a question mark."""
    if len(text) != len(label) or not set(text) & {"?", "\ufffd"}:
        return False
    return all(a == b or a in "?\ufffd" for a, b in zip(text, label, strict=True))
