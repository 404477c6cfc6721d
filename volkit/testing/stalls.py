"""Blood in vascular trees: segments in which dark cells flow, and segments in which they stand.

Planes are taken one after the other, so that z is depth and time at once: where blood flows, each
plane shows other cells; where it stands, a cell is at one place in every plane that cuts it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.testing.hashing import bells, stream_key
from volkit.testing.noise import value_noise
from volkit.testing.vessels import VesselTree, vessel_tree

Floats = NDArray[np.float64]

_STREAMS = {"tissue": 50, "grain": 51}
_TISSUE, _TISSUE_RANGE, _TISSUE_SPACING = 55.0, 18.0, 9.0  # grey levels, voxels
_PLASMA = (150.0, 220.0)  # grey levels of what carries the cells
_CELL, _GAP = (4.0, 7.0), (3.0, 7.0)  # voxels along the vessel
_DARK = 0.75  # share of the plasma's light that a cell takes away
_SPEED = (8.0, 30.0)  # voxels from plane to plane where blood flows
_CREEP = 0.15  # and at most where it stands
_PERIOD, _FINE = 257.0, 4  # voxels after which cells repeat, and samples in a voxel
_REACH = 3.0  # voxels around a vessel that it can light, where planes are shaken


@dataclass(frozen=True, slots=True, eq=False)
class StallSpecimen:
    """A vascular tree in which some segments are stalled, as a microscope would show it.

    Parameters
    ----------
    tree : VesselTree
        Where the vessels are; exact.
    stalled : ndarray of bool, shape (S,)
        Which stand.
    speed : ndarray of float64, shape (S,)
        How far cells go from plane to plane, voxels; signed.
    plasma : ndarray of float64, shape (S,)
        Grey level of each vessel without cells.
    cells : ndarray of float64, shape (S, N)
        Share of light that cells take along each vessel, at a quarter of a voxel; it repeats.
    shake : ndarray of float64, shape (Z, 2)
        How far each plane is shifted along (y, x), voxels: the animal breathes.
    noise : float
        Strength of grain; 1 has a deviation of 16 grey levels.
    seed : int
        Of tissue and grain.
    """

    tree: VesselTree
    stalled: NDArray[np.bool_]
    speed: Floats
    plasma: Floats
    cells: Floats = field(repr=False)
    shake: Floats = field(repr=False)
    noise: float = 1.0
    seed: int = 0

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        return self.tree.shape

    def mask(self, box: Box) -> NDArray[np.bool_]:
        """Draw where the vessels are, as if no plane were shaken, shape (Z, Y, X)."""
        return self.tree.mask(box)

    def image(self, box: Box) -> NDArray[np.uint8]:
        """Draw what the microscope shows of a box, shape (Z, Y, X).

        The same voxels whichever box they are drawn in.
        """
        axes = tuple(np.arange(a, b, dtype=float) for a, b in zip(box.start, box.stop, strict=True))
        z, y, x = axes
        tissue = value_noise(self.seed, _STREAMS["tissue"], (z, y, x), spacing=_TISSUE_SPACING)
        out = _TISSUE + _TISSUE_RANGE * tissue.astype(np.float64)
        nearest = np.full(box.shape, np.inf)
        for number in range(len(self.tree.segments)):
            self._draw(number, box, out, nearest)
        key = stream_key(self.seed, _STREAMS["grain"])
        grain = bells(key, np.array(box.start, np.int64), box.shape)
        return np.clip(np.rint(out + 16 * self.noise * grain), 0, 255).astype(np.uint8)

    def _draw(self, number: int, box: Box, out: Floats, nearest: Floats) -> None:
        """Add the light of a vessel where it is the nearest one."""
        a, b = self.tree.nodes[self.tree.segments[number]]
        radius = float(self.tree.radius[number])
        reach = radius + _REACH
        low, high = np.floor(np.minimum(a, b) - reach), np.ceil(np.maximum(a, b) + reach) + 1
        around = Box(_coord(low), _coord(high)).intersect(box)
        if around.size == 0:
            return
        points = np.moveaxis(np.indices(around.shape, np.float64), 0, -1) + np.array(around.start)
        times = points[..., 0] + points[..., 1] / self.shape[1]  # rows are taken one by one, too
        planes = np.clip(np.arange(around.start[0], around.stop[0]), 0, self.shape[0] - 1)
        points[..., 1:] -= self.shake[planes][:, None, None]
        length = float(np.linalg.norm(b - a))
        along = np.clip((points - a) @ (b - a) / length, 0, length)
        distance = np.linalg.norm(points - a - along[..., None] * (b - a) / length, axis=-1)
        beyond = distance - radius
        here = around.relative_to(box).slices
        drawn = (beyond < nearest[here]) & (beyond < 1)
        place = ((along - self.speed[number] * times) % _PERIOD * _FINE).astype(np.int64)
        wide = np.clip(0.85 * radius + 0.5 - distance, 0, 1)
        light = self.plasma[number] * (1 - wide * self.cells[number][place])
        share = np.clip(0.5 - beyond, 0, 1)  # of a voxel that the vessel fills
        out[here][drawn] = (out[here] * (1 - share) + light * share)[drawn]
        nearest[here][drawn] = beyond[drawn]

    def truth(self) -> dict[str, NDArray[Any]]:
        """List every segment.

        Returns
        -------
        dict of ndarray, shape (S,)
            ``segment`` (from 1 on, as `VesselTree.labels` draws it), ``stalled``, ``speed``
            (voxels from plane to plane), ``length``, ``radius`` (voxels), and ``z0`` … ``x1``
            (half-open: the voxels of the segment).
        """
        ends, reach = self.tree.nodes[self.tree.segments], self.tree.radius[:, None]
        low = np.maximum(np.ceil(ends.min(1) - reach), 0).astype(np.int64)
        high = np.floor(ends.max(1) + reach).astype(np.int64) + 1
        high = np.minimum(high, np.array(self.shape))
        columns: dict[str, NDArray[Any]] = {
            "segment": np.arange(1, len(self.stalled) + 1),
            "stalled": self.stalled,
            "speed": self.speed,
            "length": self.tree.length,
            "radius": self.tree.radius,
        }
        columns |= {f"{axis}0": low[:, n] for n, axis in enumerate("zyx")}
        return columns | {f"{axis}1": high[:, n] for n, axis in enumerate("zyx")}


def stall_specimen(
    shape: Coord = (72, 144, 144),
    *,
    seed: int,
    stalled: float = 0.3,
    segments: int = 31,
    noise: float = 1.0,
    motion: float = 1.0,
) -> StallSpecimen:
    """Grow a tree and let blood flow in it.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels.
    seed : int
        The same seed gives the same specimen.
    stalled : float
        How probable it is for each segment to stand, 0 to 1.
    segments : int
        Vessels at most; fewer where there is no room.
    noise : float
        Strength of grain.
    motion : float
        Strength of the shaking of planes; 1 has a deviation of 0.6 voxels.

    Returns
    -------
    StallSpecimen

    Raises
    ------
    ConfigError
        If no vessel has room, or a number makes no sense.

    Examples
    --------
    >>> made = stall_specimen((40, 48, 48), seed=1, stalled=1.0, segments=3)
    >>> bool(made.stalled.all()), made.image(Box((0, 0, 0), (2, 48, 48))).shape
    (True, (2, 48, 48))
    """
    if not 0 <= stalled <= 1 or noise < 0 or motion < 0:
        raise ConfigError(
            f"stalled {stalled}, noise {noise} and motion {motion} cannot be; give a share of 0 "
            "to 1, and strengths of 0 or more"
        )
    tree = vessel_tree(
        shape, seed=seed, segments=segments, length=(20.0, 30.0), radius=(2.2, 3.4), gap=6.0
    )
    rng = np.random.default_rng([seed, 9])
    count = len(tree.segments)
    stands = rng.random(count) < stalled
    flow = rng.uniform(*_SPEED, count) * rng.choice([-1.0, 1.0], count)
    creep = rng.uniform(-_CREEP, _CREEP, count)
    return StallSpecimen(
        tree,
        stands,
        np.where(stands, creep, flow),
        rng.uniform(*_PLASMA, count),
        np.stack([_cells(rng) for _ in range(count)]),
        rng.normal(0, 0.6 * motion, (shape[0], 2)) if motion else np.zeros((shape[0], 2)),
        noise,
        seed,
    )


def _cells(rng: Generator) -> Floats:
    """Lay cells along a vessel, one after the other, with soft ends."""
    dark = np.zeros(int(_PERIOD * _FINE))
    place = rng.uniform(*_GAP)
    while place < _PERIOD - _CELL[1]:
        length = rng.uniform(*_CELL)
        dark[int(place * _FINE) : int((place + length) * _FINE)] = _DARK
        place += length + rng.uniform(*_GAP)
    return np.asarray(ndimage.gaussian_filter1d(dark, 0.6 * _FINE, mode="wrap"))


def _coord(values: Floats) -> Coord:
    z, y, x = (int(v) for v in values)
    return z, y, x
