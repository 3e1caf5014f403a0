"""When a drift check alarms: calibrated thresholds, votes of several windows, seasons, quiet times.

A check compares; whether that is an alarm is decided here, from its report, the thresholds in the
bundle and the checks before it.
"""

from retrue.alarms.calibration import Calibration, Threshold
from retrue.alarms.verdict import Alarm, Answer

__all__ = ["Alarm", "Answer", "Calibration", "Threshold"]
