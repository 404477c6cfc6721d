"""Plans of stall tables: what asking networks about segments or clips costs."""

from collections.abc import Sequence
from math import prod

from volkit.geometry import Box, Grid
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.stalls_config import StallsRun
from volkit.pipelines.stalls_table import open_calibrator

# Layers of a DenseNet121 that are alive together; other networks need less.
_FLOATS_PER_WINDOW_VOXEL = 32
_FLOAT_BYTES = 4


def predictions(config: StallsRun, count: int | None, *, bytes_read: int, held: int) -> StagePlan:
    """Plan the stage in which networks are asked.

    Parameters
    ----------
    config : StallsRun
        The workflow.
    count : int or None
        Segments; None where they are known only when stages before are finished.
    bytes_read : int
        Of films or cuboids, as far as it is known.
    held : int
        Bytes that a worker holds of these at a time.

    Returns
    -------
    StagePlan
    """
    ensemble = config.networks.ensemble()
    known, window = count or 0, prod(ensemble.window)
    asked = known * len(ensemble.checkpoints) * len(ensemble.views)
    activations = _FLOAT_BYTES * _FLOATS_PER_WINDOW_VOXEL * ensemble.rows * window
    return StagePlan(
        name="predictions",
        blocks=-(-known // config.predict.group),
        voxels=known * window,
        voxels_read=known * window,
        bytes_read=bytes_read,
        bytes_written=0,
        memory_bytes=process_bytes() + held + activations,
        passes=asked,
        least_passes=asked,
    )


def stalls_plan(
    config: StallsRun, grid: Grid, stages: Sequence[StagePlan], *, conflicts: Sequence[str] = ()
) -> Plan:
    """Put stages together.

    Parameters
    ----------
    config : StallsRun
        The workflow.
    grid : Grid
        Of the volume, or of the list of clips.
    stages : sequence of StagePlan
        In their order.
    conflicts : sequence of str
        As for `Plan`.

    Returns
    -------
    Plan

    Raises
    ------
    ModelError
        If the calibrator is of other networks.
    """
    ensemble = config.networks.ensemble()
    open_calibrator(config, ensemble)
    shape = " x ".join(map(str, ensemble.window))
    folds, views = len(ensemble.checkpoints), len(ensemble.views)
    told = (
        f"each segment is {folds * views} windows of {shape}: {folds} folds x {views} views; the "
        f"heads are asked {ensemble.passes} times more on the same features"
    )
    unknown = "how many segments there are is known when the graph of the vessels is"
    return Plan(
        grid=grid,
        stages=tuple(stages),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        conflicts=tuple(conflicts),
        advice=(told,) if all(stage.blocks for stage in stages) else (told, unknown),
    )


def listed(count: int, group: int) -> Grid:
    """Give the grid of a list: rows in groups along one axis."""
    return Grid(Box.from_shape((1, 1, count)), (1, 1, min(group, count)))
