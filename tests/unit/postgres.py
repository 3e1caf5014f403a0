"""A real PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian's; any version will do
PASSWORD = "hush-4711"


@dataclass(frozen=True)
class Postgres:
    """Where it answers, and how to ask it by `psql`."""

    url: str
    psql: tuple[str, ...]

    def new_database(self) -> str:
        """URL of an empty database."""
        name = f"t{uuid4().hex}"
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server of its own, as a user of its own: it refuses to be root."""
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    folder = Path(tempfile.mkdtemp(prefix="retrue-pg-", dir="/tmp"))
    (folder / "password").write_text(PASSWORD)
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_user = (
        {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        if os.geteuid() == 0
        else {}
    )

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, capture_output=True, cwd=folder, env={"LC_ALL": "C"}, **as_user
        )  # type: ignore[call-overload]

    data, binaries = str(folder / "data"), BINARIES
    run(
        *(str(binaries / "initdb"), "-D", data, "-U", "retrue", "-A", "scram-sha-256"),
        *("--pwfile", str(folder / "password"), "-E", "UTF8", "--no-sync"),
    )
    options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
    run(
        *(str(binaries / "pg_ctl"), "-D", data, "-o", options),
        *("-l", str(folder / "log"), "-w", "start"),
    )
    try:
        yield Postgres(
            f"postgresql+psycopg://retrue:{PASSWORD}@127.0.0.1:{port}/postgres",
            (str(binaries / "psql"), "-h", str(folder), "-p", str(port), "-U", "retrue"),
        )
    finally:
        run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)
