"""Agglomeration that rises through a tree of boxes: each merges what is certain inside it.

A table of a box holds what its parent needs: contacts that are not decided yet, and which regions
touch which of its faces.  What was decided stays with the box, and is read when labels sink again.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.contact_bins import added_bins, bin_pool, pool_rows
from volkit.kernels.exact_ratio import compare_ratios
from volkit.kernels.largest_affinities import largest_rows, sum_of_rows
from volkit.kernels.linkage import merge_settled
from volkit.kernels.linkage_rule import Linkage, ratio
from volkit.kernels.whole_regions import seen_inside

Ints = NDArray[np.int64]
Labels = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]
"""Contacts ``u < v`` with ``sum`` and ``count`` (int64) and the contact ``first_u``, ``first_v``
that decides ties; bins (or values) ``edge``, ``bin``, ``number`` (int64) of those; regions ``id``
that touch a ``face`` (uint8: 0 and 1 on z, 2 and 3 on y, 4 and 5 on x); and regions ``inside`` that
have voxels in the box, of which ``named`` are those that are named after one of these (uint64,
sorted)."""


def contact_table(graph: Table) -> Table:
    """Make a table of contacts that are not merged yet.

    Parameters
    ----------
    graph : dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``); and ``sum`` and ``count`` (int64, scores in units of
        2**-30), or ``edge``, ``bin`` and ``number`` (int64), or all of these.

    Returns
    -------
    dict of ndarray
        A table without faces.
    """
    empty = np.zeros(0, np.int64)
    bins = {name: graph.get(name, empty) for name in ("edge", "bin", "number")}
    u, v = graph["u"].astype(np.uint64), graph["v"].astype(np.uint64)
    if not (u < v).all():
        raise ContractError("contacts must be pairs u < v; order the two ids of each")
    count = graph.get("count")
    if count is None:
        count = np.zeros(len(u), np.int64)
        np.add.at(count, bins["edge"], bins["number"])
    total = graph.get("sum", np.zeros(len(u), np.int64))
    none = np.zeros(0, np.uint64)
    faces: Table = {"id": none, "face": np.zeros(0, np.uint8), "inside": none, "named": none}
    ties: Table = {"first_u": u, "first_v": v}
    return {"u": u, "v": v, "sum": total, "count": count, **ties, **bins, **faces}


def add_contacts_of(tables: Sequence[Table], *, linkage: Linkage) -> Table:
    """Put tables of contacts together, and merge nothing.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        From :func:`contact_table`, or what this function gave.
    linkage : Linkage
        What a score is.

    Returns
    -------
    dict of ndarray
        A table without faces.
    """
    none = np.zeros(0, np.uint64)
    return {**_put_together(tables, linkage), "inside": none, "named": none}


def rise(tables: Sequence[Table], *, linkage: Linkage, limit: float) -> tuple[Table, Table]:
    """Merge what is certain in a box.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Of the parts of the box, with the faces that are faces of the box too.
    linkage : Linkage
        What a score is.
    limit : float
        Score at which merging ends, whatever threshold is asked for later, 0 to 1.

    Returns
    -------
    up : dict of ndarray
        What the box around this one needs.
    kept : dict of ndarray
        What was decided: regions ``a < b`` (uint64) in the order in which they merged, the ratio
        ``num`` / ``den`` (int64) that was their score in units of 2**-30; and ``up`` (uint64,
        sorted), the regions whose fate others decide.

    Raises
    ------
    ContractError
        If a region that touches no face of the box has voxels in it, but not the one that it is
        named after: it stands elsewhere too, and would be decided in both places.
    """
    whole = _put_together(tables, linkage)
    inside, named = seen_inside(tables)
    ids = np.unique(np.concatenate([whole["u"], whole["v"]]))
    ends = np.stack([np.searchsorted(ids, whole[name]) for name in "uv"]).astype(np.int64)
    frozen = np.isin(ids, whole["id"])
    rank = np.empty(len(whole["u"]), np.int64)
    order = np.lexsort((whole["first_v"], whole["first_u"]))
    rank[order] = np.arange(len(order))
    sums = np.stack([whole["sum"], whole["count"]], axis=1).astype(np.int64)
    pool = bin_pool(whole["edge"], whole["bin"], whole["number"], len(whole["u"]))
    merges, left = merge_settled(ends, sums, rank, pool, frozen, (linkage.rule, *ratio(limit)))
    up = {
        "u": ids[ends[0, left]],
        "v": ids[ends[1, left]],
        "sum": sums[left, 0],
        "count": sums[left, 1],
        "first_u": whole["first_u"][order[rank[left]]],
        "first_v": whole["first_v"][order[rank[left]]],
        **pool_rows(pool, np.flatnonzero(left)),
        "id": whole["id"],
        "face": whole["face"],
        "inside": inside,
        "named": named,
    }
    kept = {
        "a": ids[merges[:, 0]],
        "b": ids[merges[:, 1]],
        "num": merges[:, 2].copy(),
        "den": merges[:, 3].copy(),
        "up": np.unique(np.concatenate([up["u"], up["v"], up["id"]])),
    }
    return up, kept


def sink(kept: Table, above: Table | None, *, threshold: float) -> Table:
    """Say what becomes of the regions of a box.

    Parameters
    ----------
    kept : dict of ndarray
        Of the box, from :func:`rise`.
    above : dict of ndarray or None
        What this function said about the box around it; None for the whole.
    threshold : float
        Score at which merging ends; at most the limit of :func:`rise`.

    Returns
    -------
    dict of ndarray
        ``old`` (uint64, sorted) and ``new``: regions that change.
    """
    ids = np.unique(np.concatenate([kept["a"], kept["b"], kept["up"]]))
    new = ids.copy()
    if above is not None and len(above["old"]):
        at = np.minimum(np.searchsorted(above["old"], ids), len(above["old"]) - 1)
        # Only for what rose: an id that is settled here is nobody else's.
        known = (above["old"][at] == ids) & np.isin(ids, kept["up"])
        new[known] = above["new"][at[known]]
    a, b = np.searchsorted(ids, kept["a"]), np.searchsorted(ids, kept["b"])
    _follow(new, a, b, kept["num"], kept["den"], *ratio(threshold))
    changed = new != ids
    return {"old": ids[changed], "new": new[changed]}


def agglomerate_table(table: Table, *, linkage: Linkage, threshold: float) -> tuple[Labels, Labels]:
    """Merge the whole graph at once.

    Parameters
    ----------
    table : dict of ndarray
        From :func:`contact_table`.
    linkage : Linkage
        What a score is.
    threshold : float
        Score at which merging ends, 0 to 1.

    Returns
    -------
    old, new : ndarray of uint64
        The fragments that change, sorted, and the smallest id of the group of each.

    References
    ----------
    J. Funke et al., Large scale image segmentation with structured loss based deep learning for
    connectome reconstruction, 2019, https://doi.org/10.1109/TPAMI.2018.2835450

    Examples
    --------
    >>> graph = {"u": np.array([1, 2], np.uint64), "v": np.array([2, 3], np.uint64),
    ...          "edge": np.array([0, 0, 1]), "bin": np.array([10, 200, 30]),
    ...          "number": np.array([1, 2, 5])}
    >>> table = contact_table(graph)
    >>> old, new = agglomerate_table(table, linkage=Linkage("quantile", 50), threshold=0.5)
    >>> old.tolist(), new.tolist()
    ([2], [1])
    """
    _, kept = rise([table], linkage=linkage, limit=threshold)
    found = sink(kept, None, threshold=threshold)
    return found["old"], found["new"]


def _put_together(tables: Sequence[Table], linkage: Linkage) -> Table:
    """Put the tables of parts together; regions on both sides of a face are the same."""
    rows = [len(table["u"]) for table in tables]
    shifts = np.repeat(np.cumsum([0, *rows[:-1]]), [len(table["edge"]) for table in tables])
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    whole["edge"] = whole["edge"] + shifts
    if linkage.contact == "largest":
        whole = _without_smaller_twins(whole)
    order = np.lexsort((whole["first_v"], whole["first_u"], whole["v"], whole["u"]))
    u, v = whole["u"][order], whole["v"][order]
    begins = np.ones(len(u), bool)
    begins[1:] = (u[1:] != u[:-1]) | (v[1:] != v[:-1])
    first = np.flatnonzero(begins)
    total, count = whole["sum"][order], whole["count"][order]
    if len(first):
        how = {"max": np.minimum, "min": np.maximum}.get(linkage.kind, np.add)
        total, count = how.reduceat(total, first), np.add.reduceat(count, first)
    # The rule of ties is that of merging: the first contact for means, the last for all others.
    decides = first if linkage.kind == "mean" else np.append(first[1:], len(u)) - 1
    decides = decides[: len(first)]
    row = np.empty(len(u), np.int64)
    row[order] = np.cumsum(begins) - 1
    joined = {"u": u[first], "v": v[first], "sum": total, "count": count}
    ties = {name: whole[name][order][decides] for name in ("first_u", "first_v")}
    faces = np.unique(np.stack([whole["id"], whole["face"].astype(np.uint64)]), axis=1)
    bins = added_bins(row[whole["edge"]], whole["bin"], whole["number"])
    if linkage.kind == "max_k":
        bins = largest_rows(bins, k=linkage.k)
        # Twins are contacts of fragments: where regions were merged, one box holds all of them.
        several = np.bincount(row, minlength=len(first)) > 1
        of_rows = sum_of_rows(bins, edges=len(first))
        for name, found in zip(("sum", "count"), of_rows, strict=True):
            joined[name] = np.where(several, found, joined[name])
    return {**joined, **ties, **bins, "id": faces[0], "face": faces[1].astype(np.uint8)}


def _without_smaller_twins(whole: Table) -> Table:
    """Keep of the contacts between the same two the one with the highest bin.

    A contact that lies in several boxes is one between fragments: where regions were merged, one
    box holds all of them.  So twins have one bin each.
    """
    order = np.lexsort((whole["v"], whole["u"]))
    u, v = whole["u"][order], whole["v"][order]
    alike = (u[1:] == u[:-1]) & (v[1:] == v[:-1])
    twin = np.zeros(len(u), bool)
    twin[order[1:][alike]] = twin[order[:-1][alike]] = True
    rows = np.flatnonzero(twin)
    highest = np.zeros(len(u), np.int64)
    np.maximum.at(highest, whole["edge"], whole["bin"])
    best = rows[np.lexsort((-highest[rows], whole["v"][rows], whole["u"][rows]))]
    first = np.ones(len(best), bool)
    first[1:] = (whole["u"][best][1:] != whole["u"][best][:-1]) | (
        whole["v"][best][1:] != whole["v"][best][:-1]
    )
    keep = ~twin
    keep[best[first]] = True
    number = np.cumsum(keep) - 1
    bins = keep[whole["edge"]]
    kept = {name: whole[name][keep] for name in ("u", "v", "sum", "count", "first_u", "first_v")}
    kept |= {name: whole[name][bins] for name in ("bin", "number")}
    return {**whole, **kept, "edge": number[whole["edge"][bins]]}


@numba.njit(nogil=True, cache=True)
def _follow(new: Labels, a: Ints, b: Ints, num: Ints, den: Ints, p: int, q: int) -> None:
    """Let merges below a score name what they absorbed, the last first."""
    for n in range(len(a) - 1, -1, -1):
        if compare_ratios(num[n], den[n], p, q) < 0:
            new[b[n]] = new[a[n]]
