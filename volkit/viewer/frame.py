"""Frame: the space that a viewer shows, whose positions are voxels of one volume.

A viewer counts from the lower edge of a voxel, volkit from its centre.  In a frame, voxel ``i`` of
the volume that it is made of covers ``i`` to ``i + 1``: what a viewer shows as position is what
``Volume.read`` takes.  All else is placed by its nanometres.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import VoxelScale
from volkit.geometry.scale import Vector

_METRES = 1e-9  # in a nanometre
_SAME = 1e-6  # voxels: what rounding leaves of no distance


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a viewer counts from.

    Parameters
    ----------
    voxel_size_nm : tuple of float
        Of its unit, (z, y, x).
    edge_nm : tuple of float
        Lower edge of voxel (0, 0, 0), (z, y, x), as volkit has it.

    Examples
    --------
    >>> frame = Frame.of(VoxelScale((40.0, 4.0, 4.0), (100.0, 0.0, 0.0)))
    >>> frame.edge_nm, frame.shift(VoxelScale((80.0, 8.0, 8.0), (120.0, 2.0, 6.0)))
    ((80.0, -2.0, -2.0), (0.0, 0.0, 0.5))
    """

    voxel_size_nm: Vector
    edge_nm: Vector

    @classmethod
    def of(cls, scale: VoxelScale) -> Self:
        """Make the frame of a volume."""
        return cls(scale.voxel_size_nm, _edge(scale))

    def shift(self, scale: VoxelScale) -> Vector:
        """Say by how many of its own voxels a volume is shifted, (z, y, x)."""
        z, y, x = (
            0.0 if abs((a - b) / size) < _SAME else (a - b) / size
            for a, b, size in zip(_edge(scale), self.edge_nm, scale.voxel_size_nm, strict=True)
        )
        return z, y, x

    def from_nm(self, places_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give where places lie in the frame, nanometres from its beginning; shape (N, 3)."""
        return np.asarray(places_nm, np.float64) - np.array(self.edge_nm)

    def from_edges(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give where edges between voxels of its volume lie, nanometres; shape (N, 3)."""
        return np.asarray(edges, np.float64) * np.array(self.voxel_size_nm)

    def to_voxels(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn nanometres of the frame into its voxels; shape (N, 3)."""
        return np.asarray(places, np.float64) / np.array(self.voxel_size_nm)

    @property
    def dimensions(self) -> dict[str, list[Any]]:
        """What Neuroglancer calls its dimensions."""
        return dimensions(self.voxel_size_nm)


def dimensions(voxel_size_nm: Vector) -> dict[str, list[Any]]:
    """Write a voxel size as Neuroglancer has it: x, y, z, in metres.

    Examples
    --------
    >>> dimensions((40.0, 4.0, 4.0))
    {'x': [4e-09, 'm'], 'y': [4e-09, 'm'], 'z': [4e-08, 'm']}
    """
    z, y, x = (float(f"{size * _METRES:.12g}") for size in voxel_size_nm)
    return {"x": [x, "m"], "y": [y, "m"], "z": [z, "m"]}


def _edge(scale: VoxelScale) -> Vector:
    z, y, x = (o - s / 2 for o, s in zip(scale.origin_nm, scale.voxel_size_nm, strict=True))
    return z, y, x
