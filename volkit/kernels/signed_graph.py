"""Signed graph of fragments: what draws every two together and what keeps them apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box
from volkit.kernels.contacts import ONE
from volkit.kernels.distinct import first_of_runs

Graph = dict[str, NDArray[Any]]
"""Pairs ``u < v`` (uint64) with ``far`` (bool: over long offsets), ``sum`` (int64, affinities in
units of 2**-30) and ``count`` (int64), sorted."""


def signed_graph(
    labels: NDArray[np.uint64],
    affinities: NDArray[np.float32],
    core: Box,
    *,
    offsets: Sequence[Sequence[int]],
    attractive: int = 3,
) -> Graph:
    """Add up the affinities between every two labels, near and far apart.

    An affinity belongs to the voxel at which it is stored: blocks that see as far as the offsets
    count every one of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 is left out.
    affinities : ndarray of float32, shape (C, Z, Y, X)
        0 to 1, high inside cells.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    offsets : sequence of (z, y, x)
        From a voxel to the one that each channel compares it with.
    attractive : int
        The first channels attract; all others repel.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``), ``far`` (bool), ``sum`` and ``count`` (int64).

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3]]], np.uint64)
    >>> affinities = np.full((2, 1, 1, 3), 0.5, np.float32)
    >>> graph = signed_graph(labels, affinities, Box((0, 0, 0), (1, 1, 3)),
    ...                      offsets=[(0, 0, -1), (0, 0, -2)], attractive=1)
    >>> {name: column.tolist() for name, column in graph.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'u': [1, 1], 'v': [3, 3], 'far': [False, True], 'sum': [536870912, 536870912],
     'count': [1, 1]}
    """
    if affinities.shape != (len(offsets), *labels.shape):
        raise ContractError(
            f"labels are {labels.shape}, affinities {affinities.shape}, offsets {len(offsets)}; "
            "give (C, Z, Y, X) of the same voxels, and an offset for every channel"
        )
    parts = []
    for channel, offset in enumerate(offsets):
        spans = zip(core.start, core.stop, offset, labels.shape, strict=True)
        here: Any = tuple(slice(max(a, -o), max(min(b, n - o), a, -o)) for a, b, o, n in spans)
        there = tuple(slice(s.start + o, s.stop + o) for s, o in zip(here, offset, strict=True))
        a, b = labels[here], labels[there]
        apart = (a != b) & (a != 0) & (b != 0)
        a, b, value = a[apart], b[apart], affinities[(channel, *here)][apart]
        fixed = np.rint(value.astype(np.float64) * ONE).astype(np.int64)
        far = np.full(len(a), channel >= attractive)
        u, v = np.minimum(a, b), np.maximum(a, b)
        edges = {"u": u, "v": v, "far": far, "sum": fixed, "count": np.ones_like(fixed)}
        # Channel by channel: rows of all voxels at once would be many times the arrays.
        parts.append(add_signed_graphs([edges]))
    return add_signed_graphs(parts)


def add_signed_graphs(graphs: Sequence[Graph]) -> Graph:
    """Add up the graphs of blocks; the same bits for every order.

    Of other columns, the first of each pair counts.
    """
    whole = {name: np.concatenate([graph[name] for graph in graphs]) for name in graphs[0]}
    order = np.lexsort((whole["far"], whole["v"], whole["u"]))
    whole = {name: column[order] for name, column in whole.items()}
    first = np.flatnonzero(first_of_runs(whole["u"], whole["v"], whole["far"]))
    added = {name: whole[name] for name in ("sum", "count")}
    if len(first):
        added = {name: np.add.reduceat(column, first) for name, column in added.items()}
    return {**{name: column[first] for name, column in whole.items()}, **added}


def edge_weights(graph: Graph) -> NDArray[np.float64]:
    """Say how much every pair attracts, or repels.

    Parameters
    ----------
    graph : dict of ndarray
        As ``signed_graph`` gives it.

    Returns
    -------
    ndarray of float64
        The mean affinity; over long offsets, 1 - that.
    """
    mean = graph["sum"] / (graph["count"] * float(ONE))
    return np.where(graph["far"], 1 - mean, mean)
