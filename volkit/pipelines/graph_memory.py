"""Who holds the graph of a run's basins: the memory of its workers decides, once for a folder."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.job import JobEngine
from volkit.engine.ledger import read_header
from volkit.engine.replay import ReplayEngine
from volkit.engine.workers import workers_of
from volkit.io.place import Place
from volkit.kernels.linkage_rule import Linkage
from volkit.ops.graph_holder import Held, Holder, held_by, holder_advice
from volkit.ops.mutex import EDGES_PER_CONTACT
from volkit.ops.mutex import STAGE as SIGNED
from volkit.ops.octree_agglomeration import STAGE as MERGED
from volkit.ops.octree_basins import STAGE as LINKED
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.segment_basins_config import BasinOptions


def room_for_graph(
    cluster: ClusterOptions, workers: Iterable[Mapping[str, Any]] = ()
) -> int | None:
    """Say how much of a graph one worker can hold.

    Parameters
    ----------
    cluster : ClusterOptions
        Where blocks run.
    workers : iterable of mapping
        What a scheduler knows of each of its workers, asked where the options do not say it.

    Returns
    -------
    int or None
        Bytes beside what a worker needs anyway, of the smallest one; None where nobody knows.
    """
    memory = cluster.memory_bytes
    if memory is None:
        limits = (worker["memory_limit"] for worker in workers)
        memory = min((int(limit) for limit in limits if limit), default=None)
    return None if memory is None else max(0, memory - process_bytes())


@dataclass(frozen=True, slots=True)
class AskedGraph:
    """A graph of basins that a workflow asks for.

    Parameters
    ----------
    held : {'auto', 'whole', 'boxes'}
        Who shall hold it.
    stage : str
        That makes it.
    voxels : int
        Of the domain.
    linkage : Linkage or None
        What a score is.
    edges : int
        How many there are for one contact.
    key : str
        Of the workflow, that says who shall hold it.
    """

    held: Held
    stage: str
    voxels: int
    linkage: Linkage | None
    edges: int
    key: str

    @property
    def size(self) -> dict[str, Any]:
        """What its memory follows from, beside the voxels."""
        return {"linkage": self.linkage, "edges": self.edges}


def asked_graph(told: BasinOptions, voxels: int) -> AskedGraph:
    """Say which graph of basins a workflow asks for.

    Parameters
    ----------
    told : BasinOptions
        How affinities become labels.
    voxels : int
        Of the domain.

    Returns
    -------
    AskedGraph
    """
    if told.mutex is not None:
        key = "segment.mutex.held"
        return AskedGraph(told.mutex.held, SIGNED, voxels, None, EDGES_PER_CONTACT, key)
    how = told.scored
    if how is None:
        return AskedGraph(told.held, LINKED, voxels, None, 1, "segment.held")
    key = "segment.held" if told.agglomeration is None else "segment.agglomeration.held"
    return AskedGraph(how.held, MERGED, voxels, how.rule, 1, key)


def graph_holder(graph: AskedGraph, cluster: ClusterOptions, engine: Engine) -> Holder:
    """Choose who holds the graph of basins; the labels are the same.

    A run that was begun on another machine goes on as it began: the tables of boxes and those of a
    whole are no use to each other.

    Parameters
    ----------
    graph : AskedGraph
        What is asked for.
    cluster : ClusterOptions
        Where blocks run.
    engine : Engine
        Whose folder may hold what was begun.

    Returns
    -------
    {'whole', 'boxes'}
    """
    if graph.held != "auto":
        return graph.held
    for place in _folders(engine):
        header = read_header(place.inside(f"{graph.stage}.ledger"))
        if header is not None:
            # Boxes need to know where the domain ends.
            domain = header["facts"].get("params", {}).get("domain")
            return "whole" if domain is None else "boxes"
    client = engine.client if isinstance(engine, JobEngine) else None
    known = {} if client is None else workers_of(client)
    room = room_for_graph(cluster, known.values())
    return held_by(graph.voxels, memory_bytes=room, **graph.size)


def _folders(engine: Engine) -> tuple[Place, ...]:
    """List where the stage may have been begun, unless it is to be made anew."""
    if isinstance(engine, ReplayEngine):
        return (engine.root,)
    if not isinstance(engine, JobEngine) or engine.replace_stale:
        return ()
    return (engine.place, *engine.bases)


def graph_advice(graph: AskedGraph, cluster: ClusterOptions) -> Iterator[str]:
    """Say who will hold the graph of basins where that is chosen, and where it may not fit.

    Parameters
    ----------
    graph : AskedGraph
        What is asked for.
    cluster : ClusterOptions
        Where blocks run.

    Yields
    ------
    str
        For a person.
    """
    if graph.held == "boxes":
        return
    room = room_for_graph(cluster)
    fitting = held_by(graph.voxels, memory_bytes=room, **graph.size)
    holder = fitting if graph.held == "auto" else "whole"
    text = holder_advice(graph.voxels, holder=holder, memory_bytes=room, **graph.size)
    if graph.held == "auto":
        yield text
    elif fitting == "boxes":
        yield f"{text}; give {graph.key}: boxes, with the same labels"
