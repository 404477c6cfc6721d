"""What a pipeline must find in synthetic tissue: exact numbers, gathered block by block.

Cells are taken from their list and drawn one by one, which is another way than labelling the
volume; classes are counted block by block.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from volkit.geometry import Box, Coord, Grid
from volkit.testing.tissue import CLASSES, REGIONS, TissueSpecimen
from volkit.testing.tissue_objects import LARGEST_CELL

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TissueTruth:
    """Exact numbers of a specimen.

    Parameters
    ----------
    counts : dict of str to ndarray of int64, shape (4,)
        Voxels by region, in the order of `volkit.testing.tissue.REGIONS`: ``background`` and each
        of `volkit.testing.tissue.CLASSES`.
    voxels : ndarray of int64, shape (N,)
        Voxels of every cell inside the volume; cells that lie beyond it are not listed.
    centroid : ndarray of float64, shape (N, 3)
        Means of the voxels of every cell, (z, y, x), voxels.
    region : ndarray of int64, shape (N,)
        Id of the region that holds most voxels of the cell, the lowest where several do.
    nearest : ndarray of float64, shape (N, 3)
        Distances to the centroids of the first, second and third nearest other cell, micrometres;
        infinite where there are fewer.
    """

    counts: dict[str, NDArray[np.int64]]
    voxels: NDArray[np.int64]
    centroid: Floats
    region: NDArray[np.int64]
    nearest: Floats

    def fraction(self, name: str) -> Floats:
        """Give the share of a class by region, shape (4,)."""
        return np.asarray(self.counts[name] / sum(self.counts.values()))


def tissue_truth(specimen: TissueSpecimen, *, block: Coord = (64, 64, 64)) -> TissueTruth:
    """Count what is in a specimen.

    Parameters
    ----------
    specimen : TissueSpecimen
        The tissue.
    block : tuple of int
        Voxels in memory at once; the numbers do not depend on it.

    Returns
    -------
    TissueTruth

    Examples
    --------
    >>> truth = tissue_truth(TissueSpecimen((16, 32, 64), seed=1))
    >>> int(sum(truth.counts.values()).sum()), int(truth.counts["cell"].sum() - truth.voxels.sum())
    (32768, 0)
    """
    names = ("background", *CLASSES)
    ids = list(REGIONS.values())
    counts = np.zeros((len(ids), len(names)), np.int64)
    for piece in Grid(Box.from_shape(specimen.shape), block):
        labels, regions = specimen.labels(piece.write), specimen.regions(piece.write)
        for row, region in enumerate(ids):
            counts[row] += np.bincount(labels[regions == region], minlength=len(names))
    rows = [found for found in _drawn(specimen) if found is not None]
    voxels = np.array([row[0] for row in rows], np.int64)
    centroid = np.array([row[1] for row in rows]).reshape(-1, 3)
    return TissueTruth(
        counts={name: counts[:, k] for k, name in enumerate(names)},
        voxels=voxels,
        centroid=centroid,
        region=np.array([row[2] for row in rows], np.int64),
        nearest=_nearest(centroid * np.array(specimen.voxel_size_nm) / 1000),
    )


def _drawn(specimen: TissueSpecimen) -> list[tuple[int, Floats, int] | None]:
    """Count the voxels of every cell, those whose centre lies beyond the volume, too."""
    size = np.array(specimen.voxel_size_nm) / 1000
    z, y, x = (int(n) for n in np.ceil(LARGEST_CELL / size))
    cells = specimen.listed_cells(Box.from_shape(specimen.shape).grow((z, y, x)))
    return [_voxels_of(specimen, *row, size) for row in zip(cells.centre, cells.axes, strict=True)]


def _voxels_of(
    specimen: TissueSpecimen, centre: Floats, axes: Floats, size: Floats
) -> tuple[int, Floats, int] | None:
    low = np.maximum(np.floor((centre - axes) / size), 0).astype(int)
    high = np.minimum(np.ceil((centre + axes) / size), specimen.shape).astype(int)
    if (low >= high).any():
        return None
    at = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
    inside = (((((at + 0.5) * size) - centre) / axes) ** 2).sum(axis=-1) <= 1
    if not inside.any():
        return None
    mine = at[inside]
    quarter = np.bincount(mine[:, 2] * 4 // specimen.shape[2], minlength=4)
    return len(mine), mine.mean(axis=0), list(REGIONS.values())[int(quarter.argmax())]


def _nearest(places: Floats) -> Floats:
    if len(places) == 0:
        return np.empty((0, 3))
    return np.asarray(cKDTree(places).query(places, k=4)[0][:, 1:])
