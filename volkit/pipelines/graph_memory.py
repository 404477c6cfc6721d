"""Who holds the graph of a run's basins: the memory of its workers decides, once for a folder."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.job import JobEngine
from volkit.engine.ledger import read_header
from volkit.engine.replay import ReplayEngine
from volkit.io.place import Place
from volkit.ops.graph_holder import Holder, held_by, holder_advice
from volkit.ops.octree_agglomeration import STAGE
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.segment_basins_config import AgglomerationOptions
from volkit.pipelines.segment_plan import PROCESS_BYTES


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
    return None if memory is None else max(0, memory - PROCESS_BYTES)


def graph_holder(
    how: AgglomerationOptions, voxels: int, cluster: ClusterOptions, engine: Engine
) -> Holder:
    """Choose who holds the graph of basins; the labels are the same.

    A run that was begun on another machine goes on as it began: the tables of boxes and those of a
    whole are no use to each other.

    Parameters
    ----------
    how : AgglomerationOptions
        What is asked for.
    voxels : int
        Of the domain.
    cluster : ClusterOptions
        Where blocks run.
    engine : Engine
        Whose folder may hold what was begun.

    Returns
    -------
    {'whole', 'boxes'}
    """
    if how.held != "auto":
        return how.held
    for place in _folders(engine):
        header = read_header(place.inside(f"{STAGE}.ledger"))
        if header is not None:
            # Boxes need to know where the domain ends.
            domain = header["facts"].get("params", {}).get("domain")
            return "whole" if domain is None else "boxes"
    client = engine.client if isinstance(engine, JobEngine) else None
    known = {} if client is None else client.scheduler_info(n_workers=-1)["workers"]
    room = room_for_graph(cluster, known.values())
    return held_by(voxels, memory_bytes=room, linkage=how.rule)


def _folders(engine: Engine) -> tuple[Place, ...]:
    """List where the stage may have been begun, unless it is to be made anew."""
    if isinstance(engine, ReplayEngine):
        return (engine.root,)
    if not isinstance(engine, JobEngine) or engine.replace_stale:
        return ()
    return (engine.place, *engine.bases)


def graph_advice(
    how: AgglomerationOptions | None, voxels: int, cluster: ClusterOptions
) -> Iterator[str]:
    """Say who will hold the graph of basins where that is chosen, and where it may not fit.

    Parameters
    ----------
    how : AgglomerationOptions or None
        What is asked for.
    voxels : int
        Of the domain.
    cluster : ClusterOptions
        Where blocks run.

    Yields
    ------
    str
        For a person.
    """
    if how is None or how.held == "boxes":
        return
    room = room_for_graph(cluster)
    fitting = held_by(voxels, memory_bytes=room, linkage=how.rule)
    holder = fitting if how.held == "auto" else "whole"
    text = holder_advice(voxels, holder=holder, memory_bytes=room, linkage=how.rule)
    if how.held == "auto":
        yield text
    elif fitting == "boxes":
        yield f"{text}; give segment.agglomeration.held: boxes, with the same labels"
