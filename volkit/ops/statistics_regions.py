"""Features of regions: classes and cells of every region, box or whole, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.geometry.scale import Vector
from volkit.kernels.bootstrap import ratio_interval
from volkit.kernels.class_counts import BINS
from volkit.kernels.exact_moments import length_deviation, mean_length
from volkit.ops.statistics_distances import distance_columns, laid_sums, moments_of
from volkit.ops.statistics_totals import counted, deviation

_NM_PER_UM = 1000.0
_UM3_PER_MM3 = 1e9


@dataclass(frozen=True, slots=True)
class Interval:
    """How intervals of confidence are found: by drawing blocks of bins with replacement.

    Parameters
    ----------
    bins : tuple of int
        Bins that make a block, (z, y, x); blocks should be larger than what they are filled with.
    level : float
        Of confidence; 0 leaves intervals out.
    draws, seed : int
        How often blocks are drawn, and of which sequence.
    """

    bins: tuple[int, int, int] = (16, 1, 1)
    level: float = 0.95
    draws: int = 1000
    seed: int = 0


def region_frame(
    counts: Columns,
    cells: pd.DataFrame | None,
    *,
    classes: Mapping[str, int],
    voxel_size_nm: Vector,
    interval: Interval,
    names: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Compute the features of every region.

    Parameters
    ----------
    counts : dict of ndarray
        From :func:`volkit.kernels.class_counts.class_counts`.
    cells : DataFrame or None
        With distances, and ``region`` where there are regions; with their bins (``z_bin`` and so
        on) there are intervals of them, too.
    classes : mapping of str to int
        Labels by name.
    voxel_size_nm : tuple of float
        (z, y, x).
    interval : Interval
        Of fractions, and of density, size and distances of cells.
    names : mapping of str to int, optional
        Ids of regions by name: these get a row even where there is no voxel of them.

    Returns
    -------
    DataFrame
        ``region``, ``name``, ``voxels``; ``NAME_fraction``, ``_low``, ``_high`` of every class;
        with cells ``cells``, ``cells_at_border``, ``cells_per_mm3``, means and deviations of
        ``cell_voxels``, ``cell_volume_um3`` and of distances in the unit of their columns, and
        ``_low`` and ``_high`` of ``cells_per_mm3``, ``cell_voxels`` and distances.  NaN where
        nothing can be said: no voxel, no cell, no neighbour.
    """
    ids = {int(x): str(x) for x in np.unique(counts["region"])}
    ids.update({int(label): name for name, label in (names or {}).items()})
    voxel_um3 = float(np.prod(voxel_size_nm)) / _NM_PER_UM**3
    totals = None if cells is None else counted(cells)
    rows = []
    for region, name in sorted(ids.items()):
        mine = counts["region"] == region
        part = {key: column[mine] for key, column in counts.items()}
        row: dict[str, float | int | str] = {"region": region, "name": name}
        row["voxels"] = int(part["voxels"].sum())
        row.update(class_fractions(part, classes, interval))
        if totals is not None:
            own = totals if "region" not in totals else totals[totals["region"] == region]
            row.update(cell_features(own, voxels=int(row["voxels"]), voxel_um3=voxel_um3))
            if interval.level and {*BINS} <= {*own}:
                row.update(cell_intervals(own, part, voxel_um3=voxel_um3, interval=interval))
        rows.append(row)
    return pd.DataFrame(rows).astype({"region": "uint64", "name": "str"})


