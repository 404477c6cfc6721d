"""The walk along a chain of provenance, from what was asked for to what was there first."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from volkit.engine.ledger import read_header
from volkit.engine.origin import Origin, public_uri, read_origin
from volkit.engine.reuse_record import read_blocks
from volkit.engine.table_about import Table, read_about
from volkit.errors import VolkitError
from volkit.io.faults import Patience
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.io.uris import split_scheme
from volkit.io.volume import Volume
from volkit.models.checkpoint import read_checkpoint
from volkit.pipelines.provenance import Link, Node
from volkit.pipelines.provenance_tables import networks_of, references, said_of
from volkit.pipelines.run_index import RunIndex

# A chain may lead to stores that are slow or gone: whoever asks shall not wait for long.
_BRIEFLY = Patience(attempts=2, connect_seconds=5.0, silence_seconds=15.0, deadline_seconds=20.0)


@dataclass(slots=True)
class Walk:
    """What was found so far.

    Parameters
    ----------
    asked_for : Place
        Whose credentials are used there, and nowhere else.
    nodes : dict of str to Node
        By id.
    """

    asked_for: Place
    nodes: dict[str, Node] = field(default_factory=dict)
    _indexes: dict[str, RunIndex] = field(default_factory=dict)

    def asked(self, uri: str) -> str:
        """Add the volume that was asked for, and what it was made of."""
        volume = open_volume(uri, credentials=self.asked_for.options.credentials)
        return self._found(volume)

    def run(self, root: Place) -> tuple[str, ...]:
        """Add everything that lies in the folder of a run; give what nothing else was made of."""
        index = self._index(root)
        for volume in index.volumes.values():
            self._found(volume)
        for table in index.tables:
            self._add_table(table)
        found = set(self.nodes)
        for name in ("report/scores.csv",):
            if root.objects.get(name) is not None:
                found.add(self.table(root.inside(name)))
        read = {link.node for node in self.nodes.values() for link in node.links}
        return tuple(key for key in self.nodes if key in found - read)

    def table(self, place: Place) -> str:
        """Add a table, and what it was made of."""
        if place.name.endswith(".npz"):
            found = read_about(place)
            return self._leaf_table(place) if found is None else self._add_table(found)
        said = said_of(place)
        if said.sha256 in self.nodes:
            return said.sha256
        folder = place.above.above  # of the run, where it is the table of a report
        links = [self._reference(r, folder) for r in references(said.provenance)]
        sums = [t for t in self._index(folder).tables if "finalize" not in t.facts]
        links += [Link("table", self._add_table(t)) for t in sums if t.stage in said.stages]
        origin = read_origin(place.above.beside(".ledger"))
        node = Node(said.sha256, "table", place.name, public_uri(place.uri), about=said.about)
        self.nodes[node.id] = replace(
            node,
            links=tuple(dict.fromkeys(links)),
            sessions=() if origin is None else origin.sessions,
        )
        return node.id

    def _reference(self, found: tuple[str, Mapping[str, Any]], folder: Place) -> Link:
        role, said = found
        if "identity" in said and "level" in said:
            here = self._index(folder).volumes.get(said["identity"])
            return Link(role, self._found(here) if here else self._expected(said, [said["uri"]]))
        return Link(role, self._checkpoint(str(said["sha256"]), str(said["uri"])))

    def _found(self, volume: Volume) -> str:
        """Add a volume that was opened."""
        key = volume.identity
        if key in self.nodes:
            return key
        own = volume.attributes.get("volkit", {})
        place = _stored_at(volume)
        about = {
            "shape": [*(() if volume.channels is None else (volume.channels,)), *volume.shape],
            "dtype": str(volume.dtype),
            "voxel_size_nm": list(volume.voxel_size_nm),
            **({"version": own["version"]} if "version" in own else {}),
        }
        node = Node(key, "volume", place.name, public_uri(volume.uri), about=about)
        facts = own.get("provenance")
        if not isinstance(facts, Mapping) or "fingerprint" not in own:
            self.nodes[key] = node
            return key
        name = str(own.get("stage", place.name))
        ledger = _ledger_of(place, name)
        made = replace(node, name=name, fingerprint=str(own["fingerprint"]), facts=facts)
        source = own.get("source")
        extra = [source] if isinstance(source, Mapping) and "uri" in source else []
        return self._made(made, place.above, ledger, extra)

    def _made(
        self, node: Node, root: Place, ledger: Place, extra: Sequence[Mapping[str, Any]] = ()
    ) -> str:
        """Add what a stage made, after what it was made of."""
        header, origin = read_header(ledger), read_origin(ledger)
        same = header is not None and _belongs(header, node)
        if origin is None or not same:
            origin = Origin(node.fingerprint, root.uri)
        origin = replace(origin, inputs=(*origin.inputs, *extra))
        self.nodes[node.id] = node  # so that a chain that bites its tail has an end
        links = list(self._links(node, root, origin))
        about = dict(node.about)
        if same and header is not None:
            record = read_blocks(ledger, int(header["total"]))
            about |= {"blocks": int(header["total"])} | ({} if record is None else record.counts)
            if record is not None and record.counts["copied"]:
                links.append(Link("copied from", self._input(record.base_volume, root, origin)))
        if origin.shared:
            about["shared"] = [dict(value) for value in origin.shared]
        del self.nodes[node.id]  # what it was made of comes before it
        self.nodes[node.id] = replace(
            node, about=about, sessions=origin.sessions, links=tuple(dict.fromkeys(links))
        )
        return node.id

    def _links(self, node: Node, root: Place, origin: Origin) -> Iterator[Link]:
        facts = node.facts
        if "finalize" in facts:
            for sums in self._index(root).tables:
                if {
                    **sums.facts,
                    "finalize": facts["finalize"],
                } == facts and sums.fingerprint != node.id:
                    yield Link("table", self._add_table(sums))
                    return
        for identity in facts.get("inputs", ()):
            yield Link("reads", self._input(str(identity), root, origin))
        for value in facts.get("shared", {}).values():
            if not isinstance(value, Mapping):
                continue
            if "table" in value:
                yield Link("table", self._shared_table(str(value["table"]), node, root, origin))
            for mask in (m for m in value.get("maps", ()) if "identity" in m):
                yield Link("skips by", self._input(str(mask["identity"]), root, origin))
            for sha256, uri in networks_of(value, origin.shared):
                yield Link("network", self._checkpoint(sha256, uri))

    def _input(self, identity: str, root: Place, origin: Origin) -> str:
        """Add a volume that was read: a neighbour, or one that still lies where it lay."""
        if identity in self.nodes:
            return identity
        here = self._index(root).volumes.get(identity)
        if here is not None:
            return self._found(here)
        told = [said for said in origin.inputs if said.get("identity") == identity]
        places = [str(told[0]["uri"])] if told else []
        places += [moved for uri in places if (moved := _moved(uri, origin.root, root))]
        return self._expected(told[0] if told else {"identity": identity}, places)

    def _expected(self, said: Mapping[str, Any], places: Sequence[str]) -> str:
        """Add a volume if it is still the one that was read; else say what became of it."""
        identity, state = str(said["identity"]), "gone"
        if identity in self.nodes:
            return identity
        for uri in places:
            try:
                volume = Volume(uri, int(said.get("level") or 0), self._options(uri, said))
                found = volume.identity
            except VolkitError:
                continue
            if found == identity or identity.startswith(f"{found}|"):
                key = self._found(volume)
                if key != identity:  # the same voxels, opened with other words
                    self.nodes[identity] = replace(self.nodes.pop(key), id=identity)
                return identity
            state = "changed"
        uri = places[0] if places else ""
        name = Place(uri).name if uri else "a volume"
        self.nodes[identity] = Node(identity, "volume", name, uri, state)  # type: ignore[arg-type]
        return identity

    def _shared_table(self, sha256: str, reader: Node, root: Place, origin: Origin) -> str:
        """Add a table that every block got, wherever a version of the run has it."""
        told = [said for said in origin.shared if said.get("sha256") == sha256]
        uris = [str(said["uri"]) for said in told if "uri" in said]
        lay = [Place(moved) for uri in uris if (moved := _moved(uri, origin.root, root))]
        lay += [Place(uri, self._options(uri, {})) for uri in uris]
        volumes = [_stored_at(v).above for v in self._index(root).volumes.values()]
        inputs = [Place(str(s["uri"])).above for s in origin.inputs if "uri" in s]
        for folder in (root, *(p.above.above for p in lay), *volumes[:1], *inputs):
            found = self._index(folder).table(sha256, reader.name)
            if found is not None:
                return self._add_table(found)
        uri = uris[0] if uris else ""
        state = "here" if any(place.exists() for place in lay) else "gone"
        self.nodes.setdefault(sha256, Node(sha256, "table", "a table", uri, state))  # type: ignore[arg-type]
        return sha256

    def _add_table(self, table: Table) -> str:
        if table.fingerprint in self.nodes:
            return table.fingerprint
        root = table.place.above
        name = table.place.name.removesuffix(".npz")
        made = Node(
            table.fingerprint,
            "table",
            name,
            public_uri(table.place.uri),
            fingerprint=table.fingerprint,
            facts=table.facts,
            about={"sha256": table.sha256},
        )
        return self._made(made, root, root.inside(f"{table.stage}.ledger"))

    def _leaf_table(self, place: Place) -> str:
        node = Node(place.uri, "table", place.name, public_uri(place.uri))
        self.nodes[node.id] = node if place.exists() else replace(node, state="gone")
        return node.id

    def _checkpoint(self, sha256: str, uri: str) -> str:
        if sha256 in self.nodes:
            return sha256
        node = Node(sha256, "checkpoint", Place(uri).name if uri else "a checkpoint", uri)
        try:
            card = read_checkpoint(uri) if uri else None
        except (VolkitError, OSError):
            card = None
        if card is None or card.sha256 != sha256:
            node = replace(node, state="gone" if card is None else "changed")
        else:
            names = ("architecture", "version", "description", "licence", "training_data")
            told = {name: getattr(card, name) for name in names}
            node = replace(node, about={k: v for k, v in told.items() if v})
        self.nodes[sha256] = node
        return sha256

    def _index(self, root: Place) -> RunIndex:
        return self._indexes.setdefault(root.uri, RunIndex(root))

    def _options(self, uri: str, said: Mapping[str, Any]) -> OpenOptions:
        """Tell how to reach a place: with credentials if it is of the store that was asked for."""
        size = said.get("voxel_size_nm") if "axes" in said else None
        options = OpenOptions(
            axes=said.get("axes"), voxel_size_nm=tuple(size) if size else None, patience=_BRIEFLY
        )
        if _store(uri) != _store(self.asked_for.uri):
            return options
        return replace(options, credentials=self.asked_for.options.credentials)


def _stored_at(volume: Volume) -> Place:
    """Find the folder of a volume; of a layer, that of its info."""
    scheme, rest = split_scheme(volume.uri)
    return Place(rest if scheme == "precomputed" else volume.uri, volume.options)


def _ledger_of(place: Place, stage: str) -> Place:
    if place.name == f"{stage}.zarr":
        return place.above.inside(f"{stage}.ledger")
    return place.beside(f".{stage}").inside(f"{stage}.ledger")  # of a copy: beside it


def _belongs(header: Mapping[str, Any], node: Node) -> bool:
    """Tell whether a ledger is that of what was made: a table's counts the blocks of its level."""
    if node.kind == "volume":
        return bool(header["fingerprint"] == node.fingerprint)
    own = {key: value for key, value in node.facts.items() if key != "finalize"}
    return bool({**own, "level": 0} == header["facts"])


def _moved(uri: str, old_root: str, new_root: Place) -> str | None:
    """Say where something lies now if it was moved together with the folder of its run."""
    here = new_root.local
    if here is None or split_scheme(uri)[0] or split_scheme(old_root)[0]:
        return None
    relative = os.path.relpath(uri, old_root)
    moved = str(Path(os.path.normpath(here.absolute() / relative)))
    return None if moved == uri else moved


def _store(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri.removeprefix("precomputed://"))
    return parts.scheme, parts.netloc
