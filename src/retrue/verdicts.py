"""What the gate answers and the evidence that it rests on, as frozen models."""

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """A figure of the hold-out with its two-sided block-bootstrap interval."""

    value: float
    lower: float
    upper: float


class SliceGain(_Frozen):
    """Gain on the rows of one category; the interval allows for the number of slices."""

    name: str
    """Column."""
    value: str
    """Category of the column."""
    n_rows: int
    champion: float
    challenger: float
    gain: float
    lower: float | None
    upper: float | None
    """None where resamples of these rows hold one class only."""
    margin: float
    """How much worse it may be."""
    holds: bool


class Bin(_Frozen):
    """One bin of a reliability diagram: what was said and what came true."""

    lower: float
    upper: float
    mean_score: float
    observed: float
    n: int


class Calibration(_Frozen):
    """Whether probabilities mean what they say; of several classes: the likeliest one's."""

    bins: tuple[Bin, ...]
    expected_error: float
    """Mean distance of `mean_score` and `observed` over the bins, weighted by rows."""
    expected_error_lower: float
    slope: float | None
    intercept: float | None
    slope_lower: float | None
    slope_upper: float | None
    """Of the logistic recalibration; None when the scores are all alike or tell all apart."""
    intercept_lower: float | None
    intercept_upper: float | None
    champion_error: float | None
    holds: bool


class ProcessingPerformance(_Frozen):
    """What a server of the built bundle was measured to do; None: it gave no answers."""

    p50_ms: float | None
    p99_ms: float | None
    rows_per_s: float | None
    memory_mb: float | None
    holds: bool
    reasons: tuple[str, ...] = ()


class Verdict(_Frozen):
    """The gate's answer; the metric keeps its natural sign, the gain is positive when better."""

    promoted: bool
    metric: str
    champion: float | None
    challenger: float | None
    gain: float | None
    lower: float | None
    upper: float | None
    """Two-sided percentile interval of the gain at `confidence`; None when refused unseen."""
    confidence: float
    n_rows: int
    n_days: int
    reason: str
    n_seeds: int = 1
    """Models of the challenger's recipe that the interval counts in."""
    metrics: dict[str, Interval] = {}
    """The challenger's on the hold-out by their field names (`retrue.metric_table`)."""
    champion_metrics: dict[str, Interval] = {}
    """The champion's on the same rows, or those of no skill for a first model."""
    slices: tuple[SliceGain, ...] = ()
    calibration: Calibration | None = None
    processing: ProcessingPerformance | None = None
    champion_version: int | None = None
    """The version compared with; None for a first model."""
    doubts: tuple[str, ...] = ()
    """Why a human is to look although the figures pass."""
