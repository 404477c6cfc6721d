"""Statistics: label volumes in, tables, maps and a figure of the tissue out.

::

    classes ─► cells ─┐
    classes ──────────┼─► one pass: sums ─► tables, Datasets, density volume, figure
    regions, image ───┘
"""

import json
from pathlib import Path
from typing import Any

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.io.redaction import redacted
from volkit.ops.statistics_classes import printed
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.run_parameters import run_parameters
from volkit.pipelines.statistics_cells import write_cells
from volkit.pipelines.statistics_chain import Gathered, Inputs, gather, open_inputs
from volkit.pipelines.statistics_config import Statistics
from volkit.pipelines.statistics_figure import statistics_figure
from volkit.pipelines.statistics_report import summary, write_grids, write_regions
from volkit.version import __version__

# What kernels need beside their inputs and results, bytes for every voxel that they read.
_WORK_BYTES = {
    "cells_links": 16.0,
    "cells": 16.0,
    "tissue": 4.0,
    "skeleton_moments": 8.0,
    "skeleton_leftovers": 8.0,
    "vessel_graph": 16.0,
}
_PROCESS_BYTES = 350 * 2**20


def measure(
    config: Statistics,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Measure, and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : Statistics
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.

    Returns
    -------
    Outcome

    Raises
    ------
    VolkitError
        What :func:`~volkit.pipelines.statistics_chain.open_inputs` raises; ConfigError where
        labels have no name; StaleLedgerError where the folder holds another computation.
    """
    inputs = open_inputs(config)
    if on_message is not None:
        for line in _told(inputs, config):
            on_message(line)
    watch = Stopwatch(on_progress)
    with at_work(engine or JobEngine(config.folder), watch, on_message) as engine:
        found = gather(inputs, config, engine)
        scores, files = _report(inputs, found, config)
    return Outcome(
        files=files,
        following=("open", config.folder / "report"),
        scores=tuple(scores),
        times=watch.times(),
    )


def _told(inputs: Inputs, config: Statistics) -> list[str]:
    """Say what is easily taken for something else."""
    lines = [f"classes: {printed(config.classes)}"] if config.classes else []
    if not inputs.physical:
        lines.append(
            "the voxel size is not stated: lengths are in voxels, taken as cubes; give "
            "input.voxel_size_nm for physical units"
        )
    return lines


def _report(
    inputs: Inputs, found: Gathered, config: Statistics
) -> tuple[list[tuple[str, str, str]], tuple[tuple[str, Path], ...]]:
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    made = _provenance(inputs, config)
    (folder / "run.json").write_text(json.dumps(made, indent=1, default=str) + "\n")
    cells = None
    files: tuple[tuple[str, Path], ...] = ()
    if config.has_cells:
        cells = write_cells(folder, found.parts, inputs, config, made)
        name = "cells.parquet" if len(found.parts) == 1 else "cells"
        files = (("cells", folder / name),)
    if "classes" not in inputs.volumes:
        count, border = (
            (0, 0)
            if cells is None
            else (int(cells.totals[k].sum()) for k in ("cells", "at_border"))
        )
        return [("cells", f"{count:,}", f"{border:,} at the border of the volume")], files
    dataset, grids = write_grids(folder, found, cells, inputs, config, made)
    regions, tables = write_regions(folder, found, cells, inputs, config, made)
    figure = folder / "figure.png"
    statistics_figure(
        figure,
        dataset,
        None if cells is None else cells.shown,
        classes=config.classes,
        regions=config.regions,
        heading=f"{'/'.join(config.folder.parts[-2:])}   ({printed(config.classes)})",
    )
    return summary(regions, cells, config), (("figure", figure), *files, *tables, *grids)


def _provenance(inputs: Inputs, config: Statistics) -> dict[str, Any]:
    """Say what was measured and how; workers and folder do not matter."""
    return {
        "volkit": __version__,
        "mode": config.mode,
        "classes": printed(config.classes),
        "parameters": run_parameters(config),
        "domain": str(inputs.grid.domain),
        "voxel_size_nm": list(inputs.scale.voxel_size_nm) if inputs.physical else None,
        "inputs": {
            role: {"uri": redacted(volume.uri), "identity": volume.identity}
            for role, volume in inputs.volumes.items()
        },
    }


def plan(config: Statistics) -> Plan:
    """Say what a run will read, compute, write and need.

    Parameters
    ----------
    config : Statistics
        The workflow.

    Returns
    -------
    Plan
    """
    inputs = open_inputs(config)
    return Plan(
        grid=inputs.grid,
        stages=tuple(planned_stages(inputs, config)),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
    )


def planned_stages(inputs: Inputs, config: Statistics) -> list[StagePlan]:
    """Say what the stages of a run will do; inputs may be made by stages before."""
    engine = PlanEngine(work_bytes=_WORK_BYTES, process_bytes=_PROCESS_BYTES)
    for _ in gather(inputs, config, engine).parts:
        pass  # partitions are stages, too, and gathered when they are wanted
    return engine.stages


carry_out = on_cluster(measure)
PIPELINE = Pipeline(
    name="statistics",
    config=Statistics,
    run=carry_out,
    plan=plan,
    paths=frozenset({"classes", "cells", "regions", "image", "output"}),
)
