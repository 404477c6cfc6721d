"""Statistics, the cells: rows written partition by partition, so that no file holds them all.

A cell is written with the partition that it ends in; what waits are cells of one surface through
the volume.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import pandas as pd

from volkit.engine.op import Columns
from volkit.geometry import Box
from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.kernels.class_statistics import RANKS
from volkit.ops.statistics_distances import (
    distance_columns,
    distance_schema,
    joined,
    places,
    with_distances,
)
from volkit.ops.statistics_neighbours import PointStore
from volkit.ops.statistics_objects import object_frame, object_schema
from volkit.ops.statistics_totals import added, grouped, inside, sampled
from volkit.pipelines.statistics_chain import Inputs
from volkit.pipelines.statistics_config import Statistics
from volkit.pipelines.statistics_cut_cells import finished

Rows = Iterator[tuple[str, pd.DataFrame]]
_KEPT = ("id", "voxels", "at_border", "z", "y", "x", "z_nm", "y_nm", "x_nm", "region")
_SHOWN = 100_000  # cells in a figure
_ALL = 1 << 62
_AT_ONCE = 1 << 18  # cells that are added up together: their moments are larger than they are


@dataclass(frozen=True, slots=True)
class Cells:
    """What reports are made of.

    Parameters
    ----------
    totals : DataFrame
        Cells by region and bin, from :func:`volkit.ops.statistics_totals.grouped`.
    boxes : dict of str to DataFrame
        Those with their centroid in a box, by bins that begin with it.
    shown : DataFrame
        Some cells for a figure: all of them where there are few, or one partition.
    """

    totals: pd.DataFrame
    boxes: dict[str, pd.DataFrame]
    shown: pd.DataFrame


def write_cells(
    folder: Path,
    parts: Collection[tuple[Box, Columns]],
    inputs: Inputs,
    config: Statistics,
    provenance: Mapping[str, Any],
) -> Cells:
    """Write one row for each cell: ``cells.parquet``, or ``cells/part-….parquet``.

    Distances are columns of ``cells.parquet``; of several partitions they are known once all cells
    are, and are written to ``distances/part-….parquet``, with the rows of the file of the same
    name in ``cells``.  Memory does not grow with the number of cells, but that of a partition.

    Parameters
    ----------
    folder : Path
        Target.
    parts : collection of (Box, dict of ndarray)
        Tables of all partitions, in C order.
    inputs : Inputs
        What was measured.
    config : Statistics
        The options.
    provenance : mapping
        JSON.

    Returns
    -------
    Cells
    """
    apart = config.distances and len(parts) > 1
    rmtree(folder / "points", ignore_errors=True)  # of a run that was killed
    rows = _written(folder, parts, inputs, config, provenance)
    if apart:
        rows = _with_distances_apart(folder, rows, physical=inputs.physical, made=provenance)
    else:
        _only(folder, "distances", set())
    # One partition was in memory as a whole, so that all of it may be shown.
    most = _SHOWN if len(parts) > 1 else _ALL
    return _added_up(rows, inputs.grid.domain, config, most=most)


def _written(
    folder: Path,
    parts: Collection[tuple[Box, Columns]],
    inputs: Inputs,
    config: Statistics,
    provenance: Mapping[str, Any],
) -> Rows:
    """Write cells, partition by partition, and give what is needed of them."""
    alone = len(parts) == 1
    written = set()
    for name, objects, overlap in finished(parts, inputs.grid.domain):
        frame, schema = _rows(objects, overlap, inputs, config)
        if alone and config.distances:
            frame = with_distances(frame, physical=inputs.physical)
            schema = Schema((*schema.columns, *distance_schema(physical=inputs.physical)))
        path = folder / "cells.parquet" if alone else folder / "cells" / name
        write_table(path, frame, schema, provenance)
        written.add(path)
        yield name, frame[[*(c for c in _KEPT if c in frame), *distance_columns(frame)]]
    _only(folder, "cells", written)


def _with_distances_apart(
    folder: Path, rows: Rows, *, physical: bool, made: Mapping[str, Any]
) -> Rows:
    """Write the distances of cells, once the places of all of them are known, and give both."""
    schema = Schema(
        (Column("id", "uint64", "", "of the cell"), *distance_schema(physical=physical))
    )
    points = folder / "points"
    points.mkdir(parents=True)
    store, names = PointStore(points), []
    for name, frame in rows:
        store.add(places(frame, physical=physical))
        names.append(name)
    written = set()
    for name, distances in zip(names, store.distances(RANKS), strict=True):
        frame = joined(_read_back(folder / "cells" / name), distances, physical=physical)
        path = folder / "distances" / name
        write_table(path, frame[list(schema.names)], schema, made)
        written.add(path)
        yield name, frame
    rmtree(points)
    _only(folder, "distances", written)


def _read_back(path: Path) -> pd.DataFrame:
    frame, _, _ = read_table(path)
    return frame[[c for c in _KEPT if c in frame]]


def _only(folder: Path, kind: str, written: Collection[Path]) -> None:
    """Delete tables of other partitions: their cells would be met twice."""
    found = {*folder.glob(f"{kind}.parquet"), *folder.glob(f"{kind}/part-*.parquet")}
    for old in found - {*written}:
        old.unlink()


def _added_up(rows: Rows, domain: Box, config: Statistics, *, most: int) -> Cells:
    """Add cells up as they come."""
    boxes = {"": domain, **config.boxes}
    groups: dict[str, list[pd.DataFrame]] = {name: [] for name in boxes}
    shown: list[pd.DataFrame] = []
    for _, frame in rows:
        for first in range(0, len(frame) or 1, _AT_ONCE):
            part = frame.iloc[first : first + _AT_ONCE]
            for name, box in boxes.items():
                mine = part[inside(part, box)] if name else part
                _add(groups[name], grouped(mine, domain=box, bins=config.bins))
        shown = [sampled([*shown, frame], most=most)]
    totals = {name: added(found) for name, found in groups.items()}
    return Cells(totals.pop(""), totals, shown[0])


def _add(groups: list[pd.DataFrame], more: pd.DataFrame) -> None:
    """Put totals beside others, and add them all up when there are as many as were added before."""
    groups.append(more)
    if sum(map(len, groups[1:])) > max(len(groups[0]), _AT_ONCE):
        groups[:] = [added(groups)]


def _rows(
    objects: Columns, overlap: Columns | None, inputs: Inputs, config: Statistics
) -> tuple[pd.DataFrame, Schema]:
    """Make rows of the sums of cells, in units as far as they are known."""
    frame = object_frame(
        objects,
        domain=inputs.grid.domain,
        scale=inputs.scale,
        intensity_range=config.intensity_range,
        regions=overlap,
    )
    schema = object_schema(intensity="light" in objects, regions=overlap is not None)
    return (frame, schema) if inputs.physical else _without_nanometres(frame, schema)


def _without_nanometres(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, Schema]:
    """Drop the columns that need a voxel size; axes then have no unit and go with them."""
    kept = tuple(
        column
        for column in schema.columns
        if not column.unit.startswith("nm") and not column.name.startswith("direction_")
    )
    return frame[[column.name for column in kept]], Schema(kept)
