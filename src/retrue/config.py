"""What varies, as frozen models: one YAML file a problem, the problem definition first."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from retrue.config_drift import Drift
from retrue.config_retraining import Alerts, Retraining
from retrue.config_section import Section
from retrue.config_serving import Retention, Serving

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]
Text = Annotated[str, Field(min_length=1)]


class Cost(Section):
    """What one wrong decision costs."""

    amount: float = Field(ge=0)
    unit: Text
    why: Text


class Canvas(Section):
    """Problem definition: why the model exists and how its success is judged."""

    question: Text
    decision: Text
    decided_by: Text
    cost_false_positive: Cost
    cost_false_negative: Cost
    success: Text
    baseline: Text
    data_sources: tuple[Text, ...] = Field(min_length=1)
    label: Text
    label_known: Text


class Source(Section):
    """One table: exactly one of `path`, `folder`, `url` or `served` says where it comes from.

    `${NAME}` in a URL is read from the environment, so that no secret stands in a file.
    """

    path: Text | None = None
    """A file of the project, or of an installed `package`."""
    package: str | None = None
    folder: Text | None = None
    """A folder to which files are added; each is ingested once, in order of their names."""
    url: Text | None = None
    """`http(s)://`, `s3://` or another fsspec scheme, or a SQLAlchemy URL with a `query`."""
    query: Text | None = None
    served: bool = False
    """The rows that the running service answered: key, time and features as they were sent."""
    format: Literal["csv", "parquet", "jsonl", "excel"] | None = None
    """By the ending of the name unless it is given; gz and zip are looked into."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    encoding: Text = "utf-8"
    """Of text; a byte order mark goes before it."""
    sheet: str | None = None
    """Of an Excel file; the first one unless it is given."""
    max_mb: int = Field(default=4096, ge=1, le=1_048_576)
    """Largest size, unpacked: more is taken for an accident or a bomb."""


class Link(Section):
    """A many-to-one join of the main table to `table`; fan-out is an error.

    `on` maps columns of the linked rows to columns of `table`; `columns` maps columns of
    `table` to their names in the result. `as_of` maps one time column to one of `table`: the
    newest row at or before that time is taken, never a later one.
    """

    table: str
    on: dict[str, str] = Field(default={})
    as_of: dict[str, str] = Field(default={}, max_length=1)
    within_hours: float | None = Field(default=None, gt=0)
    """How old an as-of partner may be."""
    one_to_one: bool = False
    """No row of `table` may be the partner of two."""
    min_match: float = Field(default=0, ge=0, le=1)
    """Smallest share of rows with a partner; below it the run stops."""
    columns: dict[str, str] = Field(min_length=1)


class Data(Section):
    """Sources and how they become one table, one row an entity at a time."""

    sources: dict[str, Source] = Field(min_length=1)
    main: str
    key: tuple[str, ...] = ()
    """Columns that identify a row; without any a row is identified by all of its values."""
    time: str | None = None
    """When a row happened; without it rows are held out by the hash of their key."""
    links: tuple[Link, ...] = ()


class Label(Section):
    """What is predicted: an expression over columns, such as `arr_delay > 15` or `price`.

    Rows where a column of the expression is missing have no label. `late` labels are delivered
    apart from the rows, by key: `retrue labels import` and the service's `/feedback` take them, and
    they stand in the column `late_label`, as they were known at the time of training.
    """

    task: Literal["binary", "multiclass", "regression"] = "binary"
    expression: Text
    known_after_days: int = Field(default=0, ge=0, le=366)
    late: bool = False


