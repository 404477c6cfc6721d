"""Cells: packed, branching, winding, as a function of position without any array of the whole.

Nodes lie on a jittered lattice; a voxel belongs to the node of least power distance.  Nodes are
joined along straight rods, six to a rod, that fill cubes of 6³ nodes.  Every second cube (as on a
chess board) gives each of its rods to the rod that it runs into in a neighbouring cube: a cell is
a trunk with side branches, and its name follows from one look at a neighbour.  The caller bends
space, which makes cells wind.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volkit.testing.hashing import hash3, stream, unit

ROD = 6  # nodes along a rod, and rods along a cube
_JITTER = 0.2  # largest displacement of a node, in node distances
_SPREAD = 0.2  # largest weight, in squared node distances: thick cells beside thin ones
_AXIS, _END, _PLACE, _WEIGHT = 1, 2, 3, 4  # streams


@njit(nogil=True, cache=True)
def cell_of(seed: int, z: int, y: int, x: int) -> int:
    """Name the cell of a node.

    Parameters
    ----------
    seed : int
        Of the specimen.
    z, y, x : int
        Place on the lattice.

    Returns
    -------
    int
        Unique in a lattice of 1.5 million nodes along every axis, greater than 0.
    """
    bz, by, bx = z // ROD, y // ROD, x // ROD
    if (bz + by + bx) & 1:
        axis, across = _rod(seed, z, y, x)
        key = hash3(stream(seed, _END), bz * 64 + across, by, bx)
        end = ROD if unit(key, 0) < 0.5 else -1
        z = bz * ROD + end if axis == 0 else z
        y = by * ROD + end if axis == 1 else y
        x = bx * ROD + end if axis == 2 else x
        bz, by, bx = z // ROD, y // ROD, x // ROD
    _, rod = _rod(seed, z, y, x)
    # 18 bits for each coordinate of a cube, 6 for the rod in it.
    return (((bz + 2) << 42) | ((by + 2) << 24) | ((bx + 2) << 6) | rod) + 1


@njit(nogil=True, cache=True)
def _rod(seed: int, z: int, y: int, x: int) -> tuple[int, int]:
    """Find the direction of the rods of a node's cube, and which of them the node is on."""
    bz, by, bx = z // ROD, y // ROD, x // ROD
    lz, ly, lx = z - bz * ROD, y - by * ROD, x - bx * ROD
    axis = int(unit(hash3(stream(seed, _AXIS), bz, by, bx), 0) * 3.0)
    if axis == 0:
        return axis, ly * ROD + lx
    if axis == 1:
        return axis, lz * ROD + lx
    return axis, lz * ROD + ly


@njit(nogil=True, cache=True)
def node_table(
    seed: int, first: NDArray[np.int64], shape: tuple[int, int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Tabulate the nodes of a part of the lattice.

    Parameters
    ----------
    seed : int
        Of the specimen.
    first : ndarray of int64, shape (3,)
        First node, (z, y, x).
    shape : tuple of int
        Number of nodes, (z, y, x).

    Returns
    -------
    nodes : ndarray of float64, shape (Z, Y, X, 4)
        Place (z, y, x) in node distances, and weight.
    cells : ndarray of int64, shape (Z, Y, X)
        Names.
    """
    nodes = np.empty((shape[0], shape[1], shape[2], 4), np.float64)
    cells = np.empty(shape, np.int64)
    place, weight = stream(seed, _PLACE), stream(seed, _WEIGHT)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                z, y, x = first[0] + i, first[1] + j, first[2] + k
                cell = cell_of(seed, z, y, x)
                h = hash3(place, z, y, x)
                nodes[i, j, k, 0] = z + 0.5 + _JITTER * (2.0 * unit(h, 0) - 1.0)
                nodes[i, j, k, 1] = y + 0.5 + _JITTER * (2.0 * unit(h, 1) - 1.0)
                nodes[i, j, k, 2] = x + 0.5 + _JITTER * (2.0 * unit(h, 2) - 1.0)
                nodes[i, j, k, 3] = _SPREAD * unit(hash3(weight, cell, 0, 0), 0)
                cells[i, j, k] = cell
    return nodes, cells


@njit(nogil=True, cache=True)
def find_cells(
    places: NDArray[np.float64],
    first: NDArray[np.int64],
    nodes: NDArray[np.float64],
    cells: NDArray[np.int64],
) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Find the cell at every place, and how far its boundary is.

    Parameters
    ----------
    places : ndarray of float64, shape (N, 3)
        (z, y, x) in node distances.
    first, nodes, cells
        As `node_table` takes and gives them; one node more than the places need, all around.

    Returns
    -------
    names : ndarray of uint64, shape (N,)
        Of cells.
    distance : ndarray of float32, shape (N,)
        To the nearest other cell's border plane, in node distances, at most 1.
    """
    names = np.empty(len(places), np.uint64)
    distance = np.empty(len(places), np.float32)
    for n in range(len(places)):
        z, y, x = places[n, 0], places[n, 1], places[n, 2]
        i = int(np.floor(z)) - first[0]
        j = int(np.floor(y)) - first[1]
        k = int(np.floor(x)) - first[2]
        best, bi, bj, bk = np.inf, i, j, k
        for a in range(i - 1, i + 2):
            for b in range(j - 1, j + 2):
                for c in range(k - 1, k + 2):
                    power = _power(nodes[a, b, c], z, y, x)
                    if power < best:
                        best, bi, bj, bk = power, a, b, c
        own, cell, near = nodes[bi, bj, bk], cells[bi, bj, bk], 1.0
        for a in range(i - 1, i + 2):
            for b in range(j - 1, j + 2):
                for c in range(k - 1, k + 2):
                    if cells[a, b, c] != cell:
                        node = nodes[a, b, c]
                        apart = np.sqrt(
                            (own[0] - node[0]) ** 2
                            + (own[1] - node[1]) ** 2
                            + (own[2] - node[2]) ** 2
                        )
                        near = min(near, (_power(node, z, y, x) - best) / (2.0 * apart))
        names[n], distance[n] = cell, near
    return names, distance


@njit(nogil=True, cache=True)
def _power(node: NDArray[np.float64], z: float, y: float, x: float) -> float:
    return (z - node[0]) ** 2 + (y - node[1]) ** 2 + (x - node[2]) ** 2 - node[3]
