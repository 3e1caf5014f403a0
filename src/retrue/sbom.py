"""The bill of materials of a serving image, as CycloneDX 1.6 in JSON (ECMA-424)."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from importlib.metadata import PathDistribution, distributions
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path

    from retrue.base_packages import BaseContents
    from retrue.serving.bundle import Bundle

Component = dict[str, Any]


def bill_of_materials(
    bundle: Bundle, model_version: int, layer: Path, base_id: str, base: BaseContents
) -> bytes:
    """Write down what an image is made of; the same image has the same bill, byte for byte.

    It cannot name the image's id, as the image has the hash of the bill in its labels.

    Parameters
    ----------
    bundle : Bundle
        The model.
    model_version : int
        Its version in the registry.
    layer : Path
        Runtime layer (`runtime_layer`).
    base_id : str
        Id of the base image.
    base : BaseContents
        What that is made of.

    Returns
    -------
    bytes
        JSON.
    """
    name, version = bundle.signature.problem, str(model_version)
    packages = _python_packages(layer / "site", bundle.path / "requirements.txt")
    libraries = [
        _file_component(file, f"opt/retrue/{file.relative_to(layer).as_posix()}")
        for file in sorted(layer.rglob("*.so*"))
    ]
    below = [_operating_system(base), *_debian_packages(base)]
    own = {
        "type": "library",
        "bom-ref": "retrue",
        "name": "retrue",
        "version": bundle.manifest.code_commit,
        "description": "The server's code, at the commit that made the model",
    }
    model = _model(bundle, version)
    parts = [model, own, *packages, *libraries, *below]
    image = {
        "type": "container",
        "bom-ref": "image",
        "name": f"retrue/{name}",
        "version": f"{version}-{bundle.sha256[:12]}",
        "properties": _properties(
            bundle_sha256=bundle.sha256, base_image=base_id, runtime_layer=layer.name
        ),
    }
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": image},
        "components": parts,
        "dependencies": [
            {"ref": "image", "dependsOn": [part["bom-ref"] for part in parts]},
            {"ref": model["bom-ref"], "dependsOn": [_ref(packages, "lightgbm")]},
        ],
    }
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).digest()
    bill["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
    return json.dumps(bill, indent=1, sort_keys=True).encode() + b"\n"


def _model(bundle: Bundle, version: str) -> Component:
    signature, manifest = bundle.signature, bundle.manifest
    data = manifest.data
    metrics_file = bundle.path / "metrics.json"
    metrics = json.loads(metrics_file.read_bytes()) if "metrics.json" in manifest.files else {}
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": signature.problem,
        "version": version,
        "description": signature.label,
        "hashes": _sha256(manifest.files["model.txt"].sha256),
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": signature.task,
                "architectureFamily": "gradient boosted decision trees",
                "modelArchitecture": "LightGBM",
                "datasets": [
                    {
                        "type": "dataset",
                        "name": f"{signature.problem} v{data['version']}",
                        "contents": {
                            "properties": _properties(
                                data_version=data["version"], data_sha256=data["sha256"]
                            )
                        },
                    }
                ],
                "inputs": [
                    {"format": f"{one['name']}: {one['kind']}"} for one in signature.features
                ],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    {"type": name, "value": repr(value)}
                    for name, value in sorted(metrics.get("metrics", {}).items())
                ]
            },
        },
        "properties": _properties(
            bundle_sha256=bundle.sha256,
            code_commit=manifest.code_commit,
            data_sha256=data["sha256"],
            data_version=data["version"],
            lock_sha256=manifest.lock_sha256,
        ),
    }


def _python_packages(site: Path, requirements: Path) -> list[Component]:
    """Installed packages, each with the hashes that its file was allowed to have."""
    allowed = _allowed_hashes(requirements.read_text(encoding="utf-8"))
    found = []
    for one in distributions(path=[str(site)]):
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower()
        url = f"pkg:pypi/{name}@{one.version}"
        component: Component = {
            "type": "library",
            "bom-ref": url,
            "name": name,
            "version": one.version,
            "purl": url,
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{name}/{one.version}/",
                    "comment": "One of these files was installed",
                    "hashes": [_hash(sha256) for sha256 in allowed.get(name, [])],
                }
            ],
        }
        if expression := one.metadata.json.get("license_expression"):
            component["licenses"] = [{"expression": expression}]
        if isinstance(one, PathDistribution) and (record := one.read_text("RECORD")) is not None:
            sha256 = hashlib.sha256(record.encode()).hexdigest()
            component["properties"] = _properties(record_sha256=sha256)
        found.append(component)
    return sorted(found, key=lambda component: str(component["bom-ref"]))


def _allowed_hashes(requirements: str) -> dict[str, list[str]]:
    """Hashes that a requirements file allows, by package."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in requirements.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
        found.setdefault(name, []).extend(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def _debian_packages(base: BaseContents) -> list[Component]:
    found: list[Component] = []
    for one in base.packages:
        version = quote(one.version, safe="")
        url = f"pkg:deb/debian/{one.name}@{version}?arch={one.architecture}"
        url += f"&distro={base.distribution}"
        component: Component = {
            "type": "library",
            "bom-ref": url,
            "name": one.name,
            "version": one.version,
            "purl": url,
        }
        if one.sha256:
            component["hashes"] = _sha256(one.sha256)
        found.append(component)
    if base.python is not None:
        url = f"pkg:generic/python@{base.python}"
        found.append(
            {"type": "platform", "bom-ref": url, "name": "python", "version": base.python}
            | {"purl": url}
        )
    return found


def _operating_system(base: BaseContents) -> Component:
    name, _, version = base.distribution.partition("-")
    return {"type": "operating-system", "bom-ref": "os", "name": name, "version": version}


def _file_component(file: Path, name: str) -> Component:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"type": "file", "bom-ref": name, "name": name, "hashes": _sha256(sha256)}


def _ref(packages: list[Component], name: str) -> str:
    return str(next(one["bom-ref"] for one in packages if one["name"] == name))


def _sha256(content: str) -> list[dict[str, str]]:
    return [_hash(content)]


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}


def _properties(**values: object) -> list[dict[str, str]]:
    return [{"name": f"retrue:{name}", "value": str(value)} for name, value in values.items()]
