"""The largest affinities across every contact, in parts that can be put together exactly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box
from volkit.kernels.affinity_graph import Floats, Labels
from volkit.kernels.contact_faces import contact_faces
from volkit.kernels.contacts import ONE
from volkit.kernels.distinct import first_of_runs

Ints = NDArray[np.int64]
Rows = dict[str, NDArray[Any]]

_VALUES = np.uint64(2 * ONE)  # above every affinity, in units of 2**-30


def largest_affinities(
    labels: Labels, affinities: Floats, core: Box, *, k: int, toward: int, sections: bool = False
) -> Rows:
    """List the k largest affinities between every two labels that touch.

    An edge between two voxels belongs to the later one: blocks that see one voxel more list every
    edge of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    k : int
        How many, at least 1; a contact of fewer faces has as many.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``, sorted by pair); for every value a row of ``edge`` (int64:
        which pair), ``bin`` (int64: the affinity, units of 2**-30) and ``number`` (int64), sorted
        by the first two; and their ``sum`` (int64, of 1 - affinity) and ``count`` by pair.

    Raises
    ------
    ContractError
        If the shapes differ, or k is less than 1.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3], [1, 3, 3]]], np.uint64)
    >>> affinities = np.zeros((3, 1, 2, 3), np.float32)
    >>> affinities[1], affinities[2] = 0.5, 1
    >>> rows = largest_affinities(labels, affinities, Box((0, 0, 0), (1, 2, 3)), k=2, toward=-1)
    >>> {name: (rows[name] / 2**30).tolist() for name in ("bin", "sum")}, rows["number"].tolist()
    ({'bin': [1.0], 'sum': [0.0]}, [2])
    """
    _check_many(k)
    faces = contact_faces(labels, affinities, core, toward=toward, sections=sections)
    values = np.rint(faces.affinity.astype(np.float64) * ONE).astype(np.uint64)
    # In one number: sorted in a fraction of the time of several columns.
    keys = np.sort(faces.edge * _VALUES + values)
    first = np.flatnonzero(first_of_runs(keys))
    number = np.diff(first, append=len(keys))
    edge, values = np.divmod(keys[first], _VALUES)
    rows = {"edge": edge.astype(np.int64), "bin": values.astype(np.int64), "number": number}
    kept = largest_rows(rows, k=k)
    total, count = sum_of_rows(kept, edges=len(faces.u))
    return {"u": faces.u, "v": faces.v, **kept, "sum": total, "count": count}


def largest_rows(rows: Rows, *, k: int) -> Rows:
    """Keep the k largest values of every edge.

    Parameters
    ----------
    rows : dict of ndarray
        ``edge``, ``bin`` and ``number`` (int64), sorted by the first two.
    k : int
        How many, at least 1.

    Returns
    -------
    dict of ndarray
        Likewise.

    Raises
    ------
    ContractError
        If k is less than 1.

    Examples
    --------
    >>> rows = {"edge": np.array([0, 0, 0, 1]), "bin": np.array([2, 5, 7, 4]),
    ...         "number": np.array([9, 3, 1, 1])}
    >>> {name: column.tolist() for name, column in largest_rows(rows, k=3).items()}
    {'edge': [0, 0, 1], 'bin': [5, 7, 4], 'number': [2, 1, 1]}
    """
    _check_many(k)
    edge, total = rows["edge"], np.cumsum(rows["number"])
    last = np.flatnonzero(np.append(edge[1:] != edge[:-1], True)) if len(edge) else edge
    rows_of = np.diff(last, prepend=-1)
    larger = np.repeat(total[last], rows_of) - total
    number = np.minimum(rows["number"], k - larger)
    kept = number > 0
    return {"edge": edge[kept], "bin": rows["bin"][kept], "number": number[kept]}


def sum_of_rows(rows: Rows, *, edges: int) -> tuple[Ints, Ints]:
    """Add up 1 - affinity for every edge.

    Parameters
    ----------
    rows : dict of ndarray
        ``edge``, ``bin`` (units of 2**-30) and ``number`` (int64).
    edges : int
        How many there are.

    Returns
    -------
    total, count : ndarray of int64, shape (edges,)
        The sum, units of 2**-30, and of how many.
    """
    total, count = np.zeros(edges, np.int64), np.zeros(edges, np.int64)
    np.add.at(total, rows["edge"], (ONE - rows["bin"]) * rows["number"])
    np.add.at(count, rows["edge"], rows["number"])
    return total, count


def _check_many(k: int) -> None:
    if k < 1:
        raise ContractError(
            f"k is {k}: every contact would lose its affinities; keep at least 1 of each"
        )
