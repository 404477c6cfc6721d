"""RO-Crate: a chain of provenance as JSON-LD that repositories and other tools understand.

The crate follows RO-Crate 1.1 and the profile Process Run Crate 0.5: a Dataset with parts, and a
CreateAction for each computation, with instrument, agent, objects and results.

References
----------
P. Sefton et al., RO-Crate Metadata Specification 1.1, https://w3id.org/ro/crate/1.1;
S. Leo et al., Recording provenance of workflow runs with RO-Crate, 2024,
https://doi.org/10.1371/journal.pone.0309210.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from volkit.engine.origin import Session, utc_now
from volkit.io.credentials import Credentials
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.io.uris import split_query, split_scheme
from volkit.pipelines.provenance import Chain, Node
from volkit.version import __version__

METADATA = "ro-crate-metadata.json"

_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_HOME = "https://pypi.org/project/volkit/"
_NOT_STATED = "#licence-not-stated"
_OWN = ("kernel", "combine", "finalize", "version", "block_shape", "domain", "halo")
Entity = dict[str, Any]


def write_ro_crate(
    folder: str,
    chain: Chain,
    *,
    licence: str | None = None,
    credentials: Credentials | None = None,
) -> str:
    """Describe a chain in a folder; what lies in the folder becomes a part of the crate.

    Parameters
    ----------
    folder : str
        Path or URL; best the folder of the run.
    chain : Chain
        What is described.
    licence : str or None
        URL of the licence of the whole.
    credentials : str, Secret or None
        Of the place of the folder.

    Returns
    -------
    str
        Where the metadata were written.
    """
    place = Place(folder, OpenOptions(credentials=credentials))
    text = json.dumps(ro_crate(chain, place, licence=licence), indent=1)
    place.objects.put(METADATA, (text + "\n").encode())
    return place.inside(METADATA).uri


def ro_crate(chain: Chain, root: Place, *, licence: str | None = None) -> Entity:
    """Describe a chain as JSON-LD.

    Parameters
    ----------
    chain : Chain
        What is described.
    root : Place
        The folder of the crate.
    licence : str or None
        URL of the licence of the whole.

    Returns
    -------
    dict
        ``@context`` and ``@graph``, flattened and compacted.
    """
    crate = _Crate(root)
    for node in chain.nodes.values():
        crate.add(_data(node, crate.id_of(node)))
    for node in chain.nodes.values():
        for entity in _actions(chain, node, crate):
            crate.add(entity)
    parts = [crate.id_of(node) for node in chain.nodes.values()]
    actions = [key for key, e in crate.entities.items() if e["@type"] == "CreateAction"]
    asked = ", ".join(chain.nodes[key].name for key in chain.roots)
    until = max((s.until for n in chain.nodes.values() for s in n.sessions), default=utc_now())
    stated = licence or _NOT_STATED
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": _ref(_CRATE),
        "about": _ref("./"),
    }
    dataset = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": _ref(_PROFILE),
        "name": f"{asked}, and what it was made of",
        "description": f"Provenance of {asked}, written by volkit {__version__}.",
        "datePublished": until,
        "license": _ref(stated),
        "hasPart": [_ref(key) for key in parts if not key.startswith("#")],
        "mentions": [_ref(key) for key in actions],
    }
    return {
        "@context": _CONTEXT,
        "@graph": [
            descriptor,
            dataset,
            {
                "@id": _PROFILE,
                "@type": "CreativeWork",
                "name": "Process Run Crate",
                "version": "0.5",
            },
            _licence(stated),
            *crate.entities.values(),
        ],
    }


@dataclass(slots=True)
class _Crate:
    """Entities by id, and how things are named in the crate."""

    root: Place
    entities: dict[str, Entity] = field(default_factory=dict)

    def add(self, entity: Entity) -> str:
        key: str = entity["@id"]
        self.entities.setdefault(key, entity)
        return key

    def id_of(self, node: Node) -> str:
        """Name a thing: by its path in the folder, else by its URL; by a word if it has neither."""
        scheme, rest = split_scheme(node.uri)
        if not node.uri or (not scheme and node.uri.startswith("builtin:")):
            return f"#{quote(node.uri or node.id, safe='')}"
        ending = (
            "/" if node.kind == "volume" and Place(rest).name.endswith((".zarr", ".n5")) else ""
        )
        if scheme:
            return self._inside(node.uri, ending) or f"{node.uri}{ending}"
        here = self.root.local
        path = Path(node.uri.partition("::")[0])
        if here is not None and path.is_relative_to(os.path.abspath(here)):  # noqa: PTH100 (keeps links)
            relative = path.relative_to(os.path.abspath(here)).as_posix()  # noqa: PTH100
            return f"./{quote(relative)}{ending}" if ending else quote(relative)
        return f"{path.as_uri()}{ending}"

    def _inside(self, uri: str, ending: str) -> str | None:
        root = split_query(self.root.uri)[0].rstrip("/") + "/"
        place = split_query(uri)[0]
        relative = quote(place.removeprefix(root))
        return f"{'./' if ending else ''}{relative}{ending}" if place.startswith(root) else None


def _data(node: Node, key: str) -> Entity:
    """Describe a volume, a table or a checkpoint."""
    kind = "Dataset" if key.endswith("/") else "File"
    found: Entity = {
        "@id": key,
        "@type": "CreativeWork" if key.startswith("#") else kind,
        "name": node.name,
        "description": _described(node),
        "identifier": node.id,
    }
    if node.about.get("licence", "unknown") != "unknown":
        found["license"] = str(node.about["licence"])
    sha256 = node.id if node.kind == "checkpoint" else node.about.get("sha256")
    if node.kind == "checkpoint" and sha256:
        found["sha256"] = sha256
    return found


def _described(node: Node) -> str:
    about = node.about
    words = [str(about.get("description") or f"{node.kind} {node.name}")]
    if "shape" in about:
        words.append(f"{about['dtype']}, {' x '.join(map(str, about['shape']))} voxels")
    if node.state != "here":
        words.append("not there any more" if node.state == "gone" else "replaced since")
    return "; ".join(words)


def _actions(chain: Chain, node: Node, crate: _Crate) -> Iterator[Entity]:
    """Describe every session that computed a thing, with its software, agent and parameters."""
    if not node.fingerprint and not node.sessions:
        return
    inputs = [_ref(crate.id_of(chain.nodes[link.node])) for link in node.links]
    params = [_ref(crate.add(entity)) for entity in _parameters(node)]
    for number, session in enumerate(node.sessions or (None,)):
        version = session.versions.get("volkit", __version__) if session else _version(node)
        software = crate.add(_software(version, session))
        action: Entity = {
            "@id": f"#{node.name}-{node.id[-12:].replace('|', '-')}-{number + 1}",
            "@type": "CreateAction",
            "name": f"compute {node.name}",
            "description": session.command if session else f"computation {node.fingerprint}",
            "instrument": _ref(software),
            "object": _unique([*inputs, *params]),
            "result": [_ref(crate.id_of(node))],
        }
        if session is not None:
            agent = crate.add(_person(session))
            action |= {
                "agent": _ref(agent),
                "startTime": session.started,
                "endTime": session.until,
                "actionStatus": _ref("http://schema.org/CompletedActionStatus"),
            }
        yield action


def _parameters(node: Node) -> Iterator[Entity]:
    told: dict[str, Any] = dict(node.facts.get("params", {}))
    told |= {k: node.facts[k] for k in _OWN if k in node.facts}
    for name, value in told.items():
        yield {
            "@id": f"#{node.name}-{node.id[-12:].replace('|', '-')}-{quote(name)}",
            "@type": "PropertyValue",
            "name": name,
            "value": value if isinstance(value, str | int | float) else json.dumps(value),
        }


def _software(version: str, session: Session | None) -> Entity:
    packages = session.versions if session else {}
    known = json.dumps(dict(packages), sort_keys=True)
    digest = hashlib.sha256(known.encode()).hexdigest()[:12]
    key = f"#volkit-{version}-{digest}" if packages else f"#volkit-{version}"
    return {
        "@id": key,
        "@type": "SoftwareApplication",
        "name": "volkit",
        "url": _HOME,
        "version": version,
        "softwareVersion": version,
        **({"softwareRequirements": _requirements(packages)} if packages else {}),
    }


def _requirements(packages: Mapping[str, str]) -> list[str]:
    return [f"{name} {version}" for name, version in packages.items() if name != "volkit"]


def _person(session: Session) -> Entity:
    return {"@id": f"#{quote(session.user)}", "@type": "Person", "name": session.user}


def _licence(stated: str) -> Entity:
    known = stated != _NOT_STATED
    return {
        "@id": stated,
        "@type": "CreativeWork",
        "name": stated if known else "not stated",
        "description": "Licence of the crate" if known else "Whoever made it stated no licence.",
    }


def _version(node: Node) -> str:
    return str(node.about.get("version") or node.facts.get("volkit") or __version__)


def _unique(references: list[dict[str, str]]) -> list[dict[str, str]]:
    return list({reference["@id"]: reference for reference in references}.values())


def _ref(key: str) -> dict[str, str]:
    return {"@id": key}
