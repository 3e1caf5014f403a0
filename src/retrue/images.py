"""Serving images on the Docker engine: base, runtime and model."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from retrue import base_image
from retrue.base_packages import base_contents
from retrue.engine import START_AGAIN, engine_errors, engine_or_reason, events, image_id
from retrue.errors import DeployError
from retrue.files import write_atomically
from retrue.home import home, run_dir
from retrue.image_assembly import assemble
from retrue.refs import BundleRef
from retrue.runtime_layer import bundle_entries, runtime_entries, runtime_layer
from retrue.sbom import bill_of_materials
from retrue.serving.bundle import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.engine import Engine

# A registry that is there says so within a round trip or two; without one, a deploy must not wait.
PULL_ANSWER_S = 6.0
PULL_DEADLINE_S = 300.0
# How long a registry that failed is left alone.
_PULL_RETRY_S = 3600.0
# A build takes one second.
BUILD_DEADLINE_S = 120.0


def ensure_base_image(client: Engine, base: str) -> str:
    """Id of the base image: `base` if it is there or can be pulled, else our own from Debian.

    Parameters
    ----------
    client : Engine
        The engine.
    base : str
        Name and tag of the wanted Python image (`serving.base_image`).

    Returns
    -------
    str
        Image id, `sha256:...`.

    Raises
    ------
    DeployError
        It can be neither found, pulled nor built.
    """
    for name in (base, base_image.TAG):
        if (found := image_id(client, name)) is not None:
            return found
    reason = pull(client, base)
    if reason is None and (found := image_id(client, base)) is not None:
        return found
    try:
        return build_base_image(client)
    except DeployError as error:
        raise DeployError(
            f"the base image {base}, pulled or built from Debian packages",
            f"{reason or 'no image after the pull'}; {error.where}: {error.found}",
            "base image",
            f"docker pull {base} where there is a registry, or use serving.target: process",
        ) from error


def build_base_image(client: Engine | None = None) -> str:
    """Build the base image from Debian packages and load it into the engine; its id.

    Raises
    ------
    DeployError
        No engine answers, or the packages cannot be fetched.
    """
    engine = client if client is not None else engine_or_reason()
    if isinstance(engine, str):
        raise DeployError("a Docker engine", engine, "base image", START_AGAIN)
    try:
        archive = base_image.build_archive(home() / "base")
        try:
            with engine_errors("base image, load"), archive.open("rb") as content:
                engine.images.load(content)
        finally:
            archive.unlink(missing_ok=True)
        found = image_id(engine, base_image.TAG)
    finally:
        if client is None:
            engine.close()
    if found is None:
        raise DeployError(
            "the image just loaded", "none", base_image.TAG, "look into the engine's log"
        )
    return found


def build_image(
    client: Engine,
    bundle: BundleRef,
    model_version: int,
    base_id: str,
    *,
    deadline_s: float = BUILD_DEADLINE_S,
) -> str:
    """Build and tag the serving image of one model version, without network.

    Parameters
    ----------
    client : Engine
        The engine.
    bundle : BundleRef
        The model; every file is checked against its hash first.
    model_version : int
        Goes into the labels and the tag.
    base_id : str
        From `ensure_base_image`.
    deadline_s : float
        Limit of the build, seconds; an image that comes later gets no tag.

    Returns
    -------
    str
        Image id, `sha256:...`; tagged `retrue/NAME:VERSION-HASH`.

    Raises
    ------
    BundleError
        The bundle is damaged.
    DeployError
        The engine went away, the build failed or took too long.
    """
    found = read_bundle(bundle.path, bundle.sha256)
    where = f"image of {bundle.problem} version {model_version}"
    with engine_errors(where):
        architecture = str(client.version()["Arch"])
    layer = runtime_layer(bundle.path / "requirements.txt", architecture)
    bill = bill_of_materials(found, model_version, layer, base_id, base_contents(client, base_id))
    labels = {
        "org.opencontainers.image.title": f"retrue/{bundle.problem}",
        "org.opencontainers.image.version": str(model_version),
        "org.opencontainers.image.revision": found.manifest.code_commit,
        "org.opencontainers.image.base.digest": base_id,
        "retrue.problem": bundle.problem,
        "retrue.model_version": str(model_version),
        "retrue.bundle_sha256": bundle.sha256,
        "retrue.data_version": str(found.manifest.data["version"]),
        "retrue.data_sha256": str(found.manifest.data["sha256"]),
        "retrue.code_commit": found.manifest.code_commit,
        "retrue.sbom_sha256": hashlib.sha256(bill).hexdigest(),
    }
    layers = [runtime_entries(layer), bundle_entries(bundle.path)]
    image = assemble(client, base_id, layers, labels, deadline_s, where)
    write_atomically(sbom_path(bundle, model_version), bill.decode())
    # The name comes last: whoever is killed before has built nothing that anybody would start.
    with engine_errors(where):
        client.api.tag(image, f"retrue/{bundle.problem}", f"{model_version}-{bundle.sha256[:12]}")
    return image


def sbom_path(bundle: BundleRef, model_version: int) -> Path:
    """Where the bill of materials of an image is (CycloneDX); its hash is a label of the image."""
    return home() / "sbom" / bundle.problem / f"{model_version}-{bundle.sha256[:12]}.cdx.json"


def image_size_bytes(client: Engine, image: str) -> int:
    """Size of the image with all its layers."""
    with engine_errors(image):
        return int(client.images.get(image).attrs["Size"])


def pull(client: Engine, name: str) -> str | None:
    """Pull an image; None when it worked, else the reason in plain words.

    A failure is remembered under RETRUE_HOME for an hour, so that a machine without a registry
    does not wait for one at each deploy.
    """
    noted = run_dir() / f"no-pull-{name.replace('/', '_').replace(':', '_')}"
    if noted.is_file() and 0 <= time.time() - noted.stat().st_mtime < _PULL_RETRY_S:
        return noted.read_text(encoding="utf-8")
    where = f"pull of {name}"
    repository, _, tag = name.rpartition(":")
    try:
        with engine_errors(where):
            for event in events(
                lambda: client.api.pull(repository, tag, stream=True, decode=True),
                PULL_ANSWER_S,
                PULL_DEADLINE_S,
                where,
            ):
                if "error" in event:
                    raise DeployError("an image", str(event["error"]), where, START_AGAIN)
    except DeployError as error:
        write_atomically(noted, f"the {where} failed: {error.found}")
        return noted.read_text(encoding="utf-8")
    return None
