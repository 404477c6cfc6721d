"""Entities of an RO-Crate: data, parameters, software, people and licences."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from volkit.engine.origin import Session
from volkit.io.uris import split_query
from volkit.pipelines.provenance import Node
from volkit.version import __version__

Entity = dict[str, Any]
NOT_STATED = "#licence-not-stated"

_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".npz": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
_OWN = ("kernel", "combine", "finalize", "version", "block_shape", "domain", "halo")


def data_entity(node: Node, key: str) -> Entity:
    """Describe a volume, a table or a checkpoint."""
    kind = "Dataset" if key.endswith("/") else "File"
    found: Entity = {
        "@id": key,
        "@type": "CreativeWork" if key.startswith("#") else kind,
        "name": node.name,
        "description": _described(node),
        "identifier": node.id,
    }
    if kind == "File" and not key.startswith("#"):
        found["encodingFormat"] = _FORMATS.get(
            PurePosixPath(split_query(key)[0]).suffix, "application/octet-stream"
        )
    if node.about.get("licence", "unknown") != "unknown":
        found["license"] = str(node.about["licence"])
    if node.kind == "checkpoint":
        found["sha256"] = node.id
    return found


def anchor(node: Node) -> str:
    """Name what belongs to a thing and lies nowhere: its computation, its parameters."""
    return f"#{quote(node.name)}-{quote(node.id[-12:].replace('|', '-'))}"


def _described(node: Node) -> str:
    about = node.about
    words = [str(about.get("description") or f"{node.kind} {node.name}")]
    if "shape" in about:
        words.append(f"{about['dtype']}, {' x '.join(map(str, about['shape']))} voxels")
    if node.state != "here":
        words.append("not there any more" if node.state == "gone" else "replaced since")
    return "; ".join(words)


def parameter_entities(node: Node) -> Iterator[Entity]:
    """Describe what a computation was told."""
    told: dict[str, Any] = dict(node.facts.get("params", {}))
    told |= {k: node.facts[k] for k in _OWN if k in node.facts}
    for name, value in told.items():
        yield {
            "@id": f"{anchor(node)}-{quote(name)}",
            "@type": "PropertyValue",
            "name": name,
            "value": value if isinstance(value, str | int | float) else json.dumps(value),
        }


def software_entity(version: str, session: Session | None) -> Entity:
    """Describe volkit, with the packages that it computed with."""
    packages = session.versions if session else {}
    known = json.dumps(dict(packages), sort_keys=True)
    digest = hashlib.sha256(known.encode()).hexdigest()[:12]
    key = f"urn:volkit:{version}:{digest}" if packages else f"urn:volkit:{version}"
    return {
        "@id": key,
        "@type": "SoftwareApplication",
        "name": "volkit",
        **_home(),
        "version": version,
        **({"softwareRequirements": _requirements(packages)} if packages else {}),
    }


def _requirements(packages: Mapping[str, str]) -> list[str]:
    return [f"{name} {version}" for name, version in packages.items() if name != "volkit"]


def person_entity(session: Session) -> Entity:
    """Describe who computed."""
    return {"@id": f"#{quote(session.user)}", "@type": "Person", "name": session.user}


def licence_entity(stated: str) -> Entity:
    """Describe the licence of the crate."""
    known = stated != NOT_STATED
    return {
        "@id": stated,
        "@type": "CreativeWork",
        "name": stated if known else "not stated",
        "description": "Licence of the crate" if known else "Whoever made it stated no licence.",
    }


def version_of(node: Node) -> str:
    """Say which volkit made a thing, as far as that is known."""
    return str(node.about.get("version") or node.facts.get("volkit") or __version__)


def compacted(entity: Entity) -> Entity:
    """Write a list of one as the one, and leave out what is empty, as JSON-LD asks for."""
    single = {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }
    return {key: value for key, value in single.items() if value != []}


def _home() -> Entity:
    """Say where volkit lives, if the package that is installed says so."""
    try:
        urls = metadata("volkit").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    return {"url": str(urls[0]).partition(", ")[2]} if urls else {}
