"""Statistics, the chain: volumes that are measured, and the stages that gather their tables."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.op import Columns
from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.geometry import Box, Grid, VoxelScale
from volkit.io.open import open_volume
from volkit.io.stated_size import same_size, says_size, sized_alike
from volkit.io.volume import Volume
from volkit.ops.statistics import Tables, tissue_tables
from volkit.ops.statistics_branches import class_graph
from volkit.ops.statistics_cells import class_components
from volkit.ops.vessel_graph import VesselOptions
from volkit.pipelines.statistics_config import Statistics


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is measured.

    Parameters
    ----------
    volumes : dict of str to Volume
        By role.
    grid : Grid
        Domain and blocks.
    scale : VoxelScale
        Where voxels lie.
    physical : bool
        Whether anybody stated the voxel size: without, lengths are in voxels.
    """

    volumes: dict[str, Volume]
    grid: Grid
    scale: VoxelScale
    physical: bool


@dataclass(frozen=True, slots=True)
class Partitions(Collection[tuple[Box, Columns]]):
    """Tables of the cells of each partition, one at a time: gathered when it is asked for.

    Parameters
    ----------
    volumes : dict of str to Volume
        By role.
    tables : Tables
        Which.
    grid : Grid
        Of the whole.
    config : Statistics
        The options.
    engine : Engine
        Where.
    """

    volumes: dict[str, Any]
    tables: Tables
    grid: Grid
    config: Statistics
    engine: Engine

    def _pieces(self) -> Grid:
        return Grid(self.grid.domain, self.config.partition or self.grid.domain.shape)

    def __len__(self) -> int:
        return len(self._pieces())

    def __contains__(self, part: object) -> bool:
        return any(part is own for own in self)

    def __iter__(self) -> Iterator[tuple[Box, Columns]]:
        for part in self._pieces():
            found = tissue_tables(
                self.volumes,
                self.tables,
                grid=Grid(part.write, self.config.block_shape),
                engine=self.engine,
                name=f"cells_{part.number:05d}",
            )
            yield part.write, found


@dataclass(frozen=True, slots=True)
class Gathered:
    """Tables of a volume.

    Parameters
    ----------
    tissue : dict of ndarray
        Of all classes, and of the cells where these are in one partition.
    cells : Volume or None
        Ids of the cells.
    parts : Partitions or tuple of (Box, dict of ndarray)
        Tables of the cells of each partition.
    boxes : dict of str to (Box, dict of ndarray)
        Tables of the classes of each box.
    branches : dict of ndarray or None
        Graph of a class.
    """

    tissue: Columns
    cells: Any
    parts: Collection[tuple[Box, Columns]] = ()
    boxes: dict[str, tuple[Box, Columns]] = field(default_factory=dict)
    branches: Columns | None = None


def open_inputs(config: Statistics) -> Inputs:
    """Open what a workflow names, and check that it fits together.

    Raises
    ------
    SourceError
        If a volume cannot be opened.
    GeometryError
        If a volume or a box does not fit.
    ContractError
        If labels are no integers.
    ConfigError
        If surface or branches are asked for, and nobody knows the voxel size.
    """
    told = config.input
    names = {
        "classes": told.classes,
        "cells": told.cells,
        "regions": told.regions,
        "image": told.image,
    }
    found = {
        role: open_volume(uri, level=told.level, voxel_size_nm=told.voxel_size_nm)
        for role, uri in names.items()
        if uri is not None
    }
    volumes = sized_alike(found)
    first = next(iter(volumes.values()))
    domain = told.box or first.domain
    for role, volume in volumes.items():
        if not volume.domain.contains(domain) or volume.channels is not None:
            raise GeometryError(
                f"input.{role} {volume.uri} covers {volume.domain} with "
                f"{volume.channels or 'no'} channels, the domain is {domain}; give volumes of the "
                "same voxels without channels, or an input.box that all cover"
            )
        if not same_size(volume, first):
            raise GeometryError(
                f"input.{role} {volume.uri} has voxels of {volume.voxel_size_nm} nm, {first.uri} "
                f"of {first.voxel_size_nm} nm; give volumes of the same voxels, or say their size "
                "as input.voxel_size_nm"
            )
        _check_type(role, volume, config)
    for name, box in config.boxes.items():
        if not domain.contains(box) or not box.size:
            raise GeometryError(f"boxes.{name} {box} is not inside the domain {domain}")
    physical = says_size(first)
    if (config.shapes or config.branches.of) and not physical:
        raise ConfigError(
            f"{first.uri} does not say its voxel size, nor does any other input, and without it "
            "there is no surface or length; give input.voxel_size_nm"
        )
    return Inputs(volumes, Grid(domain, config.block_shape), first.scale, physical)


