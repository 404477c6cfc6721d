"""Segment neurons by watershed and merge tree: from affinities, boundaries, or two networks.

All three leave labels, the merge tree of their fragments, scores, a report, and layers for
Neuroglancer; see `volkit.pipelines.segment_affinities_chain`.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.cascade_job import StoredCascade
from volkit.engine.job import JobEngine
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble
from volkit.ops.octree_agglomeration import AgglomerationTree
from volkit.pipelines.figure import Panel
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

TREE = "basin_graph.final.npz"
"""Name of the merge tree in the folder of a run."""

MERGES = "agglomeration.final.npz"
"""Name of its merge tree where basins are merged by scores, and one machine holds their graph."""

BOXES = "agglomeration.parts"
"""The same where no machine does: a table for every box."""

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
    name = TREE
    if isinstance(found.tree, AgglomerationTree):
        name = BOXES if isinstance(found.tree.merged, StoredCascade) else MERGES
    tree = engine.place.inside(name)
    return (("merge tree", tree.local or tree.uri), *layers)


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
    )


AFFINITIES = _segmentation("segment_affinities", SegmentAffinities, compute_affinities)
BOUNDARIES = _segmentation("segment_boundaries", SegmentBoundaries, compute_boundaries)
RECURSIVE = _segmentation("recursive_vd2d3d", Recursive, compute_recursive)

AFFINITIES_PIPELINE = AFFINITIES.pipeline
BOUNDARIES_PIPELINE = BOUNDARIES.pipeline
RECURSIVE_PIPELINE = RECURSIVE.pipeline
