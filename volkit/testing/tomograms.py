"""Tomograms: particles of six kinds between membranes, as a tilt series would show them.

Every box is computed from its coordinates alone, tile by tile: the same bytes whichever box is
read, at any size.  Centres are known exactly.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.testing.hashing import bells, stream_key
from volkit.testing.tomograms_drawing import draw_spheres, membranes, placed_parts
from volkit.testing.tomograms_particles import KINDS, RADII, particles, vesicles
from volkit.testing.tomograms_wedge import REACH, seen

Part = Literal["image", "density"]

TILE = 64  # voxels; tiles lie on one lattice from voxel 0, whatever box is read
_GRAIN = 60  # stream of the noise
_CONTRAST = 1.6  # of protein, in deviations of the noise before it is filtered
_ANGSTROM = 10.0  # in a nanometre
_TABLE = ("z_nm", "y_nm", "x_nm")


@dataclass(frozen=True)
class TomogramSpecimen:
    """A synthetic tomogram.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels.
    seed : int
        Another seed is another tomogram.
    voxel_size_nm : tuple of float
        (z, y, x), nanometres.
    noise : float
        Strength of the noise; 1 hides much of what is small.
    tilt : float
        Largest tilt to both sides, degrees; what a wedge of 90 - tilt hides is lost along z.
    density : float
        How many particles there are, 0 to 1.

    Raises
    ------
    GeometryError
        If the shape is empty or a voxel has no extent.
    ConfigError
        If a number makes no sense.

    Examples
    --------
    >>> specimen = TomogramSpecimen((64, 64, 64), seed=4)
    >>> specimen.image(Box((0, 0, 0), (2, 3, 4))).dtype
    dtype('float32')
    >>> sorted(specimen.points(Box.from_shape((64, 64, 64))))
    ['class', 'x_nm', 'y_nm', 'z_nm']
    """

    shape: Coord
    seed: int = 0
    voxel_size_nm: Vector = (1.0012444, 1.0012444, 1.0012444)
    noise: float = 1.0
    tilt: float = 60.0
    density: float = 0.8

    def __post_init__(self) -> None:
        if Box.from_shape(self.shape).size == 0:
            raise GeometryError(f"a tomogram of shape {self.shape} is empty; give 1 or more")
        VoxelScale(self.voxel_size_nm)
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed {self.seed} is not from 0 to 4294967295")
        for name, most in (("noise", 10), ("tilt", 90), ("density", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} {getattr(self, name)} is not from 0 to {most}")

    def points(self, box: Box) -> dict[str, NDArray[Any]]:
        """List the particles whose centre lies in a box.

        Parameters
        ----------
        box : Box
            In voxels.

        Returns
        -------
        dict of str to ndarray, shape (N,)
            ``z_nm``, ``y_nm``, ``x_nm`` (nanometres from the centre of voxel 0, as volumes count)
            and ``class`` (names), ordered by z, then y, then x.
        """
        self._check(box)
        size = self._size
        found = self._particles(np.array(box.start) * size, np.array(box.stop) * size)
        places = (found[:, :3] - size / 2) / _ANGSTROM
        names = np.array([kind.name for kind in KINDS])[found[:, 3].astype(int)]
        return {**dict(zip(_TABLE, places.T, strict=True)), "class": names}

    def image(self, box: Box) -> NDArray[np.float32]:
        """Give what the tomogram shows: protein and membranes dark, mean about 0."""
        return self._tiled(box, self._exposed)

    def density_map(self, box: Box) -> NDArray[np.float32]:
        """Give what is there: protein and membranes, before microscope and noise."""
        self._check(box)
        return self._matter(np.array(box.start, np.int64), box.shape)

    def _tiled(self, box: Box, tile: Any) -> NDArray[np.float32]:
        self._check(box)
        out = np.empty(box.shape, np.float32)
        counts = [range(a // TILE, -(-b // TILE)) for a, b in zip(box.start, box.stop, strict=True)]
        for z in counts[0]:
            for y in counts[1]:
                for x in counts[2]:
                    whole = Box.from_shape((TILE,) * 3, (z * TILE, y * TILE, x * TILE))
                    part = whole.intersect(box)
                    values = tile(whole)[part.relative_to(whole).slices]
                    out[part.relative_to(box).slices] = values
        return out

    def _exposed(self, tile: Box) -> NDArray[np.float32]:
        """Compute a tile from itself and what lies around it."""
        start = np.array(tile.start, np.int64) - REACH
        shape = (TILE + 2 * REACH,) * 3
        matter = self._matter(start, shape) * np.float32(-_CONTRAST)
        matter += np.float32(self.noise) * bells(stream_key(self.seed, _GRAIN), start, shape)
        return seen(matter, tilt_degrees=self.tilt, size_nm=self.voxel_size_nm)

    def _matter(self, start: NDArray[np.int64], shape: Coord) -> NDArray[np.float32]:
        out = np.zeros(shape, np.float32)
        size = self._size
        low, high = start * size, (start + np.array(shape)) * size
        far = RADII.max() + 60.0
        draw_spheres(placed_parts(self._particles(low - far, high + far)), start, size, out)
        draw_spheres(membranes(vesicles(self.seed, low, high)), start, size, out)
        return out

    def _particles(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        extent = np.array(self.shape) * self._size
        return particles(self.seed, low, high, extent=extent, density=self.density)

    @property
    def _size(self) -> NDArray[np.float64]:
        return np.array(self.voxel_size_nm) * _ANGSTROM

    def _check(self, box: Box) -> None:
        if not Box.from_shape(self.shape).contains(box):
            raise GeometryError(f"box {box} is outside the tomogram of shape {self.shape}")


@dataclass(frozen=True)
class TomogramSource:
    """A synthetic tomogram as a source of voxels and points, read-only.

    Parameters
    ----------
    specimen : TomogramSpecimen
        The tomogram.
    part : {'image', 'density'}
        What of it.
    """

    specimen: TomogramSpecimen
    part: Part = "image"

    channels = None
    levels = 1
    origin_nm = (0.0, 0.0, 0.0)
    voxel_offset = (0, 0, 0)
    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        return self.specimen.shape

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, (z, y, x), nanometres."""
        return self.specimen.voxel_size_nm

    @property
    def chunk_shape(self) -> Coord:
        """A tile: part of one costs as much as the whole."""
        z, y, x = (min(TILE, n) for n in self.shape)
        return z, y, x

    write_shape = chunk_shape

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """What it was made of."""
        values = {f.name: getattr(self.specimen, f.name) for f in fields(self.specimen)}
        return {"specimen": {"kind": "tomogram", "part": self.part, **values}}

    def identity(self) -> str:
        """Digest of all that decides its voxels."""
        return "specimen:" + hashlib.sha256(repr(self.attributes).encode()).hexdigest()

    def points(self, box: Box) -> dict[str, NDArray[Any]]:
        """List the particles of a box; see `TomogramSpecimen.points`."""
        return self.specimen.points(box)

    def read(self, box: Box) -> NDArray[np.float32]:
        """Compute a box."""
        of = self.specimen.image if self.part == "image" else self.specimen.density_map
        return of(box)

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Refuse: specimens are given."""
        raise SourceError(f"a specimen cannot be written (box {box}); create a volume instead")
