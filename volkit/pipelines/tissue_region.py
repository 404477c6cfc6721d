"""One region of ``tissue``: classes stored, compared and measured.

::

    labels ─► truth ──┬──────────────► statistics of the truth
                      ├─► pairs ─► scores
    image ─► prob ─► classes ────────► statistics of what was predicted
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from volkit.engine.attendance import attended
from volkit.engine.base import Engine
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.io.stated_size import says_size, sized_alike
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.ops.inference import infer
from volkit.ops.tissue_classes import class_pairs, decide_classes, merge_classes
from volkit.pipelines.failure import recorded
from volkit.pipelines.outcome import StageTime, Stopwatch
from volkit.pipelines.registry import OnMessage
from volkit.pipelines.statistics import measure
from volkit.pipelines.statistics_config import Statistics, StatisticsInput
from volkit.pipelines.tissue_config import Tissue


@dataclass(frozen=True, slots=True)
class RegionResult:
    """What was found in a region.

    Parameters
    ----------
    name : str
        Of the region.
    pairs : dict of ndarray or None
        Pairs of true and predicted classes by section; None where one of them is missing.
    reports : dict of str to Path
        Folders of tables, by what they are of: ``truth``, ``predicted``.
    times : tuple of StageTime
        Of its stages; what was measured of the truth is told from what of the predicted.
    """

    name: str
    pairs: Columns | None
    reports: dict[str, Path]
    times: tuple[StageTime, ...] = ()


def open_regions(config: Tissue) -> dict[str, Box]:
    """Check the volumes, and find the boxes.

    Returns
    -------
    dict of str to Box
        By region; ``all`` where none is named.

    Raises
    ------
    SourceError
        If a volume cannot be opened.
    GeometryError
        If volumes do not cover the same voxels, or a box leaves them.
    ConfigError
        If surface or branches are asked for, and nobody knows the voxel size.
    """
    found = {role: volume for role, volume in open_volumes(config).items() if volume is not None}
    first = next(iter(found.values()))
    measured = config.measure.shapes or config.measure.branches.of
    if measured and not is_physical(config):
        raise ConfigError(
            f"{first.uri} does not say its voxel size, without which there is no surface or "
            "length; give input.voxel_size_nm, or leave out measure.shapes and measure.branches"
        )
    boxes = config.input.regions or {"all": first.domain}
    for role, volume in found.items():
        if volume.channels is not None or volume.domain.shape != first.domain.shape:
            raise GeometryError(
                f"input.{role} {volume.uri} covers {volume.domain} with {volume.channels or 'no'} "
                f"channels, {first.uri} {first.domain}; give volumes of the same voxels without "
                "channels"
            )
        for name, box in boxes.items():
            if not volume.domain.contains(box) or not box.size:
                raise GeometryError(
                    f"regions.{name} {box} leaves input.{role} {volume.uri}, which covers "
                    f"{volume.domain}"
                )
    return boxes


def network_of(config: Tissue) -> Checkpoint | None:
    """Read the card of the network.

    Returns
    -------
    Checkpoint or None
        None where the labels alone are measured.

    Raises
    ------
    ConfigError
        If its channels are not the classes.
    """
    if config.checkpoint is None:
        return None
    card = read_checkpoint(config.checkpoint)
    if card.classes and card.classes != tuple(config.classes):
        raise ConfigError(
            f"{config.checkpoint} tells {', '.join(card.classes)} apart, classes are "
            f"{', '.join(config.classes)}; name them as the card does, in its order"
        )
    if card.channels[1] != len(config.classes):
        raise ConfigError(
            f"{config.checkpoint} answers {card.channels[1]} channels, there are "
            f"{len(config.classes)} classes; give every channel a class"
        )
    return card


def is_physical(config: Tissue) -> bool:
    """Tell whether anybody stated the voxel size: without, lengths are in voxels."""
    return any(volume is not None and says_size(volume) for volume in open_volumes(config).values())


def open_volumes(config: Tissue) -> dict[str, Volume | None]:
    """Open ``image`` and ``labels``, as far as they are named.

    Both are of the same voxels, whose size one of them may say for the other.
    """
    told = config.input
    named = {"image": told.image, "labels": told.labels}
    found = {
        role: open_volume(uri, level=told.level, voxel_size_nm=told.voxel_size_nm)
        for role, uri in named.items()
        if uri is not None
    }
    return {**dict.fromkeys(named), **sized_alike(found)}


def work_on(
    name: str,
    box: Box,
    config: Tissue,
    *,
    engine: JobEngine,
    watch: Stopwatch,
    on_message: OnMessage,
) -> RegionResult:
    """Classify, compare and measure a region; taken up where it was when it is run again.

    Parameters
    ----------
    name : str
        Of the region.
    box : Box
        Where it is.
    config : Tissue
        The workflow.
    engine : JobEngine
        With the folder of the region.
    watch : Stopwatch
        Told how far stages are.
    on_message : callable
        Told what a person may want to know.

    Returns
    -------
    RegionResult
    """
    with (
        attended(engine.place, on_message=on_message) as attendance,
        recorded(engine.place, watch.stage),
    ):
        here = replace(engine, attendance=attendance)
        volumes = classes_of(config, Grid(box, config.block_shape), here)
        pairs = None
        if len(volumes) == 2:
            pairs = class_pairs(
                volumes["truth"],
                volumes["predicted"],
                grid=Grid(box, config.block_shape),
                engine=here,
            )
    reports = {}
    times = watch.times()
    for what, volume in volumes.items():
        folder = config.folder / "regions" / name / what
        measuring = Stopwatch(watch.on_progress)
        told = statistics_of(config, volume.uri, folder)
        measure(
            told,
            replace(JobEngine(folder, engine.client), replace_stale=engine.replace_stale),
            measuring,
        )
        reports[what] = folder / "report"
        times += tuple(replace(t, stage=f"{what}-{t.stage}") for t in measuring.times())
    return RegionResult(name, pairs, reports, times)


def classes_of(config: Tissue, grid: Grid, engine: Engine) -> dict[str, Any]:
    """Store the classes that are known (``truth``), and those that a network finds (``predicted``).

    Parameters
    ----------
    config : Tissue
        The workflow.
    grid : Grid
        Blocks of the region.
    engine : Engine
        Where: the same for a job and a plan.

    Returns
    -------
    dict of str to Volume
        Or what else the engine makes.
    """
    volumes = open_volumes(config)
    found = {}
    if volumes["labels"] is not None:
        found["truth"] = merge_classes(volumes["labels"], config.classes, grid=grid, engine=engine)
    if volumes["image"] is not None and config.checkpoint is not None:
        card = read_checkpoint(config.checkpoint)
        prob = infer(volumes["image"], card, options=config.infer, grid=grid, engine=engine)
        found["predicted"] = decide_classes(prob, grid=grid, engine=engine)
    return found


def statistics_of(config: Tissue, classes: str, folder: Path) -> Statistics:
    """Say what is measured of stored classes, as a workflow of ``statistics``.

    Parameters
    ----------
    config : Tissue
        The workflow.
    classes : str
        Where they are.
    folder : Path
        Of the measurement.

    Returns
    -------
    Statistics
    """
    told = config.measure
    return Statistics(
        input=StatisticsInput(classes=classes, voxel_size_nm=config.input.voxel_size_nm),
        output=str(folder),
        classes=config.numbers,
        cell_class=told.cell_class,
        connectivity=told.connectivity,
        mode=told.mode,
        bins=told.bins,
        sections=told.sections,
        shapes=told.shapes,
        branches=told.branches,
        interval=told.interval,
        block_shape=config.block_shape,
        cluster=config.cluster,
    )
