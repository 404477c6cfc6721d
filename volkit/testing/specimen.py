"""Specimens: tissue as an electron microscope would show it, with exact truth, at any size.

Every box follows from its coordinates alone, so that 10^15 voxels cost nothing until they are read.
"""

from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.testing.cells import find_cells, node_table
from volkit.testing.hashing import bells, stream_key, units
from volkit.testing.noise import Axes, value_noise
from volkit.testing.specimen_source import SpecimenSource, address_of, made
from volkit.testing.stalls_source import open_stalls
from volkit.testing.tissue_source import open_tissue
from volkit.testing.tomograms import TomogramSource
from volkit.testing.tomograms_address import open_tomogram

_TYPES: Any = {"image": np.uint8, "truth": np.uint64, "boundary": np.float32}
_OTHERS: Any = {"tissue": open_tissue, "tomogram": open_tomogram, "stalls": open_stalls}

_GRAIN_NM = 8.0  # all lengths below count in this unit, so that voxel size only samples
_NODE = 15.0  # grains between nodes: neurites of about 60 to 170 nm
_WARP = ((95.0, 20.0), (40.0, 7.0), (16.0, 1.2))  # what bends space: spacing and amplitude, grains
_MEMBRANE = 0.9  # grains from the border plane to a membrane's face
# A rotation by 31°, 23° and 17° about z, y and x: membranes cross all three planes obliquely.
_TURN = ((0.8803, -0.4431, -0.1697), (0.2691, 0.7609, -0.5905), (0.3907, 0.4741, 0.7890))
_STREAMS = {"tone": 30, "slow": 31, "grain": 32, "mito": 33, "er": 34, "vesicle": 35}
_STREAMS |= {"shot": 36, "contrast": 37, "light": 38, "lost": 39, "faint": 40, "warp": 41}


