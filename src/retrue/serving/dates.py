"""Times in ISO 8601 to the numbers that a model can use."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from math import isnan, nan
from typing import Any

from retrue.errors import DataError

DATE_PARTS = ("year", "month", "day", "weekday", "hour", "day_of_year", "seconds")
"""In this order: Monday is weekday 0, 1 January day 1, seconds count from 1970; all in UTC."""

MISSING_DATE = (nan,) * len(DATE_PARTS)

EPOCH_DAY = datetime(1970, 1, 1).toordinal()

# The longest sensible one has 35 characters; what is kept below must stay small.
_LONGEST = 64


# Rows of one batch share their times; the parts cost 2 us, looking them up 0.1.
@lru_cache(maxsize=4096)
def date_parts(text: str) -> tuple[float, ...]:
    """Parts of an ISO 8601 time or date, in the order of `DATE_PARTS`.

    Without an offset it is taken as UTC, without a time of day as midnight; digits beyond
    microseconds are cut off.

    Raises
    ------
    ValueError
        It is neither, or in UTC not between the years 1 and 9999.

    Examples
    --------
    >>> date_parts("2013-01-01T01:30:00+02:00")
    (2012.0, 12.0, 31.0, 0.0, 23.0, 366.0, 1356996600.0)
    >>> date_parts("1970-01-02")
    (1970.0, 1.0, 2.0, 4.0, 0.0, 2.0, 86400.0)
    """
    if len(text) > _LONGEST:
        raise ValueError("too long")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("out of range in UTC") from None
    day = moment.toordinal()
    midnight = (day - EPOCH_DAY) * 86_400
    whole = midnight + moment.hour * 3600 + moment.minute * 60 + moment.second
    return (
        float(moment.year),
        float(moment.month),
        float(moment.day),
        float((day - 1) % 7),
        float(moment.hour),
        float(day - datetime(moment.year, 1, 1).toordinal() + 1),
        # Two steps, the same for whole columns: one division would round otherwise far from 1970.
        whole + moment.microsecond / 1e6,
    )


def date_step(column: str) -> Callable[[Any, int], tuple[float, ...]]:
    """Make the function from a value of `column` and its row number to the parts.

    It gives `MISSING_DATE` for null, and a DataError with row and column for all but ISO 8601.
    """

    def step(value: Any, row: int) -> tuple[float, ...]:
        if isinstance(value, str):
            try:
                return date_parts(value)
            except ValueError:
                found = "another text"
        elif value is None or (isinstance(value, float) and isnan(value)):
            return MISSING_DATE
        else:
            found = "a truth value" if isinstance(value, bool) else "a number"
        raise not_a_date(found, row, column)

    return step


def not_a_date(found: str, row: int, column: str) -> DataError:
    """The refusal of a value; it never repeats the value."""
    remedy = "use the form 2013-01-31T06:00:00Z"
    return DataError("an ISO 8601 time or null", found, f"row {row}, column {column!r}", remedy)
