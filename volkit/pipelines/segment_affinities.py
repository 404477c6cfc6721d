"""Segment neurons by watershed and merge tree: from affinities, boundaries, or two networks.

All three leave labels, the merge tree of their fragments, scores, a report, and layers for
Neuroglancer; see `volkit.pipelines.segment_affinities_chain`.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.cascade_job import StoredCascade
from volkit.engine.job import JobEngine
from volkit.engine.reuse_record import read_reuse
from volkit.engine.reuse_search import table_place
from volkit.io.place import Place
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble
from volkit.ops.octree_agglomeration import AgglomerationTree
from volkit.ops.octree_basins import BasinTree
from volkit.pipelines.figure import Panel
from volkit.pipelines.graph_memory import asked_graph, graph_advice
from volkit.pipelines.report import Report
from volkit.pipelines.segment_affinities_chain import (
    MAP,
    compute_affinities,
    compute_boundaries,
    compute_recursive,
)
from volkit.pipelines.segment_affinities_config import (
    Recursive,
    SegmentAffinities,
    SegmentBoundaries,
)
from volkit.pipelines.segment_affinities_inputs import AffinityInputs, Config, open_inputs
from volkit.pipelines.segment_affinities_labels import AffinitySegmented
from volkit.pipelines.segment_affinities_layers import write_layers
from volkit.pipelines.segment_plan import NetworkStage
from volkit.pipelines.segment_run import Files, Segmentation, footing, warned

TREE = "basin_graph.final"
"""Name of the merge tree in the folder of a run, an ``.npz``."""

MERGES = "agglomeration.final"
"""The same where basins are merged by scores, and one machine holds their graph."""

_PATHS = frozenset(
    {
        "image",
        "boundaries",
        "affinities",
        "truth",
        "mask",
        "checkpoint",
        "preliminary",
        "members",
        "output",
    }
)


def _networks(inputs: AffinityInputs, config: Config) -> tuple[NetworkStage, ...]:
    found = []
    if isinstance(config, Recursive):
        options = config.infer_preliminary
        found.append(NetworkStage(MAP, inputs.first, options, "infer_preliminary"))
    if inputs.checkpoint is not None:
        found.append(NetworkStage("prob", inputs.checkpoint, config.infer))
    return tuple(found)


def _advice(inputs: AffinityInputs, config: Config) -> Iterator[str]:
    yield from graph_advice(asked_graph(config.segment, inputs.grid.domain.size), config.cluster)


def _report(
    inputs: AffinityInputs, found: AffinitySegmented, config: Config, *, name: str
) -> Report:
    scores = found.scores
    volumes = {"image": inputs.image, "stored": inputs.stored, "truth": inputs.truth}
    others: dict[str, Checkpoint | Ensemble] = {}
    if inputs.preliminary is not None:
        others["preliminary"] = inputs.preliminary
    return Report(
        heading=Path(config.output).name,
        footing=footing(scores),
        warnings=warned(found.warnings, scores, found.tree),
        panels=_panels(inputs, found),
        domain=inputs.grid.domain,
        scores=None if scores is None else asdict(scores),
        parameters={"pipeline": name, **asdict(config)},
        inputs={role: volume for role, volume in volumes.items() if volume is not None},
        checkpoint=inputs.checkpoint,
        results={"labels": found.labels},
        stages=() if scores is None else ("contingency", "polarity"),
        others=others,
    )


def _panels(inputs: AffinityInputs, found: AffinitySegmented) -> tuple[Panel, ...]:
    """Show the image, or what stands for it, and all that was made of it."""
    panels = []
    if found.boundary is not None:
        known = Panel("boundary probability", found.boundary, "prob", found.channel)
    else:
        known = Panel("affinities on x", found.affinities, "prob", 2)
    if inputs.image is not None:
        panels.append(Panel("image", inputs.image, "image"))
    panels += [known, Panel("labels", found.labels, "labels")]
    if inputs.truth is not None:
        panels.append(Panel("truth", inputs.truth, "truth"))
    return tuple(panels)


def _publish(
    inputs: AffinityInputs, found: AffinitySegmented, config: Config, engine: JobEngine
) -> Files:
    """Write the layers; say where the merge tree lies."""
    volumes = {"labels": found.labels}
    if inputs.image is not None:
        volumes["image"] = inputs.image
    layers = write_layers(volumes, domain=inputs.grid.domain, options=config.layers, engine=engine)
    if found.tree is None:
        return layers
    tree = _tree_place(found.tree, engine)
    return (("merge tree", tree.local or tree.uri), *layers)


def _tree_place(tree: Any, engine: JobEngine) -> Place:
    """Find the merge tree, which an earlier version of the run may hold."""
    held = tree.merged if isinstance(tree, AgglomerationTree | BasinTree) else None
    if isinstance(held, StoredCascade):
        return held.task.parts  # a table for every box
    name = MERGES if isinstance(tree, AgglomerationTree) else TREE
    noted = read_reuse(engine.place).get(name)
    shared = None if noted is None else table_place(engine.bases, name, noted["fingerprint"])
    return shared or engine.place.inside(f"{name}.npz")


def _segmentation(
    name: str, config: type, compute: Callable[[AffinityInputs, Any, Engine], AffinitySegmented]
) -> Segmentation:
    return Segmentation(
        name=name,
        config=config,
        open_inputs=open_inputs,
        compute=compute,
        networks=_networks,
        report=partial(_report, name=name),
        paths=_PATHS,
        publish=_publish,
        advice=_advice,
    )


AFFINITIES = _segmentation("segment_affinities", SegmentAffinities, compute_affinities)
BOUNDARIES = _segmentation("segment_boundaries", SegmentBoundaries, compute_boundaries)
RECURSIVE = _segmentation("recursive_vd2d3d", Recursive, compute_recursive)

AFFINITIES_PIPELINE = AFFINITIES.pipeline
BOUNDARIES_PIPELINE = BOUNDARIES.pipeline
RECURSIVE_PIPELINE = RECURSIVE.pipeline
