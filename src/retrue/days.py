"""Days as moments: all days begin at midnight in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from datetime import date


def midnight(day: date) -> pd.Timestamp:
    """Start of a UTC day."""
    return pd.Timestamp(day, tz="UTC")
