"""Each start of a server, for ever: which version of which image or process wrote a log."""

from __future__ import annotations

from pathlib import Path

from retrue.files import write_atomically
from retrue.home import serving_dir
from retrue.refs import ServingRef


def note(ref: ServingRef) -> None:
    """Write a server down before it gets requests, so that each of its records leads to it."""
    write_atomically(_place(ref.problem, ref.boot_nonce), ref.model_dump_json())


def find(problem: str, log_name: str) -> ServingRef | None:
    """The server that wrote a log, `VERSION-NONCE.sqlite` or `VERSION-NONCE.N.sqlite`, if known."""
    nonce = log_name.partition("-")[2].partition(".")[0]
    place = _place(problem, nonce)
    return ServingRef.model_validate_json(place.read_bytes()) if place.is_file() else None


def _place(problem: str, nonce: str) -> Path:
    return serving_dir(problem) / "boots" / f"{nonce}.json"
