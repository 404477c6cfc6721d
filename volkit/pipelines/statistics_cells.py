"""Statistics, the cells: rows written partition by partition, so that no file holds them all.

A cell inside a partition is finished with it; cells at inner faces wait until all partitions that
may hold parts of them were seen.  What waits are cells of one surface through the volume.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.geometry import Box
from volkit.io.tables import Column, Schema, write_table
from volkit.kernels.keyed_sums import add_keyed
from volkit.kernels.object_table import STARTS, STOPS, add_objects
from volkit.ops.statistics import table_of
from volkit.ops.statistics_objects import object_frame, object_schema
from volkit.ops.statistics_regions import distance_columns, with_distances
from volkit.ops.statistics_totals import added, grouped, sampled
from volkit.pipelines.statistics_chain import Inputs
from volkit.pipelines.statistics_config import Statistics

Part = tuple[Columns, Columns | None]
_KEPT = ("id", "voxels", "at_border", "z", "y", "x", "z_nm", "y_nm", "x_nm", "region")
_SHOWN = 100_000  # cells in a figure


def write_cells(
    folder: Path,
    parts: Collection[tuple[Box, Columns]],
    inputs: Inputs,
    config: Statistics,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write one row for each cell: ``cells.parquet``, or ``cells/part-….parquet``.

    Of several partitions without distances, only totals and a sample are kept: memory does not
    grow with the number of cells.

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
    cells : DataFrame
        What features of regions are made of: all cells, by id, or totals of them.
    shown : DataFrame
        What a figure shows: all cells, or a sample.
    """
    alone = len(parts) == 1
    kept: list[pd.DataFrame] = []
    shown: list[pd.DataFrame] = []
    written = set()
    for name, objects, overlap in finished(parts, inputs.grid.domain):
        frame, schema = _rows(objects, overlap, inputs, config)
        if alone and config.distances:
            frame = with_distances(frame, physical=inputs.physical)
            schema = _with_distances(schema, frame)
        path = folder / "cells.parquet" if alone else folder / "cells" / name
        write_table(path, frame, schema, provenance)
        written.add(path)
        rows = frame[[*(c for c in _KEPT if c in frame), *distance_columns(frame)]]
        if alone or config.distances:
            kept.append(rows)
            continue
        totals = grouped(rows, domain=inputs.grid.domain, bins=config.bins, boxes=config.boxes)
        kept = [added([*kept, totals])]
        shown = [sampled([*shown, rows], most=_SHOWN)]
    for old in {*folder.glob("cells.parquet"), *folder.glob("cells/part-*.parquet")} - written:
        old.unlink()  # of other partitions: its cells would be met twice
    if shown:
        return kept[0], shown[0]
    cells = pd.concat(kept, ignore_index=True).sort_values("id", ignore_index=True)
    if config.distances and not alone:
        cells = _apart(folder, cells, inputs, provenance)
    return cells, cells


def _apart(
    folder: Path, cells: pd.DataFrame, inputs: Inputs, provenance: Mapping[str, Any]
) -> pd.DataFrame:
    """Write the distances of cells to a table of their own, ``distances.parquet``."""
    cells = with_distances(cells, physical=inputs.physical)
    near = cells[["id", *distance_columns(cells)]]
    schema = _with_distances(Schema((Column("id", "uint64", "", "of the cell"),)), near)
    write_table(folder / "distances.parquet", near, schema, provenance)
    return cells


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


def finished(
    parts: Iterable[tuple[Box, Columns]], domain: Box
) -> Iterator[tuple[str, Columns, Columns | None]]:
    """Give, with each partition, the cells that end there: none of them goes on in a later one.

    Cells that reach a face inside the domain wait until the last partition beside their box.

    Parameters
    ----------
    parts : iterable of (Box, dict of ndarray)
        Tables of all partitions, in C order.
    domain : Box
        The whole.

    Yields
    ------
    name : str
        Of a file.
    objects : dict of ndarray
        Sums of cells.
    overlap : dict of ndarray or None
        Voxels of the same cells in every region.
    """
    waiting: list[Part] = []
    for number, (box, columns) in enumerate(parts):
        objects = table_of(columns, "objects")
        overlap = table_of(columns, "overlap") if "overlap.id" in columns else None
        on = _goes_on(objects, box, domain)
        if on.any():
            waiting.append(_chosen(objects, overlap, on))
        ended, waiting = _ended(waiting, box, domain)
        own = _chosen(objects, overlap, ~on)
        yield f"part-{number:05d}.parquet", *(_joined([own, *ended]) if ended else own)


def _ended(waiting: list[Part], box: Box, domain: Box) -> tuple[list[Part], list[Part]]:
    """Tell the cells of which every part was seen, once a partition was, from the others."""
    if not waiting:
        return [], []
    ids = np.concatenate([objects["id"] for objects, _ in waiting])
    over = np.concatenate([_all_seen(objects, box, domain) for objects, _ in waiting])
    over[over] = ~np.isin(ids[over], ids[~over])  # another part of it may go on
    ended, others = [], []
    lengths = np.cumsum([len(objects["id"]) for objects, _ in waiting])
    for part, rows in zip(waiting, np.split(over, lengths[:-1]), strict=True):
        if rows.all():
            ended.append(part)
        elif rows.any():
            ended.append(_chosen(*part, rows))
            others.append(_chosen(*part, ~rows))
        else:
            others.append(part)
    return ended, others


def _all_seen(objects: Columns, box: Box, domain: Box) -> NDArray[np.bool_]:
    """Tell which boxes, and the voxels around them, lie in a partition and those before it."""
    z, y, x = (np.minimum(objects[STOPS[k]], domain.stop[k] - 1) for k in range(3))
    row: NDArray[np.bool_] = (y < box.start[1]) | ((y < box.stop[1]) & (x < box.stop[2]))
    seen: NDArray[np.bool_] = (z < box.start[0]) | ((z < box.stop[0]) & row)
    return seen


def _joined(parts: Sequence[Part]) -> Part:
    overlaps = [table for _, table in parts if table is not None]
    joined = add_keyed(overlaps, keys=("id", "region")) if overlaps else None
    return add_objects([table for table, _ in parts]), joined


def _goes_on(objects: Columns, box: Box, domain: Box) -> NDArray[np.bool_]:
    """Tell which cells reach a face of the partition that lies inside the domain."""
    found = np.zeros(len(objects["id"]), bool)
    for axis in range(3):
        if box.start[axis] > domain.start[axis]:
            found |= objects[STARTS[axis]] == box.start[axis]
        if box.stop[axis] < domain.stop[axis]:
            found |= objects[STOPS[axis]] == box.stop[axis]
    return found


def _chosen(objects: Columns, overlap: Columns | None, rows: NDArray[np.bool_]) -> Part:
    part = {name: column[rows] for name, column in objects.items()}
    if overlap is None:
        return part, None
    mine = np.isin(overlap["id"], part["id"])
    return part, {name: column[mine] for name, column in overlap.items()}


def _without_nanometres(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, Schema]:
    """Drop the columns that need a voxel size; axes then have no unit and go with them."""
    kept = tuple(
        column
        for column in schema.columns
        if not column.unit.startswith("nm") and not column.name.startswith("direction_")
    )
    return frame[[column.name for column in kept]], Schema(kept)


def _with_distances(schema: Schema, frame: pd.DataFrame) -> Schema:
    added = distance_columns(frame)
    unit = "nm" if added and added[0].endswith("_nm") else "voxels"
    return Schema(
        (
            *schema.columns,
            *(
                Column(name, "float64", unit, "to the k-th nearest other centroid")
                for name in added
            ),
        )
    )