def _check_type(role: str, volume: Volume, config: Statistics) -> None:
    """Refuse at once what every block would refuse.

    Raises
    ------
    ContractError
        If labels are no integers, or intensities would not add up exactly.
    """
    if role != "image" and volume.dtype.kind not in "uib":
        raise ContractError(
            f"input.{role} {volume.uri} holds {volume.dtype}, which are not ids; give integers"
        )
    plain = volume.dtype.kind in "uib" and volume.dtype.itemsize <= 2
    if role == "image" and not plain and config.intensity_range is None:
        raise ContractError(
            f"input.image {volume.uri} holds {volume.dtype}, whose sums would depend on the order "
            "of adding; give intensity_range, its lowest and highest value"
        )


def gather(inputs: Inputs, config: Statistics, engine: Engine) -> Gathered:
    """Compose the chain: the same for a job and a plan.

    Parameters
    ----------
    inputs : Inputs
        From :func:`open_inputs`.
    config : Statistics
        The options.
    engine : Engine
        Where.

    Returns
    -------
    Gathered
    """
    volumes: dict[str, Any] = dict(inputs.volumes)
    grid = inputs.grid
    if config.cell_class is not None:
        volumes["cells"] = class_components(
            volumes["classes"],
            [config.classes[config.cell_class]],
            connectivity=config.connectivity,
            grid=grid,
            engine=engine,
        )
    branches = _branches(inputs, config, engine)
    cells = volumes.get("cells")
    tables = Tables(
        bins=config.bins,
        shapes=tuple(config.classes[name] for name in config.shapes),
        tile=(config.bins[1], config.bins[2]) if config.sections else None,
        intensity_range=config.intensity_range,
        origin=grid.domain.start,
    )
    if cells is None:
        volumes.pop("image", None)  # of which only cells have an intensity
    boxes = dict(_boxes(volumes, config, engine))
    if config.partition is None or cells is None:
        tissue = tissue_tables(volumes, tables, grid=grid, engine=engine)
        whole = ((grid.domain, tissue),) if cells is not None else ()
        return Gathered(tissue, cells, whole, boxes, branches)
    rest = {role: v for role, v in volumes.items() if role in ("classes", "regions")}
    tissue = (
        tissue_tables(rest, replace(tables, tile=None), grid=grid, engine=engine)
        if "classes" in rest
        else {}
    )
    apart = {role: v for role, v in volumes.items() if role in ("cells", "regions", "image")}
    parts = Partitions(apart, tables, grid, config, engine)
    return Gathered(tissue, cells, parts, boxes, branches)


def _branches(inputs: Inputs, config: Statistics, engine: Engine) -> Columns | None:
    """Make the graph of the class that is named, if one is."""
    told = config.branches
    if told.of is None:
        return None
    columns: Columns = class_graph(
        inputs.volumes["classes"],
        config.classes[told.of],
        options=VesselOptions(halo=told.halo, spurs=told.spurs),
        voxel_size_nm=inputs.scale.voxel_size_nm,
        grid=inputs.grid,
        engine=engine,
    ).columns
    return columns


def _boxes(
    volumes: dict[str, Any], config: Statistics, engine: Engine
) -> Iterator[tuple[str, tuple[Box, Columns]]]:
    """Count the classes of every box; boxes may overlap."""
    if "classes" not in volumes:
        return
    for name, box in config.boxes.items():
        yield (
            name,
            (
                box,
                tissue_tables(
                    {"classes": volumes["classes"]},
                    Tables(config.bins, origin=box.start),
                    grid=Grid(box, config.block_shape),
                    engine=engine,
                    name=f"box_{name}",
                ),
            ),
        )
