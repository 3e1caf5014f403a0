"""What varies, as frozen models: one YAML file a problem, the problem definition first."""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]
Text = Annotated[str, Field(min_length=3)]


class Section(BaseModel):
    """Base of all sections: frozen, and a key nobody reads is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    """One CSV table (plain, gz or zip): a path, or a file inside an installed package."""

    path: Text
    package: str | None = None


class Link(Section):
    """A many-to-one join of the main table to `table`; fan-out is an error.

    `on` maps columns of the linked rows to columns of `table`; `columns` maps columns of
    `table` to their names in the result.
    """

    table: str
    on: dict[str, str] = Field(min_length=1)
    columns: dict[str, str] = Field(min_length=1)


class Data(Section):
    """Sources and how they become one table, one row an entity at a time."""

    sources: dict[str, Source] = Field(min_length=1)
    main: str
    key: tuple[str, ...] = Field(min_length=1)
    time: str
    links: tuple[Link, ...] = ()


class Label(Section):
    """Binary label: `column > above`; rows where the column is missing have no label."""

    column: str
    above: float
    known_after_days: int = Field(ge=0, le=366)


class Features(Section):
    """Model inputs: only columns known when the prediction is asked for."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


class Training(Section):
    """What to fit, on which time span (`start` inclusive, `until` exclusive, UTC dates)."""

    start: date
    until: date
    holdout_days: int = Field(ge=1, le=366)
    num_boost_round: int = Field(ge=1, le=10_000)
    seed: int = Field(ge=0, le=2**31 - 1)
    num_threads: int = Field(default=2, ge=1, le=256)
    params: dict[str, bool | int | float | str] = {}


class Gate(Section):
    """Evidence asked of a challenger: the lower bound of its gain must clear `min_gain`."""

    metric: Literal["log_loss", "auc"] = "log_loss"
    min_gain: float = Field(default=0.0, ge=0, le=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=500, ge=100, le=100_000)


class Serving(Section):
    """How the champion is served."""

    port: int = Field(default=8080, ge=1024, le=65_535)
    target: Literal["auto", "container", "process"] = "auto"
    base_image: str = "python:3.11-slim-bookworm"
    memory_mb: int = Field(default=512, ge=64, le=65_536)
    ready_timeout_s: float = Field(default=30, gt=0, le=600)


class Drift(Section):
    """When served data has moved too far from the training reference."""

    backend: Literal["alibi-detect"] = "alibi-detect"
    schedule: str = "0 6 * * *"
    window_days: int = Field(default=30, ge=1, le=366)
    min_rows: int = Field(default=500, ge=10)
    max_rows: int = Field(default=10_000, ge=100)
    magnitude_above: float = Field(default=60, ge=0, le=100)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    seed: int = Field(default=7, ge=0, le=2**31 - 1)


class Problem(Section):
    """One problem: the whole of `configs/NAME.yaml`."""

    name: Name
    canvas: Canvas
    data: Data
    label: Label
    features: Features
    training: Training
    gate: Gate = Gate()
    serving: Serving = Serving()
    drift: Drift = Drift()
