"""Why rows got their scores: contributions a source column, in the units of the margin."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import fsum

import msgspec

from retrue.errors import DataError
from retrue.serving.booster import Booster
from retrue.serving.bundle import Signature
from retrue.serving.encoding import Row, encode
from retrue.serving.features import width

# A row takes as long as some thousand scores, and a person reads a few.
MAX_ROWS = 100
_UNITS = {
    "binary": "log-odds, before calibration",
    "multiclass": "score of a class before softmax and calibration",
    "regression": "the label's",
}
_LOG_UNIT = "logarithm of the label's"


class Explanation(msgspec.Struct):
    """One entry a row; in it, for several classes, a list of one entry a class.

    `base_value` and all contributions of a row add up to its margin.
    """

    contributions: list[dict[str, float]] | list[list[dict[str, float]]]
    margins: list[float] | list[list[float]]
    base_value: float | list[float]
    unit: str


def explain(rows: Sequence[Row], signature: Signature, booster: Booster) -> Explanation:
    """Explain rows; the columns that a date, a text or a flag became are summed.

    Raises
    ------
    DataError
        More than `MAX_ROWS` rows, or rows that cannot be encoded.
    """
    if len(rows) > MAX_ROWS:
        remedy = "send them in several requests"
        raise DataError(f"at most {MAX_ROWS} rows", f"{len(rows)}", "body", remedy)
    features = signature.features
    margins, values = booster.explain(encode(rows, features))
    spans = list(pairwise(accumulate(map(width, features), initial=0)))
    names = [feature["name"] for feature in features]

    def by_name(columns: Sequence[float]) -> dict[str, float]:
        parts = (fsum(columns[start:end]) for start, end in spans)
        return dict(zip(names, parts, strict=True))

    contributions = [[by_name(columns) for columns in classes] for classes in values]
    base = [columns[-1] for columns in values[0]]
    unit = _LOG_UNIT if booster.has_log_link else _UNITS[signature.task]
    if signature.classes:
        return Explanation(contributions, margins, base, unit)
    singles = [of_row for (of_row,) in contributions]
    return Explanation(singles, [margin for (margin,) in margins], base[0], unit)
