"""Class shapes: counts from which surface, length and connectivity of a class follow, and add up.

Stereology needs no skeleton and no mesh.  Where surfaces run in all directions alike, a line meets
them in half as many points per length as there is surface per volume; where curves do, a plane
meets half as many of them per area as there is length per volume (Saltykov; Smith and Guttman).
Lines and planes are those of the voxels, along all three axes.  Profiles of a plane are counted by
its Euler number, which adds up voxel by voxel.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import AXES, Box, Coord
from volkit.kernels.class_counts import BINS
from volkit.kernels.keyed_sums import Columns, add_keyed

CROSSINGS = tuple(f"crossings_{axis}" for axis in AXES)
PROFILES = tuple(f"profiles_{axis}" for axis in AXES)
_NAMES = (*CROSSINGS, *PROFILES, "euler")
_WORD = 64


def class_shapes(
    classes: NDArray[Any],
    core: Box,
    *,
    labels: Sequence[int],
    bins: Coord,
    start: Coord = (0, 0, 0),
) -> Columns:
    """Count where classes begin and end, and their profiles, by bin.

    A voxel looks at the voxels before it, so blocks need a halo of one there, and every pair is
    counted once.

    Parameters
    ----------
    classes : ndarray of int, shape (Z, Y, X)
        Labels of the block and of the voxels around it.
    core : Box
        The block itself, in the array's own coordinates.
    labels : sequence of int
        Of which classes.
    bins : tuple of int
        Extent of a bin, voxels, (z, y, x).
    start : tuple of int
        Where the core begins, voxels from the origin of the bins.

    Returns
    -------
    dict of ndarray
        ``z_bin``, ``y_bin``, ``x_bin``, ``label`` (uint64), and int64: ``crossings_a``, pairs of
        neighbours along axis a of which one is of the class; ``profiles_a``, Euler number of the
        class in planes across axis a (4-connected); ``euler``, in 3D (6-connected).

    Raises
    ------
    ContractError
        If the classes are no integers.

    References
    ----------
    Gray, Local properties of binary images in two dimensions, 1971:
    https://doi.org/10.1109/T-C.1971.223289; Baddeley, Vedel Jensen, Stereology for statisticians,
    2004.

    Examples
    --------
    >>> cube = np.pad(np.ones((2, 2, 2), np.uint8), 1)
    >>> table = class_shapes(cube, Box.from_shape(cube.shape), labels=[1], bins=(4, 4, 4))
    >>> [int(table[name][0]) for name in ("crossings_z", "profiles_z", "euler")]
    [8, 2, 1]
    """
    if classes.dtype.kind not in "uib":
        raise ContractError(f"class labels are {classes.dtype}, which are not ids; give integers")
    rows = []
    for place, piece in _pieces(core, bins, start):
        before = tuple(int(a > 0) for a in piece.start)
        values = classes[Box(_minus(piece.start, before), piece.stop).slices]
        for label in labels:
            words = _packed(values == label)
            sums = np.zeros(len(_NAMES), np.int64)
            _count(words, before, values.shape[2], sums)
            rows.append((*place, label, *sums.tolist()))
    table = np.array(rows, np.int64).reshape(len(rows), 4 + len(_NAMES))
    columns: Columns = {name: table[:, k] for k, name in enumerate((*BINS, "label", *_NAMES))}
    columns["label"] = columns["label"].astype(np.uint64)
    return add_class_shapes([columns])


def add_class_shapes(tables: Sequence[Columns]) -> Columns:
    """Add the tables of parts, as :func:`class_shapes` makes them."""
    table = add_keyed(tables, keys=(*BINS, "label"))
    some = np.any([table[name] != 0 for name in _NAMES], axis=0)
    return {name: column[some] for name, column in table.items()}


def surface_of(shapes: Columns, voxel_size: Sequence[float]) -> NDArray[np.float64]:
    """Estimate the surface of every row, in the square of the voxel size's unit.

    Unbiased where surfaces face all directions alike; a box along the axes gets two thirds of its
    faces.  Where the volume ends there is no surface.

    Parameters
    ----------
    shapes : dict of ndarray
        As :func:`class_shapes` makes them.
    voxel_size : sequence of float
        (z, y, x).

    Examples
    --------
    >>> z, y, x = np.ogrid[-15:16, -15:16, -15:16]
    >>> ball = z**2 + y**2 + x**2 < 12.5**2
    >>> table = class_shapes(ball, Box.from_shape(ball.shape), labels=[1], bins=(31, 31, 31))
    >>> round(float(surface_of(table, (1, 1, 1))[0] / (4 * np.pi * 12.5**2)), 2)
    1.0
    """
    a, b, c = voxel_size
    z, y, x = (shapes[name] for name in CROSSINGS)
    found: NDArray[np.float64] = (z * (b * c) + y * (a * c) + x * (a * b)) * (2 / 3)
    return found


def length_of(shapes: Columns, voxel_size: Sequence[float]) -> NDArray[np.float64]:
    """Estimate the length of every row's curves, in the unit of the voxel size.

    Unbiased for thin tubes that run in all directions alike; a compact body counts with twice its
    mean width.

    Parameters
    ----------
    shapes, voxel_size
        As for :func:`surface_of`.

    Examples
    --------
    >>> line = np.zeros((9, 9, 9), bool)
    >>> line[4, 4, 1:7] = True
    >>> table = class_shapes(line, Box.from_shape(line.shape), labels=[1], bins=(9, 9, 9))
    >>> length_of(table, (1, 1, 1)).tolist()  # 2/3 of 6 sections across it, 1 + 1 along it
    [5.333333333333333]
    """
    found: NDArray[np.float64] = sum(
        (shapes[name] * size for name, size in zip(PROFILES, voxel_size, strict=True)),
        np.zeros(len(shapes["label"])),
    ) * (2 / 3)
    return found


def _minus(a: Sequence[int], b: Sequence[int]) -> Coord:
    z, y, x = (p - q for p, q in zip(a, b, strict=True))
    return z, y, x


def _pieces(core: Box, bins: Coord, start: Coord) -> Iterator[tuple[Coord, Box]]:
    """Cut the core where bins end; each piece with the number of its bin."""
    shift = _minus(start, core.start)
    ranges = [
        range((a + s) // b, -(-(e + s) // b))
        for a, e, s, b in zip(core.start, core.stop, shift, bins, strict=True)
    ]
    for z, y, x in product(*ranges):
        corner = (z * bins[0] - shift[0], y * bins[1] - shift[1], x * bins[2] - shift[2])
        low = tuple(max(c, a) for c, a in zip(corner, core.start, strict=True))
        high = tuple(min(c + b, e) for c, b, e in zip(corner, bins, core.stop, strict=True))
        yield (z, y, x), Box(low, high)  # type: ignore[arg-type]


def _packed(mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Pack rows of voxels into words, the first voxel in the lowest bit."""
    packed = np.packbits(mask, axis=2, bitorder="little")
    words = np.zeros((*mask.shape[:2], -(-mask.shape[2] // _WORD) * 8), np.uint8)
    words[..., : packed.shape[2]] = packed
    return words.view("<u8")


@numba.njit(nogil=True, cache=True)
def _ones(word: Any) -> Any:
    """Count the bits that are set."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(nogil=True, cache=True)
def _count(words: Any, before: Any, width: int, sums: Any) -> None:
    """Compare every word with those of the rows before it, and with itself moved by one voxel."""
    none = np.zeros(words.shape[2], np.uint64)
    for z in range(before[0], words.shape[0]):
        for y in range(before[1], words.shape[1]):
            row = words[z, y]
            north = words[z, y - 1] if y > 0 else none
            up = words[z - 1, y] if z > 0 else none
            far = words[z - 1, y - 1] if z > 0 and y > 0 else none
            _count_row((row, north, up, far), before[2], width, (z > 0, y > 0), sums)


@numba.njit(nogil=True, cache=True)
def _count_row(rows: Any, first: int, width: int, there: Any, sums: Any) -> None:
    one, top, every = np.uint64(1), np.uint64(63), ~np.uint64(0)
    row, north, up, far = rows
    last = (np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0))
    for i in range(len(row)):
        a, b, c, d = row[i], north[i], up[i], far[i]
        a1, b1 = (a << one) | (last[0] >> top), (b << one) | (last[1] >> top)
        c1, d1 = (c << one) | (last[2] >> top), (d << one) | (last[3] >> top)
        last = (a, b, c, d)
        core = every
        if i == len(row) - 1 and width % 64:
            core = every >> np.uint64(64 - width % 64)
        # The first voxel of the array has none before it: it is another block's, or the volume's.
        pairs = core & (every << one) if i == 0 else core
        if i == 0 and first:
            core = pairs
        if there[0]:
            sums[0] += _ones((a ^ c) & core)
        if there[1]:
            sums[1] += _ones((a ^ b) & core)
        sums[2] += _ones((a ^ a1) & pairs)
        a &= core
        n, pz, py, px = _ones(a), _ones(a & c), _ones(a & b), _ones(a & a1)
        qx, qy, qz = _ones(a & b & c & d), _ones(a & a1 & c & c1), _ones(a & a1 & b & b1)
        sums[3] += n - py - px + qz
        sums[4] += n - pz - px + qy
        sums[5] += n - pz - py + qx
        eight = _ones(a & a1 & b & b1 & c & c1 & d & d1)
        sums[6] += n - pz - py - px + qx + qy + qz - eight
