"""Parts that are one component, united box by box: only what touches a face rises."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.distinct import distinct, first_of_runs
from volkit.kernels.label import unique_pairs, unite
from volkit.kernels.radix import sorted_rows

Labels = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]


def rise_links(tables: Sequence[Table]) -> tuple[Table, Table]:
    """Unite parts inside a box.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Of the parts of the box: pairs ``a``, ``b`` (uint64) that belong together; and ``id``,
        ``face``, the parts of components that touch a face of the box.

    Returns
    -------
    up : dict of ndarray
        The same for the box: every part on a face with the name that it has by now.
    kept : dict of ndarray
        ``old`` (uint64, sorted) and ``new``: parts that have another name; and ``up`` (uint64,
        sorted): names that may change further.

    Examples
    --------
    >>> none = np.zeros(0, np.uint64)
    >>> links = {"a": np.array([1, 5], np.uint64), "b": np.array([5, 9], np.uint64)}
    >>> up, kept = rise_links([{**links, "id": links["b"][1:], "face": np.zeros(1, np.uint8)}])
    >>> up["a"].tolist(), up["b"].tolist(), kept["old"].tolist(), kept["new"].tolist()
    ([1], [9], [5, 9], [1, 1])
    """
    whole = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    old, new = unite(whole["a"], whole["b"])
    rows = sorted_rows(np.stack([whole["id"], whole["face"].astype(np.uint64)], axis=1), (0, 1))
    rows = rows[first_of_runs(rows[:, 0], rows[:, 1])]
    ids, faces = rows[:, 0].copy(), rows[:, 1].astype(np.uint8)
    b = ids[first_of_runs(ids)]
    a = named(b, {"old": old, "new": new})
    a, b = unique_pairs(a[a != b], b[a != b])
    up: Table = {"a": a, "b": b, "id": ids, "face": faces}
    return up, {"old": old, "new": new, "up": distinct(np.concatenate([a, b, ids]))}


def sink_links(kept: Table, above: Table | None) -> Table:
    """Say what becomes of the parts in a box.

    Parameters
    ----------
    kept : dict of ndarray
        Of the box, from :func:`rise_links`.
    above : dict of ndarray or None
        What this function said about the box around it; None for the whole.

    Returns
    -------
    dict of ndarray
        ``old`` (uint64, sorted) and ``new``: parts that change.
    """
    ids = distinct(np.concatenate([kept["old"], kept["up"]]))
    new = named(ids, kept)
    if above is not None:
        new = named(new, above)
    return {"old": ids[new != ids], "new": new[new != ids]}


def named(ids: Labels, lookup: Table) -> Labels:
    """Replace ids by table; those that are not in it stay."""
    old = lookup["old"]
    if not len(old):
        return ids
    at = np.minimum(np.searchsorted(old, ids), len(old) - 1)
    return np.where(old[at] == ids, lookup["new"][at], ids)
