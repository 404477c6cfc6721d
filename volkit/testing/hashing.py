"""Hashing: random numbers as a function of position, so that no box depends on another.

A sequential generator would have to visit the whole volume in one order.  Here every number is a
hash of a seed, a stream (what the number is for) and integer coordinates.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Odd constants of SplitMix64 and of the golden ratio's multiples; they keep the axes apart.
_Z = np.uint64(0x9E3779B97F4A7C15)
_Y = np.uint64(0xC2B2AE3D27D4EB4F)
_X = np.uint64(0x165667B19E3779F9)
_A = np.uint64(0xBF58476D1CE4E5B9)
_B = np.uint64(0x94D049BB133111EB)
_MASK = np.uint64(0xFFFF)


@njit(nogil=True, cache=True)
def mix(value: Any) -> Any:
    """Scramble 64 bits (the finaliser of SplitMix64).

    Parameters
    ----------
    value : int
        Any uint64.

    Returns
    -------
    int
        A uint64; a bijection of ``value``.

    References
    ----------
    G. L. Steele, D. Lea, C. H. Flood, Fast splittable pseudorandom number generators, OOPSLA 2014,
    doi:10.1145/2660193.2660195.

    Examples
    --------
    >>> hex(mix(np.uint64(1)))
    '0x5692161d100b05e5'
    """
    v = np.uint64(value)
    v = (v ^ (v >> np.uint64(30))) * _A
    v = (v ^ (v >> np.uint64(27))) * _B
    return v ^ (v >> np.uint64(31))


@njit(nogil=True, cache=True)
def stream(seed: Any, number: Any) -> Any:
    """Derive the key of a stream of numbers from a seed."""
    return mix(mix(np.uint64(seed) + _Z) + np.uint64(number) * _Y)


@njit(nogil=True, cache=True)
def hash3(key: Any, z: int, y: int, x: int) -> Any:
    """Hash a position; negative coordinates are allowed."""
    return mix(mix(mix(key + np.uint64(z) * _Z) + np.uint64(y) * _Y) + np.uint64(x) * _X)


@njit(nogil=True, cache=True)
def unit(value: Any, part: int) -> float:
    """Read one of the four 16-bit parts of a hash as a number in [0, 1)."""
    return ((np.uint64(value) >> np.uint64(16 * part)) & _MASK) / 65536.0


@njit(nogil=True, cache=True)
def bell(value: Any) -> float:
    """Sum the four parts of a hash into a nearly normal number (mean 0, variance 1)."""
    total = unit(value, 0) + unit(value, 1) + unit(value, 2) + unit(value, 3)
    return (total - 2.0) * 1.7320508075688772  # four uniform numbers have variance 1/3


@njit(nogil=True, cache=True)
def bells(key: Any, start: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Draw a nearly normal number for every voxel of a box that begins at ``start``."""
    out = np.empty(shape, np.float32)
    for z, y, x in np.ndindex(shape):
        out[z, y, x] = bell(hash3(key, start[0] + z, start[1] + y, start[2] + x))
    return out


@njit(nogil=True, cache=True)
def units(key: Any, names: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Draw a number in [0, 1) for every name."""
    out = np.empty(len(names), np.float32)
    for n in range(len(names)):
        out[n] = unit(mix(key + names[n]), 0)
    return out


def stream_key(seed: int, number: int) -> np.uint64:
    """Derive the key of a stream where Python calls: a plain int would not fit into 63 bits."""
    return np.uint64(stream(np.uint64(seed), np.uint64(number)))
