"""References that tasks hand on: small, frozen, hashable by content; never a data frame."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Ref(BaseModel):
    """Base of all references: frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class SourcesRef(Ref):
    """The delivered files of a problem, each named by the SHA-256 of its bytes."""

    problem: str
    sha256: dict[str, str]


class TablePin(Ref):
    """One source table as a data version saw it: a Delta version and its content hash."""

    version: int
    sha256: str
    n_rows: int


class DataRef(Ref):
    """One immutable data version: a Delta table at a version, with its content hash."""

    problem: str
    path: Path
    version: int
    sha256: str
    n_rows: int
    until: str
    """ISO date (exclusive): nothing at or after it was known when the version was made."""


class BundleRef(Ref):
    """One model bundle on disk; `sha256` is the hash of its manifest.json."""

    problem: str
    path: Path
    sha256: str


class ModelRef(Ref):
    """One registered model version with its bundle and the run that made it."""

    problem: str
    version: int
    run_id: str
    bundle: BundleRef


class ServingRef(Ref):
    """One running server of a model version: where it listens and what it is."""

    problem: str
    slot: str
    """`a` or `b`."""
    target: str
    """`container` or `process`."""
    host: str
    port: int
    handle: str
    """Container id, or pid."""
    model_version: int
    bundle_sha256: str
    image_digest: str | None = None
    boot_nonce: str

    @property
    def place(self) -> str:
        """Which server it is, for people."""
        return f"{self.target} in slot {self.slot} of {self.problem}, version {self.model_version}"
