"""Class shapes: counts from which surface, length and connectivity of a class follow, and add up.

Stereology needs no skeleton and no mesh.  Where surfaces run in all directions alike, a line meets
them in half as many points per length as there is surface per volume; where curves do, a plane
meets half as many of them per area as there is length per volume (Saltykov; Smith and Guttman).
Lines and planes are those of the voxels, along all three axes.  Profiles of a plane are counted by
its Euler number, which adds up voxel by voxel.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import AXES, Box, Coord
from volkit.kernels.class_counts import BINS
from volkit.kernels.keyed_sums import Columns, add_keyed
from volkit.kernels.voxel_words import WORD, equal_word, ones

CROSSINGS = tuple(f"crossings_{axis}" for axis in AXES)
PROFILES = tuple(f"profiles_{axis}" for axis in AXES)
_NAMES = (*CROSSINGS, *PROFILES, "euler")


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
    edges = [
        _bin_edges(core.start[k], core.stop[k], start[k] - core.start[k], bins[k]) for k in range(3)
    ]
    known = [int(x) for x in labels if 0 <= x <= _most(classes.dtype)]  # others occur nowhere
    sums = np.zeros((*(len(e) - 1 for e in edges), len(known), len(_NAMES)), np.int64)
    _count_all(classes, known, edges, sums)
    found = np.nonzero(sums.any(axis=-1))
    table: Columns = {name: found[k] + start[k] // bins[k] for k, name in enumerate(BINS)}
    table["label"] = np.array(known, np.uint64)[found[3]]
    table.update({name: sums[(*found, k)] for k, name in enumerate(_NAMES)})
    return add_class_shapes([table])


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


def _most(kind: "np.dtype[Any]") -> int:
    return 1 if kind.kind == "b" else int(np.iinfo(kind).max)


def _bin_edges(first: int, stop: int, shift: int, size: int) -> NDArray[np.int64]:
    """List where bins begin within an extent, and where the last one ends."""
    inner = np.arange((first + shift) // size + 1, -(-(stop + shift) // size)) * size - shift
    return np.concatenate([[first], inner, [stop]]).astype(np.int64)


def _count_all(
    classes: NDArray[Any],
    labels: Sequence[int],
    edges: list[NDArray[np.int64]],
    sums: NDArray[np.int64],
) -> None:
    """Compare every section with the one before it, both as columns of words of 64 voxels."""
    height, width = classes.shape[1:]
    place, bin_of, masks = _columns(edges[2])
    # Words and the same moved by one voxel, of this section and of the one before; the row before
    # the first one is nothing.
    words = np.zeros((len(labels), 2, 2, len(place), height + 1), np.uint64)
    narrow = classes.dtype.itemsize == 1
    padded = np.zeros((height, -(-width // WORD) * WORD), np.uint8)
    part = 0
    for z in range(max(int(edges[0][0]) - 1, 0), int(edges[0][-1])):
        section = np.ascontiguousarray(classes[z])
        if narrow:
            section = section.view(np.uint8)
            if width % WORD:  # what lies beyond the end of a row is never counted
                padded[:, :width] = section
                section = padded
        part += int(z >= edges[0][part + 1])
        for number, label in enumerate(labels):
            here, before = words[number, z % 2], words[number, 1 - z % 2]
            (_pack_bytes if narrow else _pack)(section, section.dtype.type(label), place, here)
            if z >= edges[0][0]:
                own = sums[part, :, :, number]
                _count_section((here, before), z > 0, edges[1], (bin_of, masks), own)


def _columns(
    edges: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
    """List the words that bins of a row are made of: number of the word, of the bin, and masks.

    The first mask has the voxels of the bin; the second leaves out the first voxel of the array,
    which has none before it: it is the volume's first.
    """
    rows = [
        (word, part)
        for part, (first, stop) in enumerate(pairwise(edges.tolist()))
        for word in range(first // WORD, -(-stop // WORD))
    ]
    place, bin_of = np.array(rows, np.int64).T
    bits = place[:, None] * WORD + np.arange(WORD)
    inside = (bits >= edges[bin_of][:, None]) & (bits < edges[bin_of + 1][:, None])
    both = np.stack([inside, inside & (bits > 0)])
    masks = np.packbits(both, axis=-1, bitorder="little").view("<u8")[..., 0]
    return place.copy(), bin_of.copy(), masks


@numba.njit(nogil=True, cache=True)
def _pack(section: Any, label: Any, place: Any, words: Any) -> None:
    """Pack where a section is of a class into words, and into words moved by one voxel."""
    height, width = section.shape
    for column in range(len(place)):
        first = 64 * place[column]
        for y in range(height):
            word = np.uint64(0)
            for x in range(first, min(width, first + 64)):
                word |= np.uint64(section[y, x] == label) << np.uint64(x - first)
            words[0, column, y + 1] = word
            words[1, column, y + 1] = word << np.uint64(1)
            if first and section[y, first - 1] == label:
                words[1, column, y + 1] |= np.uint64(1)


@numba.njit(nogil=True, cache=True)
def _pack_bytes(section: Any, label: Any, place: Any, words: Any) -> None:
    """Do so for labels of one byte, and rows of whole words."""
    for column in range(len(place)):
        first = 64 * place[column]
        for y in range(section.shape[0]):
            word = equal_word(section[y], first, label)
            words[0, column, y + 1] = word
            words[1, column, y + 1] = word << np.uint64(1)
            if first:
                words[1, column, y + 1] |= np.uint64(section[y, first - 1] == label)


@numba.njit(nogil=True, cache=True)
def _count_section(sections: Any, above: bool, rows: Any, columns: Any, sums: Any) -> None:
    """Compare every row with the one before it, and with both of the section before."""
    here, before = sections
    bin_of, masks = columns
    for part in range(len(rows) - 1):
        first, stop = rows[part], rows[part + 1]
        for column in range(len(bin_of)):
            lines = (here[0, column], before[0, column], here[1, column], before[1, column])
            mask = (masks[0, column], masks[1, column])
            _compare(lines, first, stop, mask, above, sums[part, bin_of[column]])


@numba.njit(nogil=True, cache=True)
def _compare(lines: Any, first: int, stop: int, mask: Any, above: bool, sums: Any) -> None:
    """Count voxels and their neighbours of the class; without a branch, many rows at once."""
    n, pz, py, px = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    qz, qy, qx, eight = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    cz, cy, cx = np.int64(0), np.int64(0), np.int64(0)
    here, before, west, west_before = lines
    a, b = here[first + 1 : stop + 1], here[first:stop]
    c, d = before[first + 1 : stop + 1], before[first:stop]
    aw, bw = west[first + 1 : stop + 1], west[first:stop]
    cw, dw = west_before[first + 1 : stop + 1], west_before[first:stop]
    inside, paired = mask
    for y in range(stop - first):
        cz += ones((a[y] ^ c[y]) & inside)
        cy += ones((a[y] ^ b[y]) & inside)
        cx += ones((a[y] ^ aw[y]) & paired)
        own = a[y] & inside
        by_x, by_y, by_z = own & aw[y], own & b[y], own & c[y]
        in_x, in_y, in_z = by_y & c[y] & d[y], by_x & c[y] & cw[y], by_x & b[y] & bw[y]
        n += ones(own)
        px += ones(by_x)
        py += ones(by_y)
        pz += ones(by_z)
        qx += ones(in_x)
        qy += ones(in_y)
        qz += ones(in_z)
        eight += ones(in_x & in_y & in_z & dw[y])
    if first == 0:  # the first row has none before it
        cy -= ones(here[1] & inside)
    sums[0] += cz if above else 0
    sums[1] += cy
    sums[2] += cx
    sums[3] += n - py - px + qz
    sums[4] += n - pz - px + qy
    sums[5] += n - pz - py + qx
    sums[6] += n - pz - py - px + qx + qy + qz - eight
