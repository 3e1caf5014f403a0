"""What links found, and what they must not: too few partners, or one partner used twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from retrue.config import Data, Link
from retrue.errors import DataError
from retrue.partners import Codes, data_rows, shown


@dataclass
class Matches:
    """Partners found so far, added up where the main table comes in parts.

    `matched` counts rows with a partner: by the link's table, and by `TABLE by COLUMNS` where
    one table is linked more than once.
    """

    n_rows: int = 0
    matched: dict[str, int] = field(default_factory=dict)
    _used: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    _alone: dict[str, str] = field(default_factory=dict)

    @property
    def match_rates(self) -> dict[str, float]:
        """Share of rows with a partner for each link, in [0, 1]; 0 without any row."""
        return {name: count / max(self.n_rows, 1) for name, count in self.matched.items()}

    def add(
        self, step: Link, data: Data, columns: Mapping[str, pd.Series], positions: Codes
    ) -> int:
        """Count the partners that a part's rows found for one link, and return how many.

        Parameters
        ----------
        step, data : Link, Data
            The link and the definition it stands in.
        columns : mapping of str to Series
            The linked rows of the part, for an example of a key without a partner.
        positions : Codes
            Row of the link's table for each of them, negative without a partner.
        """
        name = link_name(step, data)
        without = positions < 0
        if without.any() and name not in self._alone:
            self._alone[name] = shown(columns, int(np.argmax(without)), [*step.on, *step.as_of])
        count = int(np.count_nonzero(~without))
        self.matched[name] = self.matched.get(name, 0) + count
        return count

    def insist_single_use(
        self,
        step: Link,
        data: Data,
        delivered: pd.DataFrame,
        right: pd.DataFrame,
        positions: Codes,
    ) -> None:
        """Refuse a second use of a row of a one-to-one link, in this part or since an earlier one.

        Raises
        ------
        DataError
            Naming the key and the rows of the main table.
        """
        if not step.one_to_one:
            return
        name = link_name(step, data)
        uses = np.bincount(positions[positions >= 0], minlength=len(right))
        before = self._used.get(name, np.zeros(len(right), np.bool_))
        twice = uses + before > 1
        if twice.any():
            first = int(np.argmax(twice))
            rows = np.flatnonzero(positions == first)
            key = shown(right, first, [*step.on.values(), *step.as_of.values()])
            earlier = " and a row before" if before[first] else ""
            raise DataError(
                f"each row of {step.table} the partner of one row (one_to_one)",
                f"{len(rows) + before[first]} rows for {key}: {data_rows(delivered, rows)}"
                f"{earlier} ({np.count_nonzero(twice)} such keys)",
                f"link to {step.table}",
                "remove the repeated rows, or set one_to_one: false",
            )
        self._used[name] = before | (uses > 0)

    def insist_enough(self, data: Data) -> None:
        """Refuse links that found too few partners; to be asked when all parts are linked.

        Raises
        ------
        DataError
            For the first link below its `min_match`: the rate, and a key without a partner.
        """
        for step in data.links:
            name = link_name(step, data)
            rate = self.match_rates.get(name, 0)
            # No row at all has no share; the validation refuses an empty table in better words.
            if self.n_rows and rate < step.min_match:
                raise DataError(
                    f"a partner for {step.min_match:.2%} of the rows (min_match)",
                    f"one for {rate:.2%} ({self.matched[name]} of {self.n_rows}), "
                    f"none for {self._alone[name]}",
                    f"link to {step.table}",
                    "deliver the missing rows, correct the keys, or lower min_match",
                )


def link_name(step: Link, data: Data) -> str:
    """Name of a link in counts and rates: its table, with columns if that is linked twice."""
    alone = sum(other.table == step.table for other in data.links) == 1
    return step.table if alone else f"{step.table} by {', '.join([*step.on, *step.as_of])}"