@dataclass(frozen=True)
class EmSpecimen:
    """A block of synthetic tissue.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels.
    seed : int
        Another seed is another tissue.
    voxel_size_nm : tuple of float
        (z, y, x), nanometres; sections thicker than wide make it anisotropic.
    noise : float
        Strength of shot noise and texture; 1 is that of a good microscope.
    missing_sections : float
        Share of sections that are lost (black), 0 to 1.

    Raises
    ------
    GeometryError
        If the shape is empty or a voxel has no extent.
    ConfigError
        If a number makes no sense.

    Examples
    --------
    >>> specimen = EmSpecimen((64, 64, 64), seed=7)
    >>> box = Box((0, 0, 0), (2, 3, 4))
    >>> specimen.image(box).dtype, specimen.truth(box).shape
    (dtype('uint8'), (2, 3, 4))
    """

    shape: Coord
    seed: int = 0
    voxel_size_nm: Vector = (8.0, 8.0, 8.0)
    noise: float = 1.0
    missing_sections: float = 0.0

    def __post_init__(self) -> None:
        if Box.from_shape(self.shape).size == 0:
            raise GeometryError(f"a specimen of shape {self.shape} is empty; give 1 or more")
        VoxelScale(self.voxel_size_nm)
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed {self.seed} is not from 0 to 4294967295")
        if not 0 <= self.noise <= 10:
            raise ConfigError(f"noise {self.noise} is not from 0 to 10")
        if not 0 <= self.missing_sections <= 1:
            raise ConfigError(f"missing_sections {self.missing_sections} is no share, 0 to 1")

    def truth(self, box: Box) -> NDArray[np.uint64]:
        """Name the cell of every voxel of a box; 0 in membranes."""
        names, distance = self._cells(box)
        names[distance < _MEMBRANE] = 0
        return names

    def boundary(self, box: Box) -> NDArray[np.float32]:
        """Give what a perfect network would say: boundary probability, 0 to 1."""
        _, distance = self._cells(box)
        return (1 / (1 + np.exp((distance - 1.6) / 0.35))).astype(np.float32)

    def image(self, box: Box) -> NDArray[np.uint8]:
        """Give what the microscope shows: membranes dark, cytoplasm bright."""
        names, distance = self._cells(box)
        axes = self._axes(box)
        tone = units(self._key("tone"), names.ravel()).reshape(box.shape) - np.float32(0.5)
        tissue = 158 + 24 * tone + 12 * self._field("slow", axes, 60.0)
        tissue += self.noise * 20 * self._field("grain", axes, 2.6)
        # Membranes fade in places, as where they lie flat in a section.
        faint = np.clip(0.7 + 0.6 * self._field("faint", axes, 11.0), 0.25, 1)
        tissue -= 75 * faint * np.exp(-((distance / 1.5) ** 2))
        self._add_organelles(tissue, distance, axes)
        return self._exposed(tissue, box)

    def _add_organelles(
        self, tissue: NDArray[np.float32], distance: NDArray[np.float32], axes: Axes
    ) -> None:
        """Darken mitochondria, reticulum and vesicles: what a threshold takes for membranes."""
        depth = np.clip((distance - 2.5) / 1.5, 0, 1)
        mito = self._field("mito", axes, 24.0) - 0.42
        tissue -= depth * 38 * (mito > 0)
        tissue -= depth * 34 * np.exp(-((mito / 0.05) ** 2))
        er = self._field("er", axes, 15.0)
        tissue -= depth * 55 * np.exp(-((er / 0.045) ** 2)) * (mito < -0.5)
        vesicle = self._field("vesicle", axes, 4.0) - 0.55
        tissue -= depth * 40 * np.exp(-((vesicle / 0.15) ** 2)) * (mito < -0.2)

    def _exposed(self, tissue: NDArray[np.float32], box: Box) -> NDArray[np.uint8]:
        """Add what the microscope does: section tone, shot noise, lost sections, eight bits."""
        start = np.array(box.start, np.int64)
        tissue += self.noise * 13 * bells(self._key("shot"), start, box.shape)
        sections = np.arange(box.start[0], box.stop[0], dtype=np.uint64)
        contrast, tone, lost = (
            units(self._key(name), sections)[:, None, None]
            for name in ("contrast", "light", "lost")
        )
        tissue = 128 + (tissue - 128) * (0.94 + 0.12 * contrast) + 8 * (tone - 0.5)
        tissue *= lost >= self.missing_sections
        return np.clip(np.rint(tissue), 0, 255).astype(np.uint8)

    def _cells(self, box: Box) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Find names of cells and the distance to their borders, grains."""
        if not Box.from_shape(self.shape).contains(box):
            raise GeometryError(f"box {box} is outside the specimen of shape {self.shape}")
        axes = self._axes(box)
        places = np.empty((*box.shape, 3))
        for axis, grid in enumerate(np.meshgrid(*axes, indexing="ij")):
            bent = grid + sum(
                amplitude
                * value_noise(self.seed, _STREAMS["warp"] + 3 * n + axis, axes, spacing=spacing)
                for n, (spacing, amplitude) in enumerate(_WARP)
            )
            places[..., axis] = bent / _NODE
        flat = _turned(places.reshape(-1, 3))
        first = np.floor(flat.min(0)).astype(np.int64) - 1
        last = np.floor(flat.max(0)).astype(np.int64) + 1
        z, y, x = (int(n) for n in last - first + 1)
        nodes, cells = node_table(self.seed, first, (z, y, x))
        names, distance = find_cells(flat, first, nodes, cells)
        return names.reshape(box.shape), (distance * np.float32(_NODE)).reshape(box.shape)

    def _axes(self, box: Box) -> Axes:
        z, y, x = (
            np.arange(a, b, dtype=np.float64) * (size / _GRAIN_NM)
            for a, b, size in zip(box.start, box.stop, self.voxel_size_nm, strict=True)
        )
        return z, y, x

    def _key(self, name: str) -> np.uint64:
        return stream_key(self.seed, _STREAMS[name])

    def _field(self, name: str, axes: Axes, spacing: float) -> NDArray[np.float32]:
        return value_noise(self.seed, _STREAMS[name], axes, spacing=spacing)


def _turned(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the lattice of nodes away from the axes, term by term so that no box adds otherwise."""
    z, y, x = places.T
    return np.stack([a * z + b * y + c * x for a, b, c in _TURN], axis=1)


def open_specimen(uri: str, level: int = 0) -> SpecimenSource | TomogramSource:
    """Open a specimen by its address.

    Parameters
    ----------
    uri : str
        ``specimen://em?shape=96,256,256&seed=7&part=truth``; further keys are ``voxel_size_nm``,
        ``noise`` and ``missing_sections``.  Others: `open_tissue`, `open_tomogram`, `open_stalls`.
    level : int
        Only 0 exists.

    Returns
    -------
    SpecimenSource or TomogramSource

    Raises
    ------
    SourceError
        If the address cannot be understood.

    Examples
    --------
    >>> open_specimen("specimen://em?shape=8,16,16&part=truth").dtype
    dtype('uint64')
    """
    kind = urlsplit(uri).netloc
    if opened := _OTHERS.get(kind):
        return opened(uri, level)
    if kind != "em":
        raise SourceError(f"{uri}: no specimen {kind!r}; known are em, {', '.join(_OTHERS)}")
    keys = [f.name for f in fields(EmSpecimen)]
    part, values = address_of(uri, level, keys=keys, parts=[*_TYPES], needed="shape=96,256,256")
    return SpecimenSource.of("em", made(uri, EmSpecimen, values), part, _TYPES[part])
