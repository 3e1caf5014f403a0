"""The words of a lineage: what is known of a model version and of a data version."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from retrue.environment import Environment
from retrue.refs import TablePin
from retrue.verdicts import Verdict


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Data(_Facts):
    """A data version and the source tables that it was made of."""

    version: int
    sha256: str
    until: str
    n_rows: int
    tables: dict[str, TablePin]
    in_lake: bool
    """Whether the lake of this RETRUE_HOME holds it still; if not, what follows is not known."""
    made_at: str | None = None
    n_set_aside: int | None = None
    match_rates: dict[str, float] = {}


class Definition(_Facts):
    """The problem definition as it was."""

    sha256: str
    problem: dict[str, Any] | None
    """None for runs that were logged before definitions were kept."""


class Lock(_Facts):
    """The lock of the environment; `file` is the run's artifact that holds its text."""

    sha256: str
    file: str | None


class Fold(_Facts):
    """Rows that were learned from, or held out; without a time column `span` says how."""

    role: str
    span: str
    n_rows: int | None


class Search(_Facts):
    """A search for a recipe; each trial, with its folds, is a child of its run."""

    run_id: str
    n_trials: int
    seconds: float | None


class Deployment(_Facts):
    """One time that the version was brought into service."""

    id: int
    status: str
    target: str | None
    image_digest: str | None
    started_at: str
    finished_at: str | None


class Approval(_Facts):
    """A person's word on the version, or that one is waited for, as the ledger has it."""

    status: str
    by: str
    at: str
    reason: str


class Lineage(_Facts):
    """All that is known of how one model version came to be, and of what became of it."""

    problem: str
    version: int
    registered_at: str
    bundle_sha256: str
    run_id: str
    flow_run: str | None
    data: Data
    definition: Definition
    code_commit: str
    lock: Lock
    environment: Environment | None
    parameters: dict[str, str]
    folds: tuple[Fold, ...]
    search: Search | None
    """The search on the same data that chose these parameters; None when they were configured."""
    metrics: dict[str, float]
    promoted: bool
    verdict: Verdict | None
    reason: str
    champion: int | None
    """The version that the verdict compares with; None: no skill, or not recorded."""
    approval: Approval | None
    """None when nobody decided."""
    serves: bool
    deployments: tuple[Deployment, ...]


class Made(_Facts):
    """One training on a data version; without a `version` it never reached the registry."""

    version: int | None
    run_id: str
    status: str
    started_at: str
    code_commit: str
    definition_sha256: str
    promoted: bool
    reason: str
    serves: bool


class Descent(_Facts):
    """A data version and all models made from it."""

    problem: str
    data: Data
    models: tuple[Made, ...]
