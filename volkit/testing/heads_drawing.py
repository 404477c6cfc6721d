"""Drawing of T1-weighted heads: ellipsoids, folds and bent space, as functions of millimetres.

Positions are (x, y, z) along Right, Anterior and Superior, from the middle of the head.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_SCALP, _SKULL, _FLUID, _GREY, _WHITE = 0.75, 0.1, 0.2, 0.55, 0.85
_OUTER = (76.0, 92.0, 84.0)  # half axes of the head
_BRAIN = (60.0, 76.0, 60.0)
_SCALP_MM, _SKULL_MM = 5.0, 6.0
_CORTEX_MM, _CORTEX_LOST = 5.5, 0.45
_VENTRICLE, _VENTRICLE_AT, _VENTRICLE_GROWS = (5.0, 24.0, 8.0), (10.0, -2.0, 8.0), 1.2
_BED, _BED_AT = (8.0, 18.0, 8.0), (26.0, -16.0, -18.0)
_HIPPOCAMPUS_LOST = 0.5
_THALAMUS, _THALAMUS_AT = (8.0, 12.0, 9.0), (10.0, -14.0, 0.0)
_WAVES = 6  # of the bend and of the folds of a subject


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What is a subject's own, whatever its class; drawn from a seed.

    Parameters
    ----------
    size : ndarray of float64, shape (3,)
        Of the head over the mean one.
    bend : ndarray of float64, shape (W, 3, 5)
        Waves that displace each of x, y, z: amplitude (mm), three wave numbers (1/mm), phase.
    folds : ndarray of float64, shape (W, 5)
        Waves of the surface of the brain.
    shades : ndarray of float64, shape (W, 5)
        Waves of brightness within it.
    parts : ndarray of float64, shape (3,)
        Of ventricles, hippocampi and cortex over the mean ones.
    """

    size: Floats
    bend: Floats
    folds: Floats
    shades: Floats
    parts: Floats

    @classmethod
    def drawn(cls, seed: int) -> "Anatomy":
        """Draw the anatomy of a subject."""
        rng = np.random.default_rng(seed)
        bend = np.stack([_waves(rng, amplitude=1.5, shortest=50, longest=140) for _ in range(3)], 1)
        return cls(
            size=rng.normal(1, 0.025, 3),
            bend=bend,
            folds=_waves(rng, amplitude=1.6, shortest=18, longest=40),
            shades=_waves(rng, amplitude=0.02, shortest=22, longest=60),
            parts=rng.normal(1, 0.05, 3),
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    """A head without noise.

    Parameters
    ----------
    image : ndarray of float32, shape (Z, Y, X)
        Brightness, 0 (air) to about 1.
    brain, hippocampus : ndarray of bool, shape (Z, Y, X)
        Where they are.
    """

    image: Floats
    brain: NDArray[np.bool_]
    hippocampus: NDArray[np.bool_]


def draw_head(at: Floats, anatomy: Anatomy, atrophy: float, *, voxel_mm: float) -> Drawn:
    """Draw a head.

    Atrophy widens the ventricles, thins the cortex and shrinks the hippocampi, whose bed then
    fills with fluid.

    Parameters
    ----------
    at : ndarray of float64, shape (3, Z, Y, X)
        Positions x, y, z of the voxels, millimetres from the middle of the head.
    anatomy : Anatomy
        Of the subject.
    atrophy : float
        0 (none) to 1 (severe).
    voxel_mm : float
        Edge of a voxel: over that length one tissue becomes the next.

    Returns
    -------
    Drawn
    """
    at = np.asarray(at, np.float32)  # waves over many voxels: half the time of doubles
    size = anatomy.size.astype(np.float32)[:, None, None, None]
    place = (at - _summed(anatomy.bend, at)) / size
    ventricles, hippocampi, cortex = anatomy.parts
    inside = _depth(place, _OUTER)
    depth = _depth(place, _BRAIN) + _summed(anatomy.folds[:, None], at)[0]
    soft = _Soft(voxel_mm)
    image = np.zeros(at.shape[1:], np.float32)
    brain = soft.inside(depth)
    thick = _CORTEX_MM * cortex * (1 - _CORTEX_LOST * atrophy)
    soft.paint(image, _SCALP, soft.inside(inside))
    soft.paint(image, _SKULL, soft.inside(inside - _SCALP_MM))
    soft.paint(image, _FLUID, soft.inside(inside - _SCALP_MM - _SKULL_MM))
    shades = 1 + _summed(anatomy.shades[:, None], at)[0]
    soft.paint(image, _GREY * shades, brain)
    soft.paint(image, _WHITE * shades, soft.inside(depth - thick))
    hippocampus = np.zeros(at.shape[1:], np.float32)
    wide = ventricles * (1 + _VENTRICLE_GROWS * atrophy)
    small = hippocampi * (1 - _HIPPOCAMPUS_LOST * atrophy)
    for side in (-1.0, 1.0):
        soft.paint(image, _GREY, soft.part(place, _THALAMUS, _THALAMUS_AT, side, 1.0))
        soft.paint(image, _FLUID, soft.part(place, _VENTRICLE, _VENTRICLE_AT, side, wide))
        soft.paint(image, _FLUID, soft.part(place, _BED, _BED_AT, side, hippocampi))
        shrunk = soft.part(place, _BED, _BED_AT, side, small)
        soft.paint(image, _GREY, shrunk)
        hippocampus = np.maximum(hippocampus, shrunk)
    return Drawn(image, brain > 0.5, hippocampus > 0.5)


@dataclass(frozen=True, slots=True)
class _Soft:
    """Parts whose edge is as soft as a voxel is long."""

    voxel_mm: float

    def inside(self, depth: Floats) -> Floats:
        """Say how much of a voxel is deeper than 0."""
        return np.clip(depth / self.voxel_mm + 0.5, 0, 1)

    def part(
        self, at: Floats, axes: tuple[float, ...], middle: tuple[float, ...], side: float, by: float
    ) -> Floats:
        """Draw an ellipsoid on the right or the left, scaled."""
        x, y, z = middle
        moved = at - np.array([side * x, y, z], np.float32)[:, None, None, None]
        return self.inside(_depth(moved, tuple(by * a for a in axes)))

    @staticmethod
    def paint(image: Floats, value: float | Floats, share: Floats) -> None:
        """Lay a tissue over what is there."""
        image += share * (value - image)


def _depth(at: Floats, axes: tuple[float, ...]) -> Floats:
    """Give about how deep positions lie under the surface of an ellipsoid, mm."""
    scale = np.array(axes, np.float32)[:, None, None, None]
    radius = np.sqrt(((at / scale) ** 2).sum(0))
    steep = np.sqrt(((at / scale**2) ** 2).sum(0))  # of the radius, per mm
    return (1 - radius) * np.maximum(radius, 1e-6) / np.maximum(steep, 1e-6)


def _waves(
    rng: np.random.Generator, *, amplitude: float, shortest: float, longest: float
) -> Floats:
    direction = rng.normal(size=(_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    number = 2 * np.pi / rng.uniform(shortest, longest, (_WAVES, 1))
    size = rng.normal(0, amplitude, (_WAVES, 1))
    return np.hstack([size, direction * number, rng.uniform(0, 2 * np.pi, (_WAVES, 1))])


def _summed(waves: Floats, at: Floats) -> Floats:
    """Add up waves of shape (W, C, 5) at positions: C fields."""
    total = np.zeros((waves.shape[1], *at.shape[1:]), np.float32)
    for field in range(waves.shape[1]):
        for size, x, y, z, phase in waves[:, field].tolist():
            total[field] += size * np.sin(x * at[0] + y * at[1] + z * at[2] + phase)
    return total
