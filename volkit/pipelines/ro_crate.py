"""RO-Crate: a chain of provenance as JSON-LD that repositories and other tools understand.

The crate follows RO-Crate 1.1 and the profile Process Run Crate 0.5: a Dataset with parts, and a
CreateAction for each computation, with instrument, agent, objects and results.

References
----------
P. Sefton et al., RO-Crate Metadata Specification 1.1, https://w3id.org/ro/crate/1.1;
S. Leo et al., Recording provenance of workflow runs with RO-Crate, 2024,
https://doi.org/10.1371/journal.pone.0309210.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from volkit.engine.origin import utc_now
from volkit.io.credentials import Credentials
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.io.uris import split_query, split_scheme
from volkit.pipelines.provenance import Chain, Node
from volkit.pipelines.ro_crate_entities import (
    NOT_STATED,
    Entity,
    anchor,
    compacted,
    data_entity,
    licence_entity,
    parameter_entities,
    person_entity,
    software_entity,
    version_of,
)
from volkit.version import __version__

METADATA = "ro-crate-metadata.json"

# The digest of a file is a term of Workflow Run Crate, and none of RO-Crate itself.
_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
_DESCRIPTOR: Entity = {
    "@id": METADATA,
    "@type": "CreativeWork",
    "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    "about": {"@id": "./"},
}
_PROFILE: Entity = {
    "@id": "https://w3id.org/ro/wfrun/process/0.5",
    "@type": "CreativeWork",
    "name": "Process Run Crate",
    "version": "0.5",
}


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
        crate.add(data_entity(node, crate.id_of(node)))
    for node in chain.nodes.values():
        for entity in _actions(chain, node, crate):
            crate.add(entity)
    parts = [crate.id_of(node) for node in chain.nodes.values()]
    stated = licence or NOT_STATED
    dataset = {
        **_root(chain),
        "license": _ref(stated),
        "hasPart": [_ref(key) for key in parts if not key.startswith("#")],
        "mentions": [_ref(key) for key in crate.of_type("CreateAction")],
        "author": [_ref(key) for key in crate.of_type("Person")],
    }
    graph = [_DESCRIPTOR, dataset, _PROFILE, licence_entity(stated), *crate.entities.values()]
    return {"@context": _CONTEXT, "@graph": [compacted(entity) for entity in graph]}


def _root(chain: Chain) -> Entity:
    """Describe the crate itself; its date is that of the last session."""
    asked = ", ".join(chain.nodes[key].name for key in chain.roots)
    until = max((s.until for n in chain.nodes.values() for s in n.sessions), default=utc_now())
    return {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": _ref(_PROFILE["@id"]),
        "name": f"{asked}, and what it was made of",
        "description": f"Provenance of {asked}, written by volkit {__version__}.",
        "datePublished": until,
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

    def of_type(self, name: str) -> list[str]:
        return [key for key, entity in self.entities.items() if entity["@type"] == name]

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


def _actions(chain: Chain, node: Node, crate: _Crate) -> Iterator[Entity]:
    """Describe every session that computed a thing, with its software, agent and parameters."""
    if not node.fingerprint and not node.sessions:
        return
    inputs = [_ref(crate.id_of(chain.nodes[link.node])) for link in node.links]
    params = [_ref(crate.add(entity)) for entity in parameter_entities(node)]
    for number, session in enumerate(node.sessions or (None,)):
        version = session.versions.get("volkit", __version__) if session else version_of(node)
        software = crate.add(software_entity(version, session))
        action: Entity = {
            "@id": f"{anchor(node)}-{number + 1}",
            "@type": "CreateAction",
            "name": f"compute {node.name}",
            "description": session.command if session else f"computation {node.fingerprint}",
            "instrument": _ref(software),
            "object": _unique([*inputs, *params]),
            "result": [_ref(crate.id_of(node))],
        }
        if session is not None:
            agent = crate.add(person_entity(session))
            action |= {
                "agent": _ref(agent),
                "startTime": session.started,
                "endTime": session.until,
                "actionStatus": "http://schema.org/CompletedActionStatus",
            }
        yield action


def _unique(references: list[dict[str, str]]) -> list[dict[str, str]]:
    return list({reference["@id"]: reference for reference in references}.values())


def _ref(key: str) -> dict[str, str]:
    return {"@id": key}
