"""Distances between cells: columns of every cell, and sums of them that add up exactly.

In totals the column of rank k, ``distance_k_nm`` or ``distance_k``, is replaced by its moments:
``distance_k_nm:known`` and so on, one for each of :data:`volkit.kernels.exact_moments.MOMENTS`.
"""

from collections.abc import Hashable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.io.tables import Column
from volkit.kernels.class_statistics import RANKS
from volkit.kernels.exact_moments import HIGH, KNOWN, LOW, MOMENTS, carry, lengths_of, moments
from volkit.kernels.nearest import neighbour_distances

_OF = ":"


def with_distances(cells: pd.DataFrame, *, physical: bool) -> pd.DataFrame:
    """Add the distances of every cell to its nearest others, anywhere in the volume.

    Parameters
    ----------
    cells : DataFrame
        As :func:`volkit.ops.statistics_objects.object_frame` makes it.
    physical : bool
        Nanometres (``distance_1_nm``), else voxels (``distance_1``).

    Returns
    -------
    DataFrame
    """
    found = neighbour_distances(places(cells, physical=physical), ranks=RANKS)
    return joined(cells, found, physical=physical)


def places(cells: pd.DataFrame, *, physical: bool) -> NDArray[np.float64]:
    """Give the centroids of cells, shape (N, 3), in the unit of their distances."""
    found: NDArray[np.float64] = cells[[f"{axis}{_unit(physical)}" for axis in "zyx"]].to_numpy()
    return found


def joined(cells: pd.DataFrame, distances: NDArray[np.float64], *, physical: bool) -> pd.DataFrame:
    """Give cells their distances, shape (N, 3), as columns."""
    names = distance_names(physical=physical)
    return cells.assign(**{name: distances[:, i] for i, name in enumerate(names)})


def distance_names(*, physical: bool) -> list[str]:
    """Name the columns of distances of all ranks."""
    return [f"distance_{k}{_unit(physical)}" for k in RANKS]


def distance_schema(*, physical: bool) -> tuple[Column, ...]:
    """Say what the columns of distances are."""
    unit = "nm" if physical else "voxels"
    return tuple(
        Column(name, "float64", unit, "to the k-th nearest other centroid")
        for name in distance_names(physical=physical)
    )


def distance_columns(frame: Iterable[Hashable]) -> list[str]:
    """List the columns of distances between cells; those that moments stand for, too.

    Examples
    --------
    >>> distance_columns(["id", "distance_1_nm:known", "distance_1_nm:low"])
    ['distance_1_nm']
    """
    names = (str(name) for name in frame)
    return list(dict.fromkeys(n.partition(_OF)[0] for n in names if n.startswith("distance_")))


def distance_attributes(name: str) -> dict[str, str]:
    """Say in words what a column of distances holds, for means of it in a Dataset."""
    rank = name.removesuffix("_nm").rpartition("_")[2]
    unit = "nm" if name.endswith("_nm") else "voxels"
    return {"units": unit, "long_name": f"mean distance to nearest other cell number {rank}"}


def moment_columns(cells: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Make the moments of the distances of single cells, by the name of their columns."""
    return {
        f"{name}{_OF}{moment}": column
        for name in distance_columns(cells)
        for moment, column in moments(cells[name].to_numpy(np.float64)).items()
    }


def moments_of(totals: pd.DataFrame, name: str) -> dict[str, NDArray[np.int64]]:
    """Take the moments of one rank out of totals."""
    return {moment: totals[f"{name}{_OF}{moment}"].to_numpy() for moment in MOMENTS}


def carried(totals: pd.DataFrame) -> pd.DataFrame:
    """Carry the digits of all moments, after rows were added up."""
    return totals.assign(
        **{
            f"{name}{_OF}{moment}": column
            for name in distance_columns(totals)
            for moment, column in carry(moments_of(totals, name)).items()
        }
    )


def laid_mean(
    totals: pd.DataFrame,
    name: str,
    place: tuple[NDArray[np.intp], ...],
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """Average the distances of one rank wherever they lie.

    Parameters
    ----------
    totals : DataFrame
        With moments.
    name : str
        Column of the rank.
    place : tuple of ndarray of int
        Of every row.
    shape : tuple of int
        Of what is made.

    Returns
    -------
    ndarray of float64
        NaN where there is none.
    """
    total, count = laid_sums(totals, name, place, shape)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = total / count
    return mean


def laid_sums(
    totals: pd.DataFrame,
    name: str,
    place: tuple[NDArray[np.intp], ...],
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Add the distances of one rank up wherever they lie, and count them."""
    table = moments_of(totals, name)
    sums = {moment: np.zeros(shape, np.int64) for moment in (KNOWN, LOW, HIGH)}
    for moment, laid in sums.items():
        np.add.at(laid, place, table[moment])
    return lengths_of(sums[LOW], sums[HIGH]), sums[KNOWN]


def _unit(physical: bool) -> str:
    return "_nm" if physical else ""
