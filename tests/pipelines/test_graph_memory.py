"""Who holds the graph of basins: the memory of workers, unless it was begun otherwise."""

from pathlib import Path

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.replay import ReplayEngine
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.kernels.label import label_equal
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions
from volkit.ops.octree_agglomeration import agglomeration_tree
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.graph_memory import asked_graph, graph_advice, graph_holder, room_for_graph
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.segment_basins_config import AgglomerationOptions, BasinOptions, MutexOptions

GIB = 2**30
FOUR = ClusterOptions(workers=1, memory_gib=4)
LARGE = 1024**3  # 4 GiB of contacts


def test_the_smallest_worker_counts_where_the_workflow_does_not_say() -> None:
    workers = [{"memory_limit": limit} for limit in (9 * GIB, None, 3 * GIB, 0)]
    assert room_for_graph(FOUR, workers) == 4 * GIB - process_bytes()
    there = ClusterOptions(scheduler="tcp://127.0.0.1:8786")
    assert room_for_graph(there) is None
    assert room_for_graph(there, workers) == 3 * GIB - process_bytes()
    assert room_for_graph(there, workers[1::2]) is None
    assert room_for_graph(ClusterOptions(workers=1, memory_gib=0.1)) == 0


def asked(voxels: int, held: str = "auto"):
    return asked_graph(BasinOptions(agglomeration=AgglomerationOptions(held=held)), voxels)


def test_a_graph_with_far_edges_is_three_times_as_large() -> None:
    """1.2 GiB of contacts fit into what 4 leave, as many edges again and again do not."""
    engine, voxels = LazyEngine(), 3 * LARGE // 10
    assert graph_holder(asked(voxels), FOUR, engine) == "whole"
    signed = asked_graph(BasinOptions(mutex=MutexOptions()), voxels)
    assert graph_holder(signed, FOUR, engine) == "boxes"
    assert list(graph_advice(signed, FOUR)) == [
        "boxes of blocks hold the graph of fragments: up to 3.6 GiB may be needed for that of "
        f"0.32 gigavoxels, and a worker has {room_for_graph(FOUR) / GIB:.2g} GiB for it"
    ]


def test_basins_that_join_by_size_are_held_by_the_memory_of_workers_too() -> None:
    engine = LazyEngine()
    assert graph_holder(asked_graph(BasinOptions(), LARGE // 2), FOUR, engine) == "whole"
    large = asked_graph(BasinOptions(), LARGE)
    assert graph_holder(large, FOUR, engine) == "boxes"
    (told,) = graph_advice(large, FOUR)
    assert told.startswith("boxes of blocks hold the graph of fragments: up to 4 GiB may be needed")
    stated = asked_graph(BasinOptions(held="whole"), LARGE)
    assert graph_holder(stated, FOUR, engine) == "whole"
    (told,) = graph_advice(stated, FOUR)
    assert told.endswith("give segment.held: boxes, with the same labels")


@pytest.mark.parametrize("held", ["boxes", "whole"])
def test_a_run_goes_on_as_it_was_begun(held, tmp_path: Path) -> None:
    """Whatever its workers have by now; a version of it, and who checks it, too."""
    other = {"boxes": "whole", "whole": "boxes"}[held]
    voxels = {"boxes": 1000, "whole": LARGE}[held]
    engine = JobEngine(tmp_path / "run")
    assert graph_holder(asked(voxels), FOUR, engine) == other
    labels = open_volume(label_equal(np.arange(24, dtype=np.uint64).reshape(2, 3, 4) // 6))
    agglomeration_tree(
        labels,
        open_volume(np.zeros((3, 2, 3, 4), np.float32)),
        options=AffinityOptions(NEAREST),
        held=held,
        grid=Grid(labels.domain, (2, 3, 4)),
        engine=engine,
    )
    place = Place.at(tmp_path / "run")
    after = JobEngine(tmp_path / "next", bases=(place,))
    for again in (engine, ReplayEngine(place), after):
        assert graph_holder(asked(voxels), FOUR, again) == held
    anew = JobEngine(tmp_path / "run", replace_stale=True)
    assert graph_holder(asked(voxels), FOUR, anew) == other
    assert graph_holder(asked(voxels, other), FOUR, engine) == other