def class_fractions(
    counts: Columns, classes: Mapping[str, int], interval: Interval
) -> dict[str, float]:
    """Compute the fraction of every class in some bins, with its interval.

    Parameters
    ----------
    counts : dict of ndarray
        Of the bins.
    classes : mapping of str to int
        Labels by name.
    interval : Interval
        How.

    Returns
    -------
    dict of str to float
        NaN where there is no voxel.
    """
    total = int(counts["voxels"].sum())
    blocks = np.stack(
        [counts[name] // n for name, n in zip(BINS, interval.bins, strict=True)], axis=1
    )
    found_blocks, row = np.unique(blocks, axis=0, return_inverse=True)
    row = row.reshape(-1)
    below = _summed(row, counts["voxels"], len(found_blocks))
    found = {}
    for name, label in classes.items():
        mine = counts["label"] == label
        above = _summed(row[mine], counts["voxels"][mine], len(found_blocks))
        found[f"{name}_fraction"] = int(above.sum()) / total if total else float("nan")
        if interval.level:
            low, high = ratio_interval(
                above, below, level=interval.level, draws=interval.draws, seed=interval.seed
            )
            found[f"{name}_fraction_low"], found[f"{name}_fraction_high"] = low, high
    return found


def cell_features(cells: pd.DataFrame, *, voxels: int, voxel_um3: float) -> dict[str, float | int]:
    """Summarise some cells.

    Parameters
    ----------
    cells : DataFrame
        Rows of cells or of :func:`volkit.ops.statistics_totals.grouped`; none is no error.
    voxels : int
        Of the region that holds them.
    voxel_um3 : float
        Volume of a voxel, cubic micrometres; NaN where it is not known.

    Returns
    -------
    dict of str to number
    """
    volume = voxels * voxel_um3
    totals = counted(cells)
    count = int(totals["cells"].sum())
    found: dict[str, float | int] = {
        "cells": count,
        "cells_at_border": int(totals["at_border"].sum()),
        "cells_per_mm3": _UM3_PER_MM3 * count / volume if volume else float("nan"),
        "cell_voxels": int(totals["voxels"].sum()) / count if count else float("nan"),
        "cell_voxels_sd": deviation(totals),
    }
    found["cell_volume_um3"] = found["cell_voxels"] * voxel_um3
    for name in distance_columns(totals):
        table = moments_of(totals, name)
        found[name], found[f"{name}_sd"] = mean_length(table), length_deviation(table)
    return found


def cell_intervals(
    cells: pd.DataFrame, counts: Columns, *, voxel_um3: float, interval: Interval
) -> dict[str, float]:
    """Find the intervals of density, mean size and mean distances of some cells.

    Parameters
    ----------
    cells : DataFrame
        With the bins of their centroids, counted from where those of the tissue are.
    counts : dict of ndarray
        Of the tissue that they lie in.
    voxel_um3 : float
        Volume of a voxel, cubic micrometres.
    interval : Interval
        How.

    Returns
    -------
    dict of str to float
        NaN where there are fewer than two blocks.
    """
    totals = counted(cells)
    blocks = [
        np.stack(
            [np.asarray(table[name]) // n for name, n in zip(BINS, interval.bins, strict=True)],
            axis=1,
        )
        for table in (counts, totals)
    ]
    found_blocks, row = np.unique(np.concatenate(blocks), axis=0, return_inverse=True)
    of_counts, of_cells = np.split(row.reshape(-1), [len(blocks[0])])
    size = len(found_blocks)
    tissue = _summed(of_counts, counts["voxels"], size)
    number, voxels = (
        _summed(of_cells, totals[name].to_numpy(), size) for name in ("cells", "voxels")
    )
    ratios = [
        ("cells_per_mm3", number, tissue, _UM3_PER_MM3 / voxel_um3),
        ("cell_voxels", voxels, number, 1.0),
        *(
            (name, *laid_sums(totals, name, (of_cells,), (size,)), 1.0)
            for name in distance_columns(totals)
        ),
    ]
    found = {}
    for name, above, below, unit in ratios:
        low, high = ratio_interval(
            above, below, level=interval.level, draws=interval.draws, seed=interval.seed
        )
        found[f"{name}_low"], found[f"{name}_high"] = low * unit, high * unit
    return found


def _summed(row: NDArray[np.intp], values: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    sums = np.zeros(size, np.int64)
    np.add.at(sums, row, values)
    return sums
