"""Coordinates of particles: centres to the voxels that mark them, and voxels back to centres."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import VoxelScale
from volkit.geometry.scale import Vector

PUBLISHED_OFFSET = 1.0
"""Target offset of the published particle detector: centres are measured from a tomogram's corner,
and labels lie one voxel beyond the voxel that holds the centre."""


@dataclass(frozen=True, slots=True)
class ParticleCoordinates:
    """Encodes centres to voxels, and decodes voxels to centres, without bias.

    Along each axis, with a voxel of ``size`` nanometres::

        voxel  = floor((centre - origin) / size + target_offset)
        centre = origin + (voxel + 1/2 - target_offset) * size

    so that the centre that comes back is off by half a voxel at most, and by nothing on average,
    whatever the offset.  With 1/2, the default, a voxel's number is that of its own centre.

    Parameters
    ----------
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x), nanometres.
    origin_nm : tuple of float
        Where coordinates begin, (z, y, x), nanometres: the centre of voxel (0, 0, 0) for an offset
        of 1/2, its corner for one of 0.
    target_offset : float
        Voxels added before the fraction is cut off.

    Raises
    ------
    GeometryError
        If a voxel has no extent, or the origin or the offset is not finite.

    Examples
    --------
    >>> published = ParticleCoordinates((1.0, 1.0, 1.0), target_offset=PUBLISHED_OFFSET)
    >>> published.encode(np.array([[7.0, 7.4, 7.9]])).tolist()
    [[8, 8, 8]]
    >>> published.decode(np.array([[8, 8, 8]])).tolist()
    [[7.5, 7.5, 7.5]]
    """

    voxel_size_nm: Vector
    origin_nm: Vector = (0.0, 0.0, 0.0)
    target_offset: float = 0.5

    def __post_init__(self) -> None:
        VoxelScale(self.voxel_size_nm, self.origin_nm)
        if not np.isfinite([*self.origin_nm, self.target_offset]).all():
            raise GeometryError(
                f"origin {self.origin_nm} nm and target offset {self.target_offset} must be finite"
            )

    @classmethod
    def of(cls, scale: VoxelScale, *, target_offset: float = 0.5) -> "ParticleCoordinates":
        """Take size and origin from where a volume's voxels lie."""
        return cls(scale.voxel_size_nm, scale.origin_nm, target_offset)

    def encode(self, centres_nm: NDArray[Any]) -> NDArray[np.int64]:
        """Find the voxels that mark centres.

        Parameters
        ----------
        centres_nm : ndarray of float, shape (..., 3)
            (z, y, x), nanometres.

        Returns
        -------
        ndarray of int64, shape (..., 3)
            (z, y, x), voxels.
        """
        steps = (np.asarray(centres_nm, np.float64) - self.origin_nm) / self.voxel_size_nm
        return np.floor(steps + self.target_offset).astype(np.int64)

    def decode(self, voxels: NDArray[Any]) -> NDArray[np.float64]:
        """Locate the centres that voxels mark.

        Parameters
        ----------
        voxels : ndarray of int or float, shape (..., 3)
            (z, y, x), voxels; a fraction lies between two of them.

        Returns
        -------
        ndarray of float64, shape (..., 3)
            (z, y, x), nanometres.
        """
        steps = np.asarray(voxels, np.float64) + (0.5 - self.target_offset)
        return np.asarray(self.origin_nm) + steps * np.asarray(self.voxel_size_nm)
