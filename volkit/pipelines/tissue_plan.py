"""Plan of ``tissue``: the stages of all regions added up, of classes and of what is measured."""

from collections import defaultdict
from dataclasses import replace

from volkit.geometry import Grid
from volkit.models.checkpoint import Checkpoint
from volkit.ops.tissue_classes import class_pairs
from volkit.pipelines.plan import Plan, StagePlan, added_up
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.segment_plan import NetworkStage, misaligned
from volkit.pipelines.statistics import planned_stages
from volkit.pipelines.statistics_chain import Inputs
from volkit.pipelines.tissue_config import Tissue
from volkit.pipelines.tissue_region import (
    classes_of,
    is_physical,
    network_of,
    open_regions,
    open_volumes,
    statistics_of,
)


def plan(config: Tissue) -> Plan:
    """Say what a run will read, compute, write and need.

    Parameters
    ----------
    config : Tissue
        The workflow.

    Returns
    -------
    Plan
        Stages of all regions added up, the domain of the largest.

    Raises
    ------
    ConfigError
        If the channels of the network are not the classes.
    VolkitError
        What :func:`~volkit.pipelines.tissue_region.open_regions` raises.
    """
    boxes, card = open_regions(config), network_of(config)
    stages: dict[str, list[StagePlan]] = defaultdict(list)
    conflicts: list[str] = []
    advice: dict[str, None] = {}
    for name, box in boxes.items():
        grid = Grid(box, config.block_shape)
        planned = _classes(config, grid, card)
        folder = config.folder / "regions" / name
        conflicts += misaligned(grid, folder / "classes", planned)
        if card is not None:
            network = NetworkStage("prob", card, config.infer)
            advice |= dict.fromkeys(network.advice(grid, config.cluster.memory_bytes))
        for stage in (*planned, *_measures(config, grid)):
            stages[stage.name].append(stage)
    largest = max(boxes.values(), key=lambda box: box.size)
    return Plan(
        grid=Grid(largest, config.block_shape),
        stages=tuple(added_up(name, parts) for name, parts in stages.items()),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        conflicts=tuple(conflicts),
        advice=tuple(advice),
    )


def _classes(config: Tissue, grid: Grid, card: Checkpoint | None) -> list[StagePlan]:
    engine = PlanEngine(work_bytes={}, process_bytes=process_bytes())
    volumes = classes_of(config, grid, engine)
    if len(volumes) > 1:
        class_pairs(volumes["truth"], volumes["predicted"], grid=grid, engine=engine)
    image = open_volumes(config)["image"]
    if card is None or image is None:
        return engine.stages
    network = NetworkStage("prob", card, config.infer)
    return [
        network.planned(stage, image, grid) if stage.name == "prob" else stage
        for stage in engine.stages
    ]


def _measures(config: Tissue, grid: Grid) -> list[StagePlan]:
    """Plan what is measured of the classes, which stages before will have stored."""
    volumes = classes_of(config, grid, PlanEngine(work_bytes={}, process_bytes=0))
    scale = next(v for v in open_volumes(config).values() if v is not None).scale
    found = []
    for what, volume in volumes.items():
        told = statistics_of(config, "", config.folder)
        inputs = Inputs({"classes": volume}, grid, scale, is_physical(config))
        found += [
            replace(stage, name=f"{what}-{stage.name}") for stage in planned_stages(inputs, told)
        ]
    return found
