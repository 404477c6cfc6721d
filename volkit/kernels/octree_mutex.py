"""Mutex watershed that rises through a tree of boxes: each decides what is certain inside it.

A table of a box holds the edges that its parent needs: those between fragments that may have more
contacts elsewhere, and of those between groups that others decide about the first of each two.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.settled_mutex import settle_mutex
from volkit.kernels.signed_graph import add_signed_graphs, edge_weights
from volkit.kernels.whole_regions import seen_inside

Labels = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]
"""Pairs of fragments ``u < v`` with ``far``, ``sum`` and ``count`` as in a signed graph, and the
regions ``at_u`` and ``at_v`` (uint64) that these are in; regions ``region`` that are not named
after their ``smallest`` fragment (uint64); fragments ``id`` that touch a ``face``, and those
``inside`` and ``named``, as in agglomeration.  A region is named after its fragment at a face."""

_EDGES = ("u", "v", "far", "sum", "count", "at_u", "at_v")


def signed_table(graph: Table) -> Table:
    """Make a table of a signed graph in which nothing is decided yet.

    Parameters
    ----------
    graph : dict of ndarray
        From ``signed_graph``.

    Returns
    -------
    dict of ndarray
        A table without faces.
    """
    none = np.zeros(0, np.uint64)
    faces: Table = {"id": none, "face": np.zeros(0, np.uint8), "inside": none, "named": none}
    names = {"at_u": graph["u"], "at_v": graph["v"], "region": none, "smallest": none}
    return {**graph, **names, **faces}


def rise_signed(tables: Sequence[Table]) -> tuple[Table, Table]:
    """Decide what is certain in a box; why it is, `volkit.kernels.settled_mutex` says.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Of the parts of the box, with the faces that are faces of the box too.

    Returns
    -------
    up : dict of ndarray
        What the box around this one needs.
    kept : dict of ndarray
        What was decided, as ``octree_agglomeration.sink`` reads it: regions ``a`` and ``b``
        (uint64, the latter absorbed) in the order in which they merged, below any threshold above
        0; and ``up`` (uint64, sorted), the regions whose fate others decide.

    Raises
    ------
    ContractError
        If a region that touches no face of the box has voxels in it, but not the one that it is
        named after: it stands elsewhere too, and would be decided in both places.

    Examples
    --------
    >>> graph = {"u": np.array([1, 2, 1], np.uint64), "v": np.array([2, 3, 3], np.uint64),
    ...          "far": np.array([False, False, True]), "sum": np.array([9, 5, 3]) * 2**30 // 10,
    ...          "count": np.ones(3, np.int64)}
    >>> up, kept = rise_signed([signed_table(graph)])
    >>> kept["a"].tolist(), kept["b"].tolist(), up["u"].tolist()
    ([1], [2], [])
    """
    inside, named = seen_inside(tables)
    edges = add_signed_graphs([{name: table[name] for name in _EDGES} for table in tables])
    names = ("id", "face", "region", "smallest")
    rows = {name: np.concatenate([table[name] for table in tables]) for name in names}
    faces = np.unique(np.stack([rows["id"], rows["face"].astype(np.uint64)]), axis=1)
    ids = np.unique(np.concatenate([edges["at_u"], edges["at_v"], rows["region"]]))
    ends = np.stack([np.searchsorted(ids, edges[name]) for name in ("at_u", "at_v")])
    # Between two fragments that go on, more contacts may be counted elsewhere: no weight is known.
    unknown = np.isin(edges["u"], faces[0]) & np.isin(edges["v"], faces[0])
    order = np.lexsort((edges["far"], edges["v"], edges["u"], -edge_weights(edges)))
    order = order[~unknown[order]]
    frozen = np.isin(ids, faces[0])
    a, b = ends[:, order]
    group, merges, first = settle_mutex(a, b, ~edges["far"][order], frozen)
    others = _first_of_each(order[first], group[ends], frozen[ends[0]] & frozen[ends[1]])
    risen = np.concatenate([others, np.flatnonzero(unknown)])
    region, smallest = _misnamed(ids, group, rows["region"], rows["smallest"])
    goes_on = frozen[np.searchsorted(ids, region)]
    up = {name: edges[name][risen] for name in _EDGES}
    up |= dict(zip(("at_u", "at_v"), ids[group[ends[:, risen]]], strict=True))
    up |= {"region": region[goes_on], "smallest": smallest[goes_on]}
    up |= {"id": faces[0], "face": faces[1].astype(np.uint8), "inside": inside, "named": named}
    # Where regions end, they are handed over to their smallest fragments at last.
    kept = {
        "a": np.concatenate([ids[merges[:, 0]], smallest[~goes_on]]),
        "b": np.concatenate([ids[merges[:, 1]], region[~goes_on]]),
        "up": np.unique(np.concatenate([up["at_u"], up["at_v"], up["region"], faces[0]])),
    }
    scores = {"num": np.zeros(len(kept["a"]), np.int64), "den": np.ones(len(kept["a"]), np.int64)}
    return up, kept | scores


def _misnamed(
    ids: Labels, group: NDArray[np.int64], region: Labels, smallest: Labels
) -> tuple[Labels, Labels]:
    """Find the regions that are not named after their smallest fragment, and that."""
    least = ids.copy()
    np.minimum.at(least, np.searchsorted(ids, region), smallest)
    of_group = ids.copy()
    np.minimum.at(of_group, group, least)
    at = np.flatnonzero((of_group != ids) & (group == np.arange(len(ids))))
    return ids[at], of_group[at]


def _first_of_each(
    rows: NDArray[np.intp], groups: NDArray[np.int64], open_ended: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Keep of edges in their order the first between each two groups that others decide about."""
    rows = rows[open_ended[rows]]
    low, high = np.sort(groups[:, rows], axis=0)
    nodes = int(groups.max(initial=0)) + 1
    _, at = np.unique(low * nodes + high, return_index=True)
    return rows[at]
