"""Tissue as X-ray microtomography shows it: cells, vessels and myelinated axons in four regions.

Every box is computed from its coordinates alone: the same bytes whichever box is read, at any
size.  Cells never touch each other or vessels, so that the list of cells is the list of connected
components, to the voxel; `volkit.testing.tissue_truth` counts what a pipeline must find.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.testing.hashing import bells, stream_key
from volkit.testing.noise import Axes, value_noise
from volkit.testing.tissue_drawing import FAR, SEEN, draw_cells, draw_fibres, draw_vessels
from volkit.testing.tissue_objects import LARGEST_CELL, Cells, cells_near, vessels_near

Part = Literal["image", "labels", "cells", "regions"]

CLASSES = {"vessel": 1, "cell": 2, "axon": 3}
REGIONS = {"cortex": 1, "striatum": 2, "thalamus": 3, "zona_incerta": 5}
"""Ids of the regions along x; the published merges of the benchmark map them to 0, 1, 2 and 3."""

# Share of the places that are filled, by region.
_CELLS = np.array([0.3, 0.8, 0.16, 0.08])
_VESSELS = np.array([0.75, 0.5, 0.6, 0.35])
_AXONS = np.array([0.06, 0.3, 0.5, 0.8])
_COARSEST_NM = 1500.0  # voxels beyond would join cells that do not touch
_MICROMETRE = 1000.0  # nanometres
_STREAMS = {"bend": 76, "slow": 78, "grain": 79, "shot": 80, "body": 81}


@dataclass(frozen=True)
class TissueSpecimen:
    """A block of synthetic tissue with semantic labels.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels; each region takes a quarter of x.
    seed : int
        Another seed is another tissue.
    voxel_size_nm : tuple of float
        (z, y, x), nanometres, at most 1500 each.
    noise : float
        Strength of shot noise and texture; 1 is that of a good scan.

    Raises
    ------
    GeometryError
        If the shape is empty, or voxels have no extent or are too coarse for the cells.
    ConfigError
        If a number makes no sense.

    Examples
    --------
    >>> tissue = TissueSpecimen((32, 64, 128), seed=3)
    >>> box = Box((0, 0, 0), (2, 3, 4))
    >>> tissue.image(box).dtype, tissue.labels(box).dtype, tissue.regions(box).max()
    (dtype('uint8'), dtype('uint8'), np.uint8(1))
    """

    shape: Coord
    seed: int = 0
    voxel_size_nm: Vector = (1170.0, 1170.0, 1170.0)
    noise: float = 1.0

    def __post_init__(self) -> None:
        if Box.from_shape(self.shape).size == 0:
            raise GeometryError(f"a specimen of shape {self.shape} is empty; give 1 or more")
        VoxelScale(self.voxel_size_nm)
        if max(self.voxel_size_nm) > _COARSEST_NM:
            raise GeometryError(
                f"voxels of {self.voxel_size_nm} nm are too coarse for cells of 6 micrometres; "
                f"give at most {_COARSEST_NM:g} nm"
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed {self.seed} is not from 0 to 4294967295")
        if not 0 <= self.noise <= 10:
            raise ConfigError(f"noise {self.noise} is not from 0 to 10")

    def labels(self, box: Box) -> NDArray[np.uint8]:
        """Give the class of every voxel of a box: `CLASSES`, 0 where there is none of them."""
        vessel, cell, axon, _ = self._depths(box)
        found = np.zeros(box.shape, np.uint8)
        found[axon <= 0] = CLASSES["axon"]
        found[cell <= 0] = CLASSES["cell"]
        found[vessel <= 0] = CLASSES["vessel"]
        return found

    def cells(self, box: Box) -> NDArray[np.uint64]:
        """Name the cell of every voxel of a box; 0 outside cells."""
        return self._depths(box)[3]

    def regions(self, box: Box) -> NDArray[np.uint8]:
        """Give the region of every voxel of a box: `REGIONS`."""
        self._check(box)
        ids = np.array(list(REGIONS.values()), np.uint8)[self._quarter(box)]
        return np.broadcast_to(ids, box.shape).copy()

    def image(self, box: Box) -> NDArray[np.uint8]:
        """Give what the scanner shows: myelin bright, cells and vessels dark."""
        vessel, cell, axon, _ = self._depths(box)
        axes = self._axes(box)
        tissue = 120 + 9 * self._field("slow", axes, 70.0)
        tissue += self.noise * 13 * self._field("grain", axes, 3.0)
        tissue += 48 * _inside(axon)
        body = _inside(cell)
        tissue += body * (86 - tissue + 10 * self._field("body", axes, 4.0))
        tissue += 16 * _inside(cell + 2.2)  # nuclei
        lumen = _inside(vessel)
        tissue += lumen * (58 - tissue) + 22 * np.exp(-((vessel / 0.8) ** 2))
        start = np.array(box.start, np.int64)
        key = stream_key(self.seed, _STREAMS["shot"])
        tissue += self.noise * 10 * bells(key, start, box.shape)
        return np.clip(np.rint(tissue), 0, 255).astype(np.uint8)

    def listed_cells(self, box: Box | None = None) -> Cells:
        """List the cells whose centre lies in a box, or in all of the tissue.

        Parameters
        ----------
        box : Box, optional
            In voxels; None is the whole specimen.

        Returns
        -------
        Cells
            Centres and semi-axes in micrometres from the first corner of voxel 0.
        """
        box = box or Box.from_shape(self.shape)
        return self._cells(*(np.array(corner) * self._size for corner in (box.start, box.stop)))

    def listed_vessels(self, box: Box | None = None) -> NDArray[np.float64]:
        """List the vessels near a box; see `volkit.testing.tissue_objects.vessels_near`."""
        box = box or Box.from_shape(self.shape)
        low, high = (np.array(corner) * self._size for corner in (box.start, box.stop))
        return vessels_near(self.seed, low, high, shares=_VESSELS, width=self._width)

    def _depths(self, box: Box) -> tuple[Any, Any, Any, NDArray[np.uint64]]:
        """Measure how deep voxels lie in vessels, cells and axons, and name the cells."""
        self._check(box)
        axes = self._axes(box)
        low, high = (np.array(corner) * self._size for corner in (box.start, box.stop))
        vessel, cell, axon = (np.full(box.shape, FAR, np.float32) for _ in range(3))
        names = np.zeros(box.shape, np.uint64)
        far = LARGEST_CELL + SEEN + 1.0
        draw_cells(*self._cells(low - far, high + far), axes, cell, names)
        draw_vessels(self.listed_vessels(box), axes, vessel)
        along_y, along_x = (
            8 * value_noise(self.seed, _STREAMS["bend"] + n, axes, spacing=60.0) for n in (0, 1)
        )
        draw_fibres(self.seed, axes, (along_y, along_x), _AXONS[self._quarter(box)], axon)
        return vessel, cell, axon, names

    def _cells(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> Cells:
        return cells_near(
            self.seed, low, high, shares=_CELLS, vessel_shares=_VESSELS, width=self._width
        )

    def _quarter(self, box: Box) -> NDArray[np.int64]:
        """Find the region of every voxel along x, 0 to 3."""
        return np.arange(box.start[2], box.stop[2]) * 4 // self.shape[2]

    def _axes(self, box: Box) -> Axes:
        z, y, x = (
            (np.arange(a, b, dtype=np.float64) + 0.5) * size
            for a, b, size in zip(box.start, box.stop, self._size, strict=True)
        )
        return z, y, x

    def _field(self, name: str, axes: Axes, spacing: float) -> NDArray[np.float32]:
        return value_noise(self.seed, _STREAMS[name], axes, spacing=spacing)

    @property
    def _size(self) -> NDArray[np.float64]:
        return np.array(self.voxel_size_nm) / _MICROMETRE

    @property
    def _width(self) -> float:
        return float(self.shape[2] * self._size[2])

    def _check(self, box: Box) -> None:
        if not Box.from_shape(self.shape).contains(box):
            raise GeometryError(f"box {box} is outside the specimen of shape {self.shape}")


def _inside(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fade from 1 inside to 0 outside, over about a voxel."""
    return (1 / (1 + np.exp(np.clip(depth, -9, 9) / 0.3))).astype(np.float32)
