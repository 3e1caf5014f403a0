"""Does a challenger let a part of the rows down: the gain on each declared slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrue.evidence.resampling import wide_bounds
from retrue.serving.features import category_text
from retrue.verdicts import SliceGain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from retrue.config import Gate
    from retrue.metrics import Array


def gains(
    frame: pd.DataFrame,
    gate: Gate,
    n_blocks: int,
    values: Callable[[NDArray[np.intp]], tuple[Array, Array, Array]],
) -> tuple[SliceGain, ...]:
    """Gain of the gate's metric on each category of each declared column.

    A slice holds unless it is shown to be worse than its margin: unless the upper bound of its gain
    is below `-max_loss`. Asking for proof of the contrary would refuse every challenger, as a small
    slice proves nothing. The bounds hold for all slices at once (Bonferroni), so that many slices
    do not make a refusal by chance likely.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, ...)
        The hold-out with the columns that slices are declared of.
    n_blocks : int
        Blocks of the hold-out.
    values : callable
        For positions of rows: champion, challenger and gain under each draw of blocks.

    Returns
    -------
    tuple of SliceGain
        By column and category; rows without one make a slice `(missing)`. Categories with fewer
        than `min_rows` rows, or with one class only, are not judged and not listed.
    """
    wanted = list(_slices(frame, gate))
    drawn = [(*one, *values(one[2])) for one in wanted]
    known = [one for one in drawn if np.isfinite([one[4][0], one[5][0], one[6][0]]).all()]
    found = []
    for column, category, rows, margin, before, after, gain in known:
        reach = wide_bounds(gain, n_blocks, gate.confidence, len(known))
        found.append(
            SliceGain(
                name=column,
                value=category,
                n_rows=len(rows),
                champion=float(before[0]),
                challenger=float(after[0]),
                gain=float(gain[0]),
                lower=reach[0] if reach else None,
                upper=reach[1] if reach else None,
                margin=margin,
                holds=reach is None or reach[1] >= -margin,
            )
        )
    return tuple(found)


def _slices(frame: pd.DataFrame, gate: Gate) -> Iterator[tuple[str, str, NDArray[np.intp], float]]:
    for one in gate.slices:
        column = frame[one.column]
        codes, categories = column.factorize()
        values: list[Any] = categories.tolist()
        names = [category_text(value) for value in values]
        places = [(names[code] if code >= 0 else "(missing)", code) for code in np.unique(codes)]
        for name, code in sorted(places):
            rows = np.flatnonzero(codes == code)
            if len(rows) >= one.min_rows:
                yield one.column, name, rows, one.max_loss
