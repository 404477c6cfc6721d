"""Linkage of basins by size that rises through a tree of boxes: each joins what is certain in it.

A table of a box is a list of rows, of which a kind says what they are; why they are enough,
`volkit.kernels.settled_linkage` says.  What was decided stays with the box: a part of the merge
tree, which is read when labels sink again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.label import unite
from volkit.kernels.merge_tree import allowed_sizes
from volkit.kernels.octree_components import named
from volkit.kernels.settled_linkage import GROW, JOIN, NAME, SPAN, settle_linkage, settle_spans

Labels = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]
"""Rows ``kind`` (uint8) between regions ``p`` and ``q`` (uint64), each of which an edge ``u < v``
of fragments (uint64) with its ``affinity`` (float32) dates; ``voxels`` (int64) that p gains, or
the fragment ``u`` that is in the group of p; from the beginning where the affinity is infinite.
Regions ``id`` that touch a ``face`` (uint8: 0 and 1 on z, 2 and 3 on y, 4 and 5 on x)."""

_ROWS = ("kind", "p", "q", "affinity", "u", "v", "voxels")
_ALWAYS = np.float32(np.inf)


def basin_table(graph: Table) -> Table:
    """Make a table of a graph in which nothing is decided yet.

    Parameters
    ----------
    graph : dict of ndarray
        As ``basin_graph`` gives it, of connected basins.

    Returns
    -------
    dict of ndarray
        A table without faces.
    """
    u, v, ids = (graph[name].astype(np.uint64) for name in ("u", "v", "id"))
    edges = _rows(JOIN | SPAN, u, (graph["affinity"], u, v), q=v)
    sizes = _rows(GROW, ids, None, voxels=graph["voxels"])
    none: Table = {"id": u[:0], "face": np.zeros(0, np.uint8)}
    return {**_appended([edges, sizes]), **none}


def rise_basins(
    tables: Sequence[Table], *, linkage: Sequence[tuple[int, float]]
) -> tuple[Table, Table]:
    """Join what is certain in a box.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Of the parts of the box, with the faces that are faces of the box too.
    linkage : sequence of (int, float)
        Pairs (voxels, affinity), as ``merge_tree`` takes them.

    Returns
    -------
    up : dict of ndarray
        What the box around this one needs.
    kept : dict of ndarray
        What was decided: a part of the merge tree, ``a``, ``b``, ``saliency`` and ``linked``, in
        which ``merge_tree`` has them, too; ``p`` and ``q`` (uint64), the regions that these edges
        join; the fragments ``least`` (uint64) that regions ``node`` (uint64) have from the affinity
        ``least_at`` (float32) down; and ``up`` (uint64, sorted), the regions whose fate others
        decide.

    Examples
    --------
    >>> graph = {"u": np.array([1, 2], np.uint64), "v": np.array([2, 3], np.uint64),
    ...          "affinity": np.array([0.5, 0.7], np.float32),
    ...          "id": np.array([1, 2, 3], np.uint64), "voxels": np.array([5, 5, 90])}
    >>> up, kept = rise_basins([basin_table(graph)], linkage=[(10, 0.6)])
    >>> kept["a"].tolist(), kept["b"].tolist(), kept["linked"].tolist(), up["p"].tolist()
    ([2, 1], [3, 2], [True, False], [])
    """
    rows = _appended(tables)
    order = np.lexsort((rows["v"], rows["u"], -rows["affinity"]))
    rows = {name: column[order] for name, column in rows.items()}
    faces = np.stack([np.concatenate([t[name] for t in tables]) for name in ("id", "face")])
    faces = np.unique(faces.astype(np.uint64), axis=1)
    ids = np.unique(np.concatenate([rows["p"], rows["q"], faces[0]]))
    ends = np.stack([np.searchsorted(ids, rows[name]) for name in "pq"]).astype(np.int64)
    is_open = np.isin(ids, faces[0])
    allowed = allowed_sizes(rows["affinity"], linkage)
    group, linked, deferred, grown, at, opened = settle_linkage(
        ends, rows["kind"], rows["voxels"], allowed, is_open
    )
    least = ids.copy()
    np.minimum.at(least, group, ids)
    parts = [
        _of_rows(JOIN, rows, ids[at], _first_of_pairs(deferred, at)),
        _of_rows(GROW, rows, ids[at[[0, 0]]], grown > 0, voxels=grown),
        _rows(GROW, ids[opened > 0], None, voxels=opened[opened > 0]),
        _names(ids, is_open & (least < ids), least),
    ]
    certain, risen, told, at = settle_spans(ends, rows["kind"], rows["u"], group, is_open, least)
    parts.append(_of_rows(SPAN, rows, ids[at], risen))
    parts.append(_told(rows["affinity"], told, ids[at[0]]))
    up = {**_appended(parts), "id": faces[0], "face": faces[1].astype(np.uint8)}
    kept = _kept(rows, linked, np.concatenate([np.flatnonzero(linked), np.flatnonzero(certain)]))
    return up, {**kept, "up": ids[is_open]}


def sink_basins(kept: Table, above: Table | None, *, threshold: float | None) -> Table:
    """Say what becomes of the regions of a box.

    Parameters
    ----------
    kept : dict of ndarray
        Of the box, from :func:`rise_basins`.
    above : dict of ndarray or None
        What this function said about the box around it; None for the whole.
    threshold : float or None
        Least affinity across which regions join; None joins by size alone.

    Returns
    -------
    dict of ndarray
        ``old`` (uint64, sorted) and ``new``: regions that change.
    """
    least = _ALWAYS if threshold is None else np.float32(threshold)
    joins = kept["linked"] | (kept["saliency"] >= least)
    ids = np.unique(np.concatenate([kept["p"], kept["q"], kept["node"], kept["up"]]))
    old, new = unite(kept["p"][joins], kept["q"][joins])
    group = np.searchsorted(ids, named(ids, {"old": old, "new": new}))
    names, heard = ids.copy(), kept["least_at"] >= least
    of = group[np.searchsorted(ids, kept["node"][heard])]
    np.minimum.at(names, of, kept["least"][heard])
    # Of regions whose fate others decide there is one in a group at most.
    up = kept["up"]
    names[group[np.searchsorted(ids, up)]] = up if above is None else named(up, above)
    found = names[group]
    changed = found != ids
    return {"old": ids[changed], "new": found[changed]}


def _kept(rows: Table, linked: NDArray[np.bool_], decided: NDArray[np.intp]) -> Table:
    """Make the part of the merge tree that edges are, with the names that regions have in it."""
    names = {"a": "u", "b": "v", "p": "p", "q": "q", "saliency": "affinity"}
    kept = {name: rows[of][decided] for name, of in names.items()} | {"linked": linked[decided]}
    heard = rows["kind"] == NAME
    names = {"node": "p", "least": "u", "least_at": "affinity"}
    return kept | {name: rows[of][heard] for name, of in names.items()}


def _rows(kind: int, p: Labels, when: Any, *, q: Any = None, voxels: Any = None) -> Table:
    """Make rows of a kind; ``when`` are affinities and edges, None from the beginning on."""
    none = np.zeros(len(p), np.uint64)
    affinity, u, v = (np.full(len(p), _ALWAYS), none, none) if when is None else when
    return {
        "kind": np.full(len(p), kind, np.uint8),
        "p": p,
        "q": p if q is None else q,
        "affinity": affinity.astype(np.float32, copy=False),
        "u": u,
        "v": v,
        "voxels": np.zeros(len(p), np.int64) if voxels is None else voxels.astype(np.int64),
    }


def _of_rows(kind: int, rows: Table, ends: Any, which: Any, *, voxels: Any = None) -> Table:
    """Make rows of a kind that are dated as others are."""
    when = tuple(rows[name][which] for name in ("affinity", "u", "v"))
    p, q = ends[:, which]
    return _rows(kind, p, when, q=q, voxels=None if voxels is None else voxels[which])


def _names(ids: Labels, which: Any, least: Labels) -> Table:
    """Say which fragment is in regions from the beginning."""
    when = np.full(np.count_nonzero(which), _ALWAYS), least[which], np.zeros_like(least[which])
    return _rows(NAME, ids[which], when)


def _told(affinity: NDArray[np.float32], told: Labels, node: Labels) -> Table:
    """Say which fragment is the smallest of a group from an affinity down, once for each."""
    rows = np.flatnonzero(told)
    order = rows[np.lexsort((told[rows], affinity[rows], node[rows]))]
    first = np.ones(len(order), bool)
    for column in (affinity[order], node[order]):
        first[1:] &= column[1:] == column[:-1]
    first[1:] = ~first[1:]
    rows = order[first]
    when = affinity[rows], told[rows], np.zeros_like(told[rows])
    return _rows(NAME, node[rows], when)


def _first_of_pairs(which: NDArray[np.bool_], at: NDArray[np.int64]) -> NDArray[np.intp]:
    """Keep of rows in their order the first between each two regions."""
    rows = np.flatnonzero(which)
    low, high = np.sort(at[:, rows], axis=0)
    nodes = int(at.max(initial=0)) + 1
    _, first = np.unique(low * nodes + high, return_index=True)
    return rows[first]


def _appended(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in _ROWS}
