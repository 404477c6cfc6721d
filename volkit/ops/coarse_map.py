"""Coarse maps: values of other voxels, looked up for the voxels of a domain.

Both lie in one physical space.  On every axis the other voxel that holds the centre of voxel ``i``
is ``floor(slope * i + offset)``, in exact fractions, so that no block sees another answer.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError, GeometryError
from volkit.geometry import AXES, Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.volume import Volume

# Of a voxel: stored places are rounded decimals, and what lies so near to a face is meant to be on
# it, hence in the voxel that begins there.
_NEAR = Fraction(1, 10_000)
_HALF = Fraction(1, 2)
Fractions = tuple[Fraction, Fraction, Fraction]


@dataclass(frozen=True, slots=True)
class Lookup:
    """Which other voxel holds the centre of a voxel.

    Parameters
    ----------
    slope, offset : tuple of Fraction
        ``floor(slope * i + offset)``, (z, y, x).
    """

    slope: Fractions
    offset: Fractions

    @classmethod
    def between(cls, voxels: VoxelScale, others: VoxelScale) -> "Lookup":
        """Compare two scales.

        Examples
        --------
        >>> finer = VoxelScale((40, 4, 4))
        >>> lookup = Lookup.between(finer, VoxelScale((40, 8, 8), (0, 2, 2)))
        >>> lookup.along(2, 0, 5).tolist()
        [0, 0, 1, 1, 2]
        """
        sizes = list(zip(_exact(voxels.voxel_size_nm), _exact(others.voxel_size_nm), strict=True))
        origins = zip(_exact(voxels.origin_nm), _exact(others.origin_nm), strict=True)
        slope = tuple(a / b for a, b in sizes)
        offset = tuple(
            (p - q) / b + _HALF + _NEAR for (p, q), (_, b) in zip(origins, sizes, strict=True)
        )
        return cls(slope, offset)  # type: ignore[arg-type]

    @classmethod
    def cells(cls, start: Coord, cell_shape: Coord) -> "Lookup":
        """Take the cells of a lattice for the others; cell 0 begins at ``start``."""
        slope = tuple(Fraction(1, n) for n in cell_shape)
        offset = tuple(Fraction(-a, n) for a, n in zip(start, cell_shape, strict=True))
        return cls(slope, offset)  # type: ignore[arg-type]

    def along(self, axis: int, start: int, stop: int) -> NDArray[np.int64]:
        """Look up a range of voxels on one axis; ascending."""
        slope, offset = self.slope[axis], self.offset[axis]
        # Whole numbers of Python, since those of NumPy overflow for sizes with many digits.
        unit = slope.denominator * offset.denominator
        step, first = slope.numerator * offset.denominator, offset.numerator * slope.denominator
        return np.array([(step * i + first) // unit for i in range(start, stop)], np.int64)

    def box(self, box: Box) -> Box:
        """Find the others that hold the centres of a box with voxels in it."""
        start, last = (
            tuple(floor(s * i + o) for s, i, o in zip(self.slope, at, self.offset, strict=True))
            for at in (box.start, tuple(n - 1 for n in box.stop))
        )
        return Box(start, tuple(n + 1 for n in last))  # type: ignore[arg-type]

    @property
    def facts(self) -> list[list[str]]:
        """The same as JSON."""
        return [[str(v) for v in self.slope], [str(v) for v in self.offset]]


@dataclass(frozen=True, slots=True)
class CoarseMap:
    """A map of other voxels that says which voxels of a domain are wanted.

    Parameters
    ----------
    lookup : Lookup
        From the domain's voxels to the map's.
    domain : Box
        The voxels that the map has, in its own coordinates.
    held : Volume or ndarray
        The values, shape ([C,] Z, Y, X): wanted where they are not 0, in any channel.
    facts : dict
        What decides the values, as JSON.
    invert : bool
        Wanted where they are 0 instead.
    """

    lookup: Lookup
    domain: Box
    held: Volume | NDArray[Any]
    facts: dict[str, Any]
    invert: bool = False

    @classmethod
    def of(cls, mask: Volume, *, scale: VoxelScale, domain: Box, invert: bool) -> "CoarseMap":
        """Take a mask whose voxels lie anywhere.

        Parameters
        ----------
        mask : Volume of bool or integers
            What is not 0 counts.
        scale : VoxelScale
            Where the domain's voxels lie.
        domain : Box
            What the mask has to cover, but for less than one of its voxels at the far faces, as
            coarse levels do where they drop a remainder.
        invert : bool
            Wanted where the mask is 0.

        Raises
        ------
        ContractError
            If its voxels are floats.
        GeometryError
            If it does not cover the domain.
        """
        if mask.dtype.kind not in "bui":
            raise ContractError(
                f"the mask {mask.uri} holds {mask.dtype}; give bool, integers or labels, wanted "
                "where they are not 0: compare a map of floats with a threshold first"
            )
        lookup = Lookup.between(scale, mask.scale)
        _check_covers(mask, lookup.box(domain), scale, domain)
        facts = {
            "identity": mask.identity,
            "region": None if mask.region is None else str(mask.region),
            "lookup": lookup.facts,
            "invert": invert,
        }
        return cls(lookup, mask.domain, mask, facts, invert)

    def along(self, axis: int, start: int, stop: int) -> NDArray[np.int64]:
        """Look up a range of voxels of one axis, in the map's own coordinates."""
        found = self.lookup.along(axis, start, stop)
        return np.clip(found, self.domain.start[axis], self.domain.stop[axis] - 1)

    def wanted(self, z: Any, y: Any, x: Any) -> NDArray[np.bool_]:
        """Look up a product of positions of the map.

        Parameters
        ----------
        z, y, x : ndarray of int64, ascending
            As ``along`` gives them.

        Returns
        -------
        ndarray of bool, shape (len(z), len(y), len(x))
        """
        start = (int(z[0]), int(y[0]), int(x[0]))
        box = Box(start, (int(z[-1]) + 1, int(y[-1]) + 1, int(x[-1]) + 1))
        if isinstance(self.held, Volume):
            values = self.held.read(box)
        else:
            values = self.held[(..., *box.relative_to(self.domain).slices)]
        marks = values != 0
        marks = marks.any(axis=0) if marks.ndim == 4 else marks
        picked = marks[np.ix_(z - start[0], y - start[1], x - start[2])]
        return ~picked if self.invert else picked


def _check_covers(mask: Volume, needed: Box, scale: VoxelScale, domain: Box) -> None:
    there = mask.domain
    # One voxel more at the far faces, where a coarse level drops a remainder.
    if Box(there.start, tuple(n + 1 for n in there.stop)).contains(needed):  # type: ignore[arg-type]
        return
    axes = [
        axis
        for axis, a, b, c, d in zip(
            AXES, there.start, needed.start, there.stop, needed.stop, strict=True
        )
        if b < a or d > c + 1
    ]
    raise GeometryError(
        f"the mask {mask.uri} covers {there} of its voxels of {mask.voxel_size_nm} nm, the domain "
        f"{domain} of voxels of {scale.voxel_size_nm} nm needs {needed} of them: too few on axis "
        f"{', '.join(axes)}; give a mask of all of it, a box that both cover, or the size of its "
        "voxels (mask_voxel_size_nm) if it does not say so itself"
    )


def _exact(values: Vector) -> list[Fraction]:
    """Take floats as the decimals that they are written as: 0.1 is a tenth."""
    return [Fraction(repr(float(v))) for v in values]
