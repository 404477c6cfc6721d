"""Provenance: the chain of volumes, tables and checkpoints that something was made of.

It is read from what lies in the stores, and from nothing else: volumes and tables say which
computation made them, ledgers where their inputs lay, and who computed.  What lies at such a place
now is shown as an input only if its identity is still the one that was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from volkit.engine.origin import Session
from volkit.errors import SourceError
from volkit.io.credentials import Credentials
from volkit.io.place import Place

Kind = Literal["volume", "table", "checkpoint"]
State = Literal["here", "changed", "gone"]


@dataclass(frozen=True, slots=True)
class Link:
    """From a thing to one that it was made of.

    Parameters
    ----------
    role : str
        ``reads``, ``table``, ``network``, ``copied from``, or what a report calls it.
    node : str
        Id of the other one.
    """

    role: str
    node: str


@dataclass(frozen=True, slots=True)
class Node:
    """A volume, a table or a checkpoint.

    Parameters
    ----------
    id : str
        Identity of a volume, fingerprint or digest of a table, digest of weights.
    kind : {'volume', 'table', 'checkpoint'}
        What it is.
    name : str
        Of its stage, or of its file.
    uri : str
        Where it lies, or lay; empty where nobody knows.
    state : {'here', 'changed', 'gone'}
        Whether it still lies there, something else does, or nothing that can be read.
    fingerprint : str
        Of the computation that made it; empty where volkit did not.
    facts : mapping
        What decided the result: kernel, params, grid and so on.
    about : mapping
        What else is known: shape, description, licence, versions.
    sessions : tuple of Session
        Who computed it, when, where and with what; empty where nobody wrote it down.
    links : tuple of Link
        What it was made of.
    """

    id: str
    kind: Kind
    name: str
    uri: str = ""
    state: State = "here"
    fingerprint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything that something was made of.

    Parameters
    ----------
    roots : tuple of str
        Ids of what was asked for.
    nodes : mapping of str to Node
        All of them, by id; inputs come before what was made of them.
    """

    roots: tuple[str, ...]
    nodes: Mapping[str, Node]


def trace(uri: str, *, credentials: Credentials | None = None) -> Chain:
    """Trace what a volume, a table or the results of a run were made of.

    Parameters
    ----------
    uri : str
        What ``open_volume`` takes; a table (``.npz``, ``.parquet``, ``.csv``); the folder of a run.
    credentials : str, Secret or None
        Of the place of ``uri``, and of no other place.

    Returns
    -------
    Chain

    Raises
    ------
    SourceError
        If there is no such thing.

    Examples
    --------
    >>> import numpy as np
    >>> from volkit.io.open import create_volume
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = create_volume(f"{folder}/em.zarr", shape=(2, 2, 2), dtype="uint8")
    ...     chain = trace(f"{folder}/em.zarr")
    >>> [(node.kind, node.name, node.links) for node in chain.nodes.values()]
    [('volume', 'em.zarr', ())]
    """
    from volkit.engine.reuse_record import read_reuse
    from volkit.engine.stages import find_stages
    from volkit.io.sources import OpenOptions
    from volkit.pipelines.provenance_walk import Walk

    place = Place(uri, OpenOptions(credentials=credentials))
    walk = Walk(place)
    if place.name.endswith((".npz", ".parquet", ".csv")):
        roots: tuple[str, ...] = (walk.table(place),)
    elif "::" not in uri and _may_be_a_run(uri) and (find_stages(place) or read_reuse(place)):
        roots = walk.run(place)
        if not roots:
            raise SourceError(f"the run {uri} has finished nothing yet; look at volkit status")
    else:
        roots = (walk.asked(uri),)
    return Chain(roots, walk.nodes)


def _may_be_a_run(uri: str) -> bool:
    """Tell folders from URIs that only ``open_volume`` understands."""
    place = Place(uri)
    if place.name.endswith((".zarr", ".n5")):
        return False
    path = place.local
    return path.is_dir() if path is not None else uri.split("://")[0] in _STORES


_STORES = ("s3", "gs", "az", "memory")
