"""Statistics, the report: Datasets, tables and a density volume, with what they were made of."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from volkit.engine.op import Columns
from volkit.geometry import VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.tables import Column, Schema, write_table
from volkit.kernels.class_statistics import section_features
from volkit.kernels.section_cells import add_section_cells
from volkit.ops.statistics import table_of
from volkit.ops.statistics_branches import branch_frame
from volkit.ops.statistics_classes import named_counts, printed
from volkit.ops.statistics_dataset import density_volume, grid_dataset, profile_dataset
from volkit.ops.statistics_distances import distance_columns
from volkit.ops.statistics_profiles import region_profiles
from volkit.ops.statistics_regions import (
    cell_features,
    cell_intervals,
    class_fractions,
    region_frame,
)
from volkit.ops.statistics_shapes import shape_frame
from volkit.ops.vessel_graph import segment_frame
from volkit.pipelines.statistics_cells import Cells
from volkit.pipelines.statistics_chain import Gathered, Inputs
from volkit.pipelines.statistics_config import Statistics

Files = tuple[tuple[str, Path], ...]
_UNITS = {
    "_um2": "um^2",
    "_um3": "um^3",
    "_per_mm3": "1/mm^3",
    "_um": "um",
    "_nm": "nm",
    "_percent": "%",
    "voxels": "voxels",
    "pixels": "pixels",
}


def write_grids(
    folder: Path,
    gathered: Gathered,
    cells: Cells | None,
    inputs: Inputs,
    config: Statistics,
    provenance: Mapping[str, Any],
) -> tuple[xr.Dataset, Files]:
    """Write ``grid.zarr``, ``profile.zarr``, ``region_profiles.zarr`` and ``density.zarr``.

    The last is OME-Zarr, the others are for xarray.

    Parameters
    ----------
    folder : Path
        Target.
    gathered : Gathered
        The tables.
    cells : Cells or None
        Totals of all cells.
    inputs : Inputs
        What was measured.
    config : Statistics
        The options.
    provenance : mapping
        JSON.

    Returns
    -------
    dataset : xarray.Dataset
        Of all bins.
    files : tuple of (str, Path)
        What was written, by name.
    """
    tables = {"counts": _counts(gathered.tissue, config)}
    if config.shapes:
        tables["shapes"] = table_of(gathered.tissue, "shapes")
    scale = inputs.scale if inputs.physical else VoxelScale((1.0, 1.0, 1.0))
    domain = inputs.grid.domain
    dataset = grid_dataset(
        tables,
        classes=config.classes,
        bins=config.bins,
        domain=domain,
        scale=scale,
        cells=None if cells is None else cells.totals,
        provenance={"provenance": json.dumps(provenance, default=str)},
    )
    if not inputs.physical:
        for dim in dataset.coords:
            dataset[dim].attrs["units"] = "voxels"
    regions = region_profiles(
        tables["counts"],
        None if cells is None else cells.totals,
        classes=config.classes,
        bins=config.bins,
        domain=domain,
        scale=scale,
        names=config.regions,
        attributes=dataset.attrs,
    )
    if not inputs.physical:
        regions["z"].attrs["units"] = "voxels"
    files = []
    made = {"grid": dataset, "profile": profile_dataset(dataset), "region_profiles": regions}
    for name, values in made.items():
        values.to_zarr(folder / f"{name}.zarr", mode="w", consolidated=False)
        files.append((name, folder / f"{name}.zarr"))
    path = folder / "density.zarr"
    density_volume(path, dataset, bins=config.bins, domain=domain, scale=scale)
    return dataset, (*files, ("density", path))


def write_regions(
    folder: Path,
    gathered: Gathered,
    cells: Cells | None,
    inputs: Inputs,
    config: Statistics,
    provenance: Mapping[str, Any],
) -> tuple[pd.DataFrame, Files]:
    """Write ``regions.csv`` and what else is wanted of the whole.

    That is ``boxes.csv``, ``shapes.csv``, ``graph.csv`` with ``branches.parquet``, and
    ``sections.parquet``.

    Parameters
    ----------
    folder, gathered, cells, inputs, config, provenance
        As for :func:`write_grids`.

    Returns
    -------
    regions : DataFrame
        One row for each.
    files : tuple of (str, Path)
        What was written, by name.
    """
    counts = _counts(gathered.tissue, config)
    size = inputs.scale.voxel_size_nm if inputs.physical else (float("nan"),) * 3
    regions = region_frame(
        counts,
        None if cells is None else cells.totals,
        classes=config.classes,
        voxel_size_nm=size,
        interval=config.interval,
        names=config.regions,
    )
    frames = {"regions.csv": regions}
    if config.boxes:
        frames["boxes.csv"] = _box_frame(gathered, cells, size, config)
    if config.shapes:
        chosen = {name: config.classes[name] for name in config.shapes}
        frames["shapes.csv"] = shape_frame(
            table_of(gathered.tissue, "shapes"), counts, classes=chosen, voxel_size_nm=size
        )
    if gathered.branches is not None and config.branches.of is not None:
        volume = int(counts["voxels"].sum()) * _voxel_um3(size)
        frames["graph.csv"] = branch_frame(
            gathered.branches, name=config.branches.of, volume_um3=volume
        )
        frames["branches.parquet"] = segment_frame(gathered.branches)
    if config.sections:
        frames["sections.parquet"] = _section_frame(gathered, counts, inputs, config)
    for name, frame in frames.items():
        write_table(folder / name, frame, described(frame), provenance)
    return regions, tuple((name.partition(".")[0], folder / name) for name in frames)


def described(frame: pd.DataFrame) -> Schema:
    """Make the schema of a table whose columns end in their unit.

    Examples
    --------
    >>> described(pd.DataFrame({"distance_1_nm": [4.0]})).columns[0].unit
    'nm'
    """
    return Schema(
        tuple(
            Column(
                name,
                "str" if pd.api.types.is_string_dtype(frame[name]) else frame[name].dtype.name,
                next((unit for end, unit in _UNITS.items() if name.endswith(end)), ""),
            )
            for name in frame.columns
        )
    )


def _counts(tissue: Columns, config: Statistics) -> Columns:
    return named_counts(table_of(tissue, "counts"), config.classes, unknown=config.unknown)


def _box_frame(
    gathered: Gathered, cells: Cells | None, size: Vector, config: Statistics
) -> pd.DataFrame:
    """Compute fractions of classes in every box, and features of the cells with centroids there."""
    voxel_um3 = _voxel_um3(size)
    rows = []
    for name, (_, columns) in gathered.boxes.items():
        counts = _counts(columns, config)
        row: dict[str, Any] = {"box": name, "voxels": int(counts["voxels"].sum())}
        row.update(class_fractions(counts, config.classes, config.interval))
        if cells is not None:
            mine = cells.boxes[name]
            row.update(cell_features(mine, voxels=row["voxels"], voxel_um3=voxel_um3))
            if config.interval.level:
                row.update(
                    cell_intervals(mine, counts, voxel_um3=voxel_um3, interval=config.interval)
                )
        rows.append(row)
    return pd.DataFrame(rows).astype({"box": "str"})


def _voxel_um3(size: Vector) -> float:
    z, y, x = (extent / 1000 for extent in size)
    return z * y * x


def _section_frame(
    gathered: Gathered, counts: Columns, inputs: Inputs, config: Statistics
) -> pd.DataFrame:
    """Compute the features of tiles of sections, in micrometres, or pixels as published."""
    in_um = inputs.physical and config.mode == "corrected"
    _, y, x = (v / 1000 for v in inputs.scale.voxel_size_nm) if in_um else (1.0, 1.0, 1.0)
    merged = add_section_cells([table_of(part, "sections") for _, part in gathered.parts])
    found = section_features(
        counts,
        merged,
        classes=config.classes,
        tile=(config.bins[1], config.bins[2]),
        mode=config.mode,
        pixel_size=(y, x),
    )
    frame = pd.DataFrame(found)
    if in_um:
        frame["cell_area_um2"] = frame["cell_size"] * (y * x)
    unit = "_um" if in_um else "_pixels"
    names = {name: f"{name}{unit}" for name in distance_columns(frame)}
    return frame.rename(columns={"cell_size": "cell_size_pixels", **names})


def summary(
    regions: pd.DataFrame, cells: Cells | None, config: Statistics
) -> list[tuple[str, str, str]]:
    """List what a person wants to see first: name, value and meaning."""
    total = regions["voxels"].sum()
    rows = [("classes", printed(config.classes), "labels that have a name")]
    for name in config.classes:
        share = (regions[f"{name}_fraction"].fillna(0) * regions["voxels"]).sum() / total
        meaning = "of the voxels" if share else "no voxel has this label"
        rows.append((name, f"{100 * share:.3f} %", meaning))
    if cells is not None:
        totals = cells.totals
        count, border = int(totals["cells"].sum()), int(totals["at_border"].sum())
        rows.append(("cells", f"{count:,}", f"{border:,} at the border of the volume"))
        if count:
            mean = int(totals["voxels"].sum()) / count
            rows.append(("cell size", f"{mean:,.1f}", "voxels, mean"))
    return rows
