"""What a base image is made of: its Debian packages and its Python, asked from the engine."""

from __future__ import annotations

import io
import re
import tarfile
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from retrue.engine import engine_errors, is_missing
from retrue.files import write_atomically
from retrue.home import home

if TYPE_CHECKING:
    from retrue.engine import Engine


class DebianPackage(BaseModel):
    """One installed package; `sha256` of its file where it was noted."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    architecture: str
    sha256: str | None = None


class BaseContents(BaseModel):
    """What is known of a base image; `python` only where it is not one of the packages."""

    model_config = ConfigDict(frozen=True)

    distribution: str
    """As in package URLs: `debian-12`."""
    packages: tuple[DebianPackage, ...]
    python: str | None = None


def base_contents(client: Engine, base_id: str) -> BaseContents:
    """Read the package lists inside a base image; once for each image, then from the state folder.

    Raises
    ------
    DeployError
        The engine went away.
    """
    noted = home() / "base" / f"{base_id.removeprefix('sha256:')[:16]}.json"
    if noted.is_file():
        return BaseContents.model_validate_json(noted.read_bytes())
    with engine_errors(f"packages of {base_id[:19]}"):
        environment = client.images.get(base_id).attrs["Config"]["Env"] or []
        # Created to be read, never started.
        container = client.api.create_container(base_id, ["none"])["Id"]
        try:
            # A slim image keeps one list, one from packages without dpkg a file for each.
            lists = _files(client, container, "/var/lib/dpkg/status.d")
            lists = lists or _files(client, container, "/var/lib/dpkg/status")
            release = _files(client, container, "/usr/lib/os-release")
            release = release or _files(client, container, "/etc/os-release")
        finally:
            client.api.remove_container(container, force=True)
    found = BaseContents(
        distribution=_distribution("\n".join(release)),
        packages=tuple(_packages("\n\n".join(lists))),
        python=dict(one.split("=", 1) for one in environment).get("PYTHON_VERSION"),
    )
    write_atomically(noted, found.model_dump_json())
    return found


def _files(client: Engine, container: str, path: str) -> list[str]:
    """Texts of the file `path`, or of those in that folder; none where it is not there."""
    try:
        chunks, _ = client.api.get_archive(container, path)
    except Exception as error:
        if is_missing(error):
            return []
        raise
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as content:
        files = [content.extractfile(one) for one in content if one.isreg()]
        return [file.read().decode(errors="replace") for file in files if file is not None]


def _packages(text: str) -> list[DebianPackage]:
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        # A line that starts with a blank goes on with the field before it.
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): *(.*)$", stanza, re.MULTILINE))
        is_installed = fields.get("Status", "installed").endswith("installed")
        if is_installed and {"Package", "Version", "Architecture"} <= fields.keys():
            found.append(
                DebianPackage(
                    name=fields["Package"],
                    version=fields["Version"],
                    architecture=fields["Architecture"],
                    sha256=fields.get("SHA256"),
                )
            )
    return sorted(found, key=lambda one: one.name)


def _distribution(release: str) -> str:
    fields: dict[str, Any] = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', release, re.MULTILINE))
    return f"{fields.get('ID', 'linux')}-{fields.get('VERSION_ID', 'unknown')}"
