"""Growth: sums of squares of a segmentation at many thresholds, while its segments merge.

Pieces enter at a level and merge at a level; what a threshold would show is the state after its
level.  Every merge costs what the smaller side holds, so that all thresholds together cost little
more than one, and no voxel is looked at.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.disjoint_sets import root_of
from volkit.kernels.wide_sums import add_product, grow_square, join_square, subtract_product

Ints = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive numbers
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones
_HALF = np.uint64(32)
_BOTH, _PRED, _TRUE, _REST = range(4)  # columns of the sums


@dataclass(frozen=True, slots=True)
class Entries:
    """Voxels of pieces, by the true object that they are of.

    Parameters
    ----------
    piece, truth : ndarray of int64, shape (N,)
        Numbers from 0 on; each pair once, but in several levels.
    count : ndarray of int64, shape (N,)
        Voxels.
    level : ndarray of int64, shape (N,)
        At which they enter.
    """

    piece: Ints
    truth: Ints
    count: Ints
    level: Ints


@dataclass(frozen=True, slots=True)
class Merges:
    """Pairs of pieces that become one.

    Parameters
    ----------
    a, b : ndarray of int64, shape (M,)
        Numbers of pieces.
    level : ndarray of int64, shape (M,)
        At which; both have entered by then.
    """

    a: Ints
    b: Ints
    level: Ints


@dataclass(frozen=True, slots=True)
class Growth:
    """What segments and objects add up to at every level.

    Parameters
    ----------
    both, pred, true, rest : tuple of int
        Sums of squares of the voxels that have entered: of pairs, segments, true objects; and of
        the voxels of true objects that have not.
    voxels : tuple of int
        Voxels that have entered.
    segments : tuple of int
        Segments with voxels that count.
    both_bits, pred_bits, true_bits : ndarray of float64, shape (K,)
        The same with n log2 n instead of squares.
    """

    both: tuple[int, ...]
    pred: tuple[int, ...]
    true: tuple[int, ...]
    rest: tuple[int, ...]
    voxels: tuple[int, ...]
    segments: tuple[int, ...]
    both_bits: NDArray[np.float64]
    pred_bits: NDArray[np.float64]
    true_bits: NDArray[np.float64]


def grow(entries: Entries, merges: Merges, *, pieces: int, truths: int, levels: int) -> Growth:
    """Let pieces enter and merge, and note the sums after every level.

    Parameters
    ----------
    entries : Entries
        What enters; levels from ``levels`` on never do.
    merges : Merges
        What merges; the order within a level does not matter.
    pieces, truths : int
        How many there are.
    levels : int
        How many to note.

    Returns
    -------
    Growth

    Examples
    --------
    >>> one = np.array([0, 1])
    >>> found = grow(
    ...     Entries(one, np.array([0, 0]), np.array([3, 4]), np.array([0, 0])),
    ...     Merges(np.array([0]), np.array([1]), np.array([1])),
    ...     pieces=2, truths=1, levels=2,
    ... )
    >>> found.both, found.segments
    ((25, 49), (2, 1))
    """
    order = np.argsort(entries.level, kind="stable")
    later = np.argsort(merges.level, kind="stable")
    rows = tuple(
        np.ascontiguousarray(column[order], np.int64)
        for column in (entries.piece, entries.truth, entries.count, entries.level)
    )
    pairs = tuple(
        np.ascontiguousarray(column[later], np.int64)
        for column in (merges.a, merges.b, merges.level)
    )
    wide, numbers, bits = _grow(rows, pairs, pieces, truths, levels)
    both, pred, true, rest = (
        tuple((int(high) << 64) + int(low) for high, low in wide[:, column])
        for column in (_BOTH, _PRED, _TRUE, _REST)
    )
    voxels, segments = (tuple(int(n) for n in column) for column in numbers.T)
    return Growth(
        *(both, pred, true, rest, voxels, segments),
        both_bits=bits[:, _BOTH],
        pred_bits=bits[:, _PRED],
        true_bits=bits[:, _TRUE],
    )


@numba.njit(nogil=True, cache=True)
def _grow(rows: Any, pairs: Any, pieces: int, truths: int, levels: int) -> Any:
    piece, truth, count, level = rows
    a, b, at = pairs
    state = _new_state(piece, truth, count, pieces, truths)
    parent, length, voxels, sums, bits = state[0], state[3], state[4], state[7], state[8]
    wide = np.zeros((levels, 4, 2), np.uint64)
    numbers = np.zeros((levels, 2), np.int64)
    logs = np.zeros((levels, 3), np.float64)
    table = np.full(1 << 12, -1, np.int64)
    used, row, pair, inside, segments = 0, 0, 0, np.int64(0), np.int64(0)
    for step in range(levels):
        while row < len(piece) and level[row] <= step:
            if 2 * (used + 1) > len(table):
                table, used = _rebuilt(state, table)
            root = root_of(parent, piece[row])
            segments += np.int64(voxels[root] == 0)
            used += _enter(state, table, row, root)
            inside += count[row]
            row += 1
        while pair < len(a) and at[pair] <= step:
            one, two = root_of(parent, a[pair]), root_of(parent, b[pair])
            pair += 1
            if one == two:
                continue
            segments -= np.int64(voxels[one] > 0 and voxels[two] > 0)
            small = min(length[one], length[two])
            if 2 * (used + small) > len(table):
                table, used = _rebuilt(state, table)
            used += _merge(state, table, one, two)
        wide[step], numbers[step] = sums, (inside, segments)
        for column in range(3):
            logs[step, column] = bits[column, 0] + bits[column, 1]
    return wide, numbers, logs


@numba.njit(nogil=True, cache=True)
def _new_state(piece: Ints, truth: Ints, count: Ints, pieces: int, truths: int) -> Any:
    """Begin with nothing inside.

    Every root has a list of cells; cell ``e`` belongs to entry ``e``: its root (-1: none), its
    truth, its voxels.
    """
    parent = np.arange(pieces)
    head, behind = np.full(pieces, -1, np.int64), np.full(len(piece), -1, np.int64)
    length, voxels = np.zeros(pieces, np.int64), np.zeros(pieces, np.int64)
    entered = np.zeros(truths, np.int64)
    cells = np.full((len(piece), 3), -1, np.int64)
    cells[:, 1], cells[:, 2] = truth, count
    sums, bits = np.zeros((4, 2), np.uint64), np.zeros((3, 2), np.float64)
    missing = np.zeros(truths, np.int64)
    for row in range(len(piece)):
        missing[truth[row]] += count[row]
    for n in missing:
        add_product(sums[_REST], int(n), int(n))
    return parent, head, behind, length, voxels, entered, cells, sums, bits, missing


@numba.njit(nogil=True, cache=True)
def _enter(state: Any, table: Ints, row: int, root: int) -> Any:
    """Add an entry to a segment; tell how many places of the table it took."""
    _, head, behind, length, voxels, entered, cells, sums, bits, missing = state
    t, n = cells[row, 1], cells[row, 2]
    grow_square(sums, bits, _PRED, voxels[root], n)
    grow_square(sums, bits, _TRUE, entered[t], n)
    subtract_product(sums[_REST], n, 2 * missing[t] - n)
    voxels[root] += n
    entered[t] += n
    missing[t] -= n
    place = _find(table, cells, root, t)
    if table[place] >= 0:
        cell = table[place]
        grow_square(sums, bits, _BOTH, cells[cell, 2], n)
        cells[cell, 2] += n
        return 0
    grow_square(sums, bits, _BOTH, 0, n)
    cells[row, 0] = root
    behind[row] = head[root]
    head[root] = row
    length[root] += 1
    table[place] = row
    return 1


@numba.njit(nogil=True, cache=True)
def _merge(state: Any, table: Ints, keep: int, gone: int) -> Any:
    """Move the cells of the segment with fewer of them into the other."""
    parent, head, behind, length, voxels, _, cells, sums, bits, _ = state
    if length[keep] < length[gone]:
        keep, gone = gone, keep
    parent[gone] = keep
    if voxels[gone] > 0:
        join_square(sums, bits, _PRED, voxels[keep], voxels[gone])
        voxels[keep] += voxels[gone]
    taken, cell = 0, head[gone]
    while cell >= 0:
        after = behind[cell]
        place = _find(table, cells, keep, cells[cell, 1])
        twin = table[place]
        if twin >= 0:
            join_square(sums, bits, _BOTH, cells[twin, 2], cells[cell, 2])
            cells[twin, 2] += cells[cell, 2]
            cells[cell, 0] = -1
        else:
            cells[cell, 0] = keep
            behind[cell] = head[keep]
            head[keep] = cell
            length[keep] += 1
            table[place] = cell
            taken += 1
        cell = after
    head[gone] = -1
    return taken


@numba.njit(nogil=True, cache=True)
def _find(table: Ints, cells: Ints, root: int, truth: int) -> Any:
    """Find the place of a segment's cell of a truth, or the free one where it belongs.

    A cell that moved to another segment leaves its old place behind, which nobody asks for.
    """
    mixed = (np.uint64(root) * _MIX + np.uint64(truth)) * _PRIME
    mask = len(table) - 1
    place = np.int64(mixed >> _HALF) & mask
    while table[place] >= 0:
        cell = table[place]
        if cells[cell, 0] == root and cells[cell, 1] == truth:
            break
        place = (place + 1) & mask
    return place


@numba.njit(nogil=True, cache=True)
def _rebuilt(state: Any, table: Ints) -> Any:
    """Make a table of the cells that are alive, at most a quarter full."""
    cells = state[6]
    alive = 0
    for cell in range(len(cells)):
        alive += cells[cell, 0] >= 0
    size = len(table)
    while 4 * alive > size:
        size *= 2
    # The smaller side of a merge may be as large as all that is alive.
    fresh = np.full(size, -1, np.int64)
    for cell in range(len(cells)):
        if cells[cell, 0] >= 0:
            fresh[_find(fresh, cells, cells[cell, 0], cells[cell, 1])] = cell
    return fresh, alive
