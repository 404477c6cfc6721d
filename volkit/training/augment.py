"""Augmentation: the ways in which images of the same tissue differ.

Everything here changes the image alone but misalignment, which moves sections and their labels;
warps, which move both too, are in `warp`.
Images are scaled already: mean about 0 and deviation about 1.
"""

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from volkit.training.config import Augmentation

Floats = NDArray[np.float32]

# Gamma acts on the range that holds nearly all voxels of an image with deviation 1.
_RANGE = 3.0
_SHADES = 3  # values per axis of the coarse grid that slow shading is drawn on


def varied(image: Floats, rng: Generator, options: Augmentation) -> Floats:
    """Vary contrast, brightness, gamma, shading, sharpness, noise and sections.

    Parameters
    ----------
    image : ndarray of float32, shape (Z, Y, X)
        Scaled; it is left as it is.
    rng : numpy.random.Generator
        Source of chance.
    options : Augmentation
        Strengths.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        The variant; contrast is never inverted.
    """
    image = _toned(image, rng, options)
    if options.shading and rng.random() < 0.3:
        image = image + _shading(image.shape, rng, options.shading)
    if options.blur and rng.random() < 0.4:
        image = ndimage.gaussian_filter(image, _blur(rng, options))
    if options.noise and rng.random() < 0.6:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        image = image + np.float32(rng.uniform(0, options.noise)) * noise
    if rng.random() < options.sections:
        image = _damaged(image, rng)
    return image.astype(np.float32, copy=False)


def _toned(image: Floats, rng: Generator, options: Augmentation) -> Floats:
    """Change gamma for half of the images, contrast and brightness for all."""
    if options.gamma and rng.random() < 0.5:
        largest = np.log1p(options.gamma)
        gamma = np.float32(np.exp(rng.uniform(-largest, largest)))
        unit = (np.clip(image, -_RANGE, _RANGE) + _RANGE) / (2 * _RANGE)
        image = unit**gamma * (2 * _RANGE) - _RANGE
    largest = np.log1p(options.contrast)
    contrast = np.float32(np.exp(rng.uniform(-largest, largest)))
    return image * contrast + np.float32(rng.normal(0, options.brightness))


def _shading(shape: tuple[int, ...], rng: Generator, strength: float) -> Floats:
    coarse = rng.normal(0, strength, (_SHADES,) * 3).astype(np.float32)
    factors = [n / _SHADES for n in shape]
    return ndimage.zoom(coarse, factors, order=1, grid_mode=True, mode="nearest")


def _blur(rng: Generator, options: Augmentation) -> list[float]:
    """Draw the blur of every axis: mostly alike, at times along one axis only."""
    if not options.isotropic:
        return [0.0, *([rng.uniform(0, options.blur)] * 2)]
    if rng.random() < 0.75:
        return [rng.uniform(0, options.blur)] * 3
    sigma = [0.0, 0.0, 0.0]
    sigma[int(rng.integers(3))] = rng.uniform(0, options.blur)
    return sigma


def _damaged(image: Floats, rng: Generator) -> Floats:
    """Spoil one to three sections, as microscopes and knives do."""
    image = image.copy()
    for z in rng.integers(0, len(image), int(rng.integers(1, 4))):
        fate = rng.random()
        if fate < 0.3:  # missing: one grey
            image[z] = rng.normal(0, 0.5)
        elif fate < 0.6:  # missing, and the one before shown again
            image[z] = image[max(z - 1, 0)]
        elif fate < 0.8:  # out of focus
            image[z] = ndimage.gaussian_filter(image[z], 2)
        else:  # another beam current
            image[z] = image[z] * rng.uniform(0.4, 1.0) + rng.normal(0, 0.7)
    return image


def misalignment(sections: int, rng: Generator, options: Augmentation) -> NDArray[np.int64]:
    """Draw how far sections slipped when they were put upon each other.

    Parameters
    ----------
    sections : int
        How many there are.
    rng : numpy.random.Generator
        Source of chance.
    options : Augmentation
        ``misaligned`` and ``slip``.

    Returns
    -------
    ndarray of int64, shape (sections, 2)
        Shift of every section along (y, x), voxels: one section slipped, or all from one on.

    References
    ----------
    Lee et al., Superhuman accuracy on the SNEMI3D connectomics challenge, 2017,
    doi:10.48550/arXiv.1706.00120.
    """
    shifts = np.zeros((sections, 2), np.int64)
    if sections > 1 and rng.random() < options.misaligned:
        z = int(rng.integers(1, sections))
        last = z + 1 if rng.random() < 0.5 else sections
        shifts[z:last] = rng.integers(-options.slip, options.slip + 1, 2)
    return shifts


def slipped(values: NDArray[Any], shifts: NDArray[np.int64], slip: int) -> NDArray[Any]:
    """Cut every section out where it slipped to.

    Parameters
    ----------
    values : ndarray, shape (Z, Y + 2 slip, X + 2 slip)
        Image or labels.
    shifts : ndarray of int64, shape (Z, 2)
        From `misalignment`.
    slip : int
        Largest shift, voxels.

    Returns
    -------
    ndarray, shape (Z, Y, X)
        A copy.

    Examples
    --------
    >>> slipped(np.arange(6).reshape(2, 1, 3).repeat(3, 1), np.array([[0, 0], [0, 1]]), 1).tolist()
    [[[1]], [[5]]]
    """
    y, x = (n - 2 * slip for n in values.shape[1:])
    cuts = [
        section[slip + dy : slip + dy + y, slip + dx : slip + dx + x]
        for section, (dy, dx) in zip(values, shifts, strict=True)
    ]
    return np.stack(cuts)
