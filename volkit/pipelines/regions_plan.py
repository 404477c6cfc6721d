"""Plan of ``regions``: how many tiles are read, and how often encoders see them."""

from collections.abc import Iterable
from math import prod

from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.regions_config import Regions
from volkit.training.region_options import UNSCHOOLED

_FLOAT_BYTES = 4
# A ResNet-18 that learns keeps so many floats for each pixel and each channel of its first stage.
_FLOATS_PER_PIXEL = 32
_WEIGHT_COPIES = 4  # weights, gradients, momentum, and the copy that follows


def plan(config: Regions) -> Plan:
    """Say what a study will read, compute and need.

    Parameters
    ----------
    config : Regions
        The workflow.

    Returns
    -------
    Plan
        Its domain are the tiles, one upon the other.

    Raises
    ------
    SourceError
        If the image cannot be opened.
    GeometryError
        If a box leaves it.
    ConfigError
        If no box holds a tile.
    """
    told = config.input
    image = open_volume(told.image, level=told.level)
    boxes = [box for part in (told.learn, told.judge) for own in part.values() for box in own]
    for box in boxes:
        if not image.domain.contains(box):
            raise GeometryError(
                f"box {box} leaves the volume {image.uri}, which covers {image.domain}"
            )
    learn, judge = (
        sum(_tiles((box for own in part.values() for box in own), told.tile))
        for part in (told.learn, told.judge)
    )
    if not learn or not judge:
        raise ConfigError(
            f"{learn} tiles of {told.tile} to learn from and {judge} to be judged by; give boxes "
            "that hold some of each"
        )
    voxels = sum(box.size for box in boxes)
    kept = voxels * image.dtype.itemsize + _FLOAT_BYTES * (learn + judge) * _pixels(config)
    shape = (learn + judge, *told.tile)
    reading = StagePlan(
        name="tiles",
        blocks=len(boxes),
        voxels=prod(shape),
        voxels_read=voxels,
        bytes_read=voxels * image.dtype.itemsize,
        bytes_written=0,
        memory_bytes=process_bytes() + kept,
    )
    return Plan(
        grid=Grid(Box.from_shape(shape), (1, *told.tile)),
        stages=(reading, _encoders(config, learn, judge, kept)),
        workers=0,
        memory_bytes=None,
        advice=("encoders that a run before has judged are not trained again",),
    )


def _encoders(config: Regions, learn: int, judge: int, kept: int) -> StagePlan:
    study, size = config.study, config.study.encoder
    schooled = sum(method not in UNSCHOOLED for method in study.methods)
    untrained = "random" in study.methods
    seeds, batch = len(study.seeds), min(study.schooling.batch, learn)
    seen = schooled * (study.schooling.epochs * learn + judge) + untrained * (learn + judge)
    seen *= seeds
    floats = 2 * batch * _pixels(config) * _FLOATS_PER_PIXEL * size.widths[0]
    weights = _WEIGHT_COPIES * sum(
        18 * width**2 * blocks for width, blocks in zip(size.widths, size.blocks, strict=True)
    )
    return StagePlan(
        name="encoders",
        blocks=len(study.methods) * seeds,
        voxels=(learn + judge) * _pixels(config),
        voxels_read=(learn + judge) * _pixels(config),
        bytes_read=0,
        bytes_written=0,
        memory_bytes=process_bytes() + kept + _FLOAT_BYTES * (floats + weights),
        passes=seen,
        least_passes=seen,
    )


def _tiles(boxes: Iterable[Box], tile: tuple[int, int]) -> Iterable[int]:
    for box in boxes:
        depth, height, width = box.shape
        yield depth * (height // tile[0]) * (width // tile[1])


def _pixels(config: Regions) -> int:
    side = config.study.side
    return side**2 if side else prod(config.input.tile)
