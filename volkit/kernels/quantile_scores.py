"""Histograms of the affinities across every contact, in parts that add up exactly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box
from volkit.kernels.affinity_graph import Floats, Labels
from volkit.kernels.contact_faces import contact_faces
from volkit.kernels.distinct import first_of_runs

BINS = 256


def contact_histograms(
    labels: Labels, affinities: Floats, core: Box, *, toward: int, sections: bool = False
) -> dict[str, NDArray[Any]]:
    """Count the affinities between every two labels that touch, in 256 bins.

    An edge between two voxels belongs to the later one: blocks that see one voxel more count
    every edge of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``, sorted by pair); and for every bin that is not empty a row
        of ``edge`` (int64: which pair), ``bin`` (int64, 0 to 255) and ``number`` (int64).

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3], [1, 3, 3]]], np.uint64)
    >>> affinities = np.zeros((3, 1, 2, 3), np.float32)
    >>> affinities[1], affinities[2] = 0.5, 1
    >>> rows = contact_histograms(labels, affinities, Box((0, 0, 0), (1, 2, 3)), toward=-1)
    >>> {name: column.tolist() for name, column in rows.items()}
    {'u': [1], 'v': [3], 'edge': [0, 0], 'bin': [128, 255], 'number': [1, 2]}
    """
    faces = contact_faces(labels, affinities, core, toward=toward, sections=sections)
    level = np.minimum(faces.affinity * np.float32(BINS), np.float32(BINS - 1)).astype(np.uint64)
    # In one number: sorted in a fraction of the time of several columns.
    keys = np.sort(faces.edge * np.uint64(BINS) + level)
    first = np.flatnonzero(first_of_runs(keys))
    edge, bins = np.divmod(keys[first].astype(np.int64), BINS)
    number = np.diff(first, append=len(keys))
    return {"u": faces.u, "v": faces.v, "edge": edge, "bin": bins, "number": number}


def largest_bins(rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Keep the highest bin of every contact, once.

    Parameters
    ----------
    rows : dict of ndarray
        As ``contact_histograms`` gives them.

    Returns
    -------
    dict of ndarray
        Likewise.

    Examples
    --------
    >>> rows = {"u": np.array([1, 1]), "v": np.array([2, 3]), "edge": np.array([0, 0, 1]),
    ...         "bin": np.array([7, 200, 30]), "number": np.array([4, 2, 5])}
    >>> {name: column.tolist() for name, column in largest_bins(rows).items() if name != "u"}
    {'v': [2, 3], 'edge': [0, 1], 'bin': [200, 30], 'number': [1, 1]}
    """
    edge = rows["edge"]
    last = np.append(edge[1:] != edge[:-1], True) if len(edge) else np.zeros(0, bool)
    kept = {"edge": edge[last], "bin": rows["bin"][last], "number": np.ones_like(edge[last])}
    return {**rows, **kept}