class Features(Section):
    """Model inputs: only columns known when the prediction is asked for."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    """Times, taken apart: year, month, day, weekday, hour, day of the year, seconds since 1970."""
    text: tuple[str, ...] = ()
    """Free text, as counts of hashed character n-grams."""


class Processing(Section):
    """What is done to features before the model sees them; fitted on the training part only."""

    fill: dict[str, Literal["median", "mean", "most_frequent"] | float | str] = Field(default={})
    """For a numeric feature a rule or a number, for a categorical one a text or most_frequent."""
    flag_missing: tuple[str, ...] = ()
    """Numeric features that get a second column: 1.0 where the value was missing."""
    clip: dict[str, tuple[float, float]] = Field(default={})
    """Numeric features cut off at two quantiles of the training part, such as [0.001, 0.999]."""
    rare_below: int = Field(default=0, ge=0)
    """Categories with fewer training rows than this become one; unseen ones join it."""
    text_buckets: int = Field(default=64, ge=2, le=4096)
    """Columns that a text feature becomes."""


class Training(Section):
    """What to fit, on which time span (`start` inclusive, `until` exclusive, UTC dates).

    Without a time column all rows are used and a share of them is held out.
    """

    start: date = date.min
    until: date = date.max
    holdout_days: int = Field(default=28, ge=1, le=366)
    holdout_share: float = Field(default=0.2, gt=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    calibration: Literal["none", "auto"] = "none"
    """`auto` fits once more without the newest rows and corrects probabilities if that helps."""
    half_life_days: float = Field(default=0, ge=0, le=36_600)
    """After how many days before the newest row a row weighs half; 0: all rows weigh alike."""
    num_boost_round: int = Field(ge=1, le=10_000)
    seed: int = Field(ge=0, le=2**31 - 1)
    num_threads: int = Field(default=2, ge=1, le=256)
    params: dict[str, bool | int | float | str] = Field(default={})
    cluster: str = ""
    """Address of a Dask scheduler whose workers fit the model; empty: this machine."""


class Slice(Section):
    """Rows by the categories of a column, on none of which a challenger may be worse."""

    column: Text
    max_loss: float = Field(default=0.0, ge=0)
    """How much worse than the champion it may be, in the gate's metric."""
    min_rows: int = Field(default=200, ge=20)
    """Of the hold-out; smaller categories are not judged."""


class Gate(Section):
    """Evidence asked of a challenger: the lower bound of its gain must clear `min_gain`."""

    metric: Literal["log_loss", "auc", "squared_error"] = "log_loss"
    """log_loss of classes, auc of two classes, squared_error of a regression."""
    min_gain: float = Field(default=0.0, ge=0, le=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=500, ge=100, le=100_000)
    seeds: int = Field(default=3, ge=2, le=50)
    """Further models of other seeds, fitted where the recipe leaves something to chance."""
    slices: tuple[Slice, ...] = ()
    max_calibration_error: float = Field(default=0.1, gt=0, le=1)
    """Expected calibration error (probability) above which a worse calibrated model is refused."""
    max_p99_ms: float = Field(default=250, gt=0)
    """Of requests of one row, measured on the built bundle."""
    min_rows_per_s: float = Field(default=1_000, gt=0)
    """In batches of 1,024 rows."""
    max_memory_mb: float = Field(default=512, gt=0)
    """Resident memory of the server after these requests."""
    max_image_mb: float = Field(default=1_000, gt=0)
    """An image that is larger is never switched in."""
    approval: Literal["never", "on_doubt", "required"] = "on_doubt"
    """When a person is asked before a version that never served is deployed."""
    approval_timeout_hours: float = Field(default=24, gt=0, le=8760)
    """Without an answer until then the version is rejected."""


class Search(Section):
    """What `--search` may spend to find a recipe; whichever bound is met first ends it."""

    budget_s: float = Field(default=120, gt=0, le=2_592_000)
    """Seconds; a trial that still runs then is cut off."""
    max_trials: int = Field(default=100, ge=1, le=100_000)
    n_folds: int = Field(default=4, ge=2, le=20)
    n_workers: int = Field(default=2, ge=1, le=256)
    """Trials at a time, which share `training.num_threads`: most fits gain little from a second
    thread. With one, the same seed and `max_trials` give the same recipe."""
    cluster: str = ""
    """Address of a Dask scheduler, such as tcp://10.0.0.5:8786; empty: this machine."""
    seed: int = Field(default=7, ge=0, le=2**31 - 1)


class Interpretation(Section):
    """How models are explained, and which change of an explanation asks for a human."""

    n_rows: int = Field(default=1_000, ge=50, le=100_000)
    """Held-out rows that a page explains, a seeded sample."""
    top_features: int = Field(default=5, ge=1, le=50)
    """Features whose curves are drawn, and whose direction must not flip."""
    may_change: tuple[str, ...] = ()
    """Features that a counterfactual may change; all of them unless given."""
    ndcg_below: float = Field(default=0.9, ge=0, le=1)
    """Rank agreement of the attributions with the champion's below which a human is asked."""
    seed: int = Field(default=7, ge=0, le=2**31 - 1)


class Problem(Section):
    """One problem: the whole of `configs/NAME.yaml`."""

    name: Name
    canvas: Canvas
    data: Data
    label: Label
    features: Features
    processing: Processing = Processing()
    training: Training
    search: Search = Search()
    gate: Gate = Gate()
    serving: Serving = Serving()
    retention: Retention = Retention()
    drift: Drift = Drift()
    retraining: Retraining = Retraining()
    alerts: Alerts = Alerts()
    interpretation: Interpretation = Interpretation()

    @property
    def listens(self) -> bool:
        """Whether rows or labels come through the running service."""
        return self.label.late or any(source.served for source in self.data.sources.values())
