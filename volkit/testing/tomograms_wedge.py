"""Missing wedge: what a tilt series cannot see, as a local filter.

A tilt about y by up to ± the largest tilt leaves a wedge of frequencies around kz unmeasured.  The
filter's kernel is cut off at a reach, softly, so that a voxel depends on what lies that near.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from volkit.geometry import Coord
from volkit.geometry.scale import Vector

REACH = 16  # voxels on each side
_FINE = 128  # frequencies along an axis from which the kernel is cut out
_SOFT = 0.06  # width of the wedge's faces, in the sine of the angle
_BLUR = 0.8  # standard deviation of the microscope's blur, voxels


@lru_cache(maxsize=8)
def wedge_kernel(tilt_degrees: float, voxel_size_nm: Vector) -> NDArray[np.float64]:
    """Compute the kernel in the plane of z and x.

    Parameters
    ----------
    tilt_degrees : float
        Largest tilt, to both sides; 90 measures everything.
    voxel_size_nm : tuple of float
        (z, y, x).

    Returns
    -------
    ndarray of float64, shape (2 * REACH + 1, 2 * REACH + 1)
        Axes (z, x); sums to 1.
    """
    kz = np.fft.fftfreq(_FINE)[:, None] / voxel_size_nm[0]
    kx = np.fft.fftfreq(_FINE)[None] / voxel_size_nm[2]
    length = np.hypot(kz, kx)
    sine = np.divide(np.abs(kz), length, out=np.zeros_like(length), where=length > 0)
    inside = np.clip((np.sin(np.radians(tilt_degrees)) - sine) / _SOFT + 0.5, 0, 1)
    if tilt_degrees >= 90:
        inside = np.ones_like(inside)
    kernel = np.fft.fftshift(np.fft.ifft2(inside).real)
    middle = slice(_FINE // 2 - REACH, _FINE // 2 + REACH + 1)
    taper = np.hanning(2 * REACH + 3)[1:-1]
    kernel = kernel[middle, middle] * taper[:, None] * taper
    kernel /= kernel.sum()
    kernel.setflags(write=False)
    return kernel


@lru_cache(maxsize=8)
def _transfer(shape: Coord, tilt_degrees: float, voxel_size_nm: Vector) -> NDArray[np.complex64]:
    plane = np.zeros((shape[0], shape[2]))
    extent = 2 * REACH + 1
    plane[:extent, :extent] = wedge_kernel(tilt_degrees, voxel_size_nm)
    plane = np.roll(plane, (-REACH, -REACH), (0, 1))
    # The blur is a kernel too: beyond 16 voxels, 20 deviations, it is 0 in float32.
    ky, kz, kx = (fft.fftfreq(n) for n in (shape[1], shape[0], shape[2]))
    blur = [np.exp(-2 * (np.pi * _BLUR * k) ** 2) for k in (kz, ky, kx)]
    spectrum = fft.fft2(plane)[:, None, :] * blur[0][:, None, None] * blur[2]
    half = (spectrum * blur[1][:, None])[..., : shape[2] // 2 + 1]
    return half.astype(np.complex64)


def seen(
    values: NDArray[np.float32], *, tilt_degrees: float, size_nm: Vector
) -> NDArray[np.float32]:
    """Filter an array as a tilt series would see it.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        Density.
    tilt_degrees : float
        Largest tilt.
    size_nm : tuple of float
        Voxels, (z, y, x).

    Returns
    -------
    ndarray of float32, shape (Z - 2 * REACH, Y - 2 * REACH, X - 2 * REACH)
        What depends on no voxel beyond the array.
    """
    z, y, x = values.shape
    transfer = _transfer((z, y, x), tilt_degrees, size_nm)
    spectrum = fft.rfftn(values, workers=1) * transfer
    whole = fft.irfftn(spectrum, values.shape, workers=1)
    core = slice(REACH, -REACH)
    return np.ascontiguousarray(whole[core, core, core], np.float32)
