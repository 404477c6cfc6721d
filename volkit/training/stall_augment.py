"""Variations of clips, as published: each changes speed, scale, place or light, none the truth."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from volkit.geometry import Coord
from volkit.kernels.resize import resized
from volkit.training.stall_options import StallAugmentation

Floats = NDArray[np.float32]

_TINY = 1e-7


def varied_clip(
    voxels: NDArray[np.uint8], shape: Coord, rng: Generator, options: StallAugmentation
) -> Floats:
    """Vary a clip and bring it to what the network takes.

    Parameters
    ----------
    voxels : ndarray of uint8, shape (C, Z, Y, X)
        As it was cut out; it is left as it is.
    shape : tuple of int
        Wanted, (z, y, x).
    rng : numpy.random.Generator
        Source of chance; how much is drawn does not depend on the clip.
    options : StallAugmentation
        Probabilities and extents.

    Returns
    -------
    ndarray of float32, shape (C, z, y, x)
        Grey levels, 0 to 255, whole before noise and gamma.

    Notes
    -----
    Rotation, bending, cropping and dropping come before the resizing, so that they change speed
    and scale; flips, quarter turns, noise and gamma come after it.
    """
    chance = dict(zip(_STEPS, rng.random(len(_STEPS)), strict=True))
    seeds = dict(zip(_STEPS, rng.integers(2**63, size=len(_STEPS)), strict=True))
    clip: Any = voxels
    for name, (share, vary) in _STEPS.items():
        if name == "flip":
            clip = np.clip(np.rint(resized(clip, shape)), 0, 255).astype(np.float32)
        if chance[name] < (1 if name == "flip" else getattr(options, share)):
            clip = vary(clip, np.random.default_rng(int(seeds[name])), options)
    return np.ascontiguousarray(np.clip(clip, 0, 255), np.float32)


def rotated(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Turn all planes about their middle by an angle drawn from 0 to ± the largest."""
    angle = rng.uniform(-options.angle, options.angle)
    return np.asarray(ndimage.rotate(clip, angle, (-2, -1), reshape=False, order=1))


def bent(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Shift voxels by a smooth field, up to half its own smoothness."""
    shape = np.array(clip.shape[1:])
    sigma = rng.uniform(0, options.deformation) * shape
    where = []
    for axis, lattice in enumerate(np.indices(tuple(shape), np.float32)):
        field = ndimage.gaussian_filter(
            rng.uniform(-1, 1, tuple(shape)).astype(np.float32), sigma, mode="nearest"
        )
        largest = float(np.abs(field).max())
        reach = rng.uniform(sigma[axis] / 8, sigma[axis] / 2)
        where.append(lattice + field * np.float32(reach / largest if largest > 0 else 0))
    parts = [
        ndimage.map_coordinates(part.astype(np.float32), where, order=2, mode="nearest")
        for part in clip
    ]
    return np.clip(np.stack(parts), 0, 255)


def cropped(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Cut a share off each side, drawn from 0 to the largest."""
    shares = rng.uniform(0, options.crop_share, (3, 2)).tolist()
    slices: list[slice] = [slice(None)]
    for axis, (before, after) in enumerate(shares, start=1):
        n = int(clip.shape[axis])
        slices.append(slice(int(before * n), n - int(after * n)))
    return clip[tuple(slices)]


def thinned(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Leave out a share of the planes of one axis, drawn without order."""
    axis = 1 + int(rng.integers(3))
    n = clip.shape[axis]
    kept = np.sort(rng.permutation(n)[: max(1, n - int(options.drop_share * n))])
    return np.take(clip, kept, axis)


def holed(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Black out every second cube of a grid with 3 to 6 cells along each axis."""
    del options
    black = np.ones(clip.shape[1:], bool)
    for axis in range(3):
        n = int(black.shape[axis])
        cell = max(2, n // int(rng.integers(3, 7)))
        inside = (np.arange(n) + int(rng.integers(cell))) % cell < cell // 2
        black &= inside.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.where(black, np.zeros((), clip.dtype), clip)


def flipped(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Mirror along each axis by the same chance."""
    axes = tuple(axis for axis in (1, 2, 3) if rng.random() < options.flip)
    return np.flip(clip, axes)


def turned(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Turn planes by a number of quarters; by none or a half where they are not square."""
    del options
    quarters = int(rng.integers(4))
    square = clip.shape[-1] == clip.shape[-2]
    return np.rot90(clip, quarters if square else quarters - quarters % 2, (2, 3))


def noisy(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Add grain; the published number is used as a deviation, though it is called a variance."""
    deviation = np.float32(rng.uniform(0, options.noise_deviation))
    return clip + deviation * rng.standard_normal(clip.shape, dtype=np.float32)


def bent_greys(clip: NDArray[Any], rng: Generator, options: StallAugmentation) -> NDArray[Any]:
    """Raise greys, brought to 0 to 1 by their extremes, to a power."""
    power = np.float32(rng.uniform(1 - options.gamma_range, 1 + options.gamma_range))
    low, high = np.float32(clip.min()), np.float32(clip.max())
    unit = np.clip((clip - low) / (high - low + np.float32(_TINY)), 0, 1)
    return unit**power * np.float32(255)


_Vary = Callable[[NDArray[Any], Generator, StallAugmentation], NDArray[Any]]
_STEPS: dict[str, tuple[str, _Vary]] = {
    "rotate": ("rotate", rotated),
    "elastic": ("elastic", bent),
    "crop": ("crop", cropped),
    "drop_planes": ("drop_planes", thinned),
    "grid_dropout": ("grid_dropout", holed),
    "flip": ("flip", flipped),
    "turn": ("turn", turned),
    "noise": ("noise", noisy),
    "gamma": ("gamma", bent_greys),
}
