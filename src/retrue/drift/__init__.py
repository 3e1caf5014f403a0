"""Have the served rows moved away from the training reference: drift, no drift, or cannot tell."""

from retrue.drift.checks import check, check_window
from retrue.drift.reference import Reference, summarise
from retrue.drift.report import Bin, DriftReport, FeatureDrift, Shift
from retrue.drift.shifts import shift
from retrue.drift.window import Window, tally

__all__ = [
    "Bin",
    "DriftReport",
    "FeatureDrift",
    "Reference",
    "Shift",
    "Window",
    "check",
    "check_window",
    "shift",
    "summarise",
    "tally",
]
