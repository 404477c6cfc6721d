"""Tables of ids that meet by key: gathered, decided where they are whole, and told to all again."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.label_sizes import add_sizes

Ids = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]
"""``id`` (uint64, sorted, each once), and ``voxels`` (int64) where they are counted."""


def gathered(tables: Iterable[Table], mine: Callable[[Ids], NDArray[np.bool_]]) -> Table:
    """Put together those rows of tables that belong here.

    Parameters
    ----------
    tables : iterable of dict of ndarray
        ``id``, and ``voxels`` in all or in none; read one after the other.
    mine : callable
        ``mine(ids)`` marks what belongs here.

    Returns
    -------
    dict of ndarray
        The same columns, voxels added up.

    Examples
    --------
    >>> parts = [{"id": np.array(ids, np.uint64)} for ids in ([1, 4, 7], [4, 6])]
    >>> gathered(parts, lambda ids: ids > 1)["id"].tolist()
    [4, 6, 7]
    """
    rows = [{k: v[mine(table["id"])] for k, v in table.items()} for table in tables]
    if rows and "voxels" in rows[0]:
        return add_sizes(rows)
    ids = [table["id"] for table in rows]
    return {"id": np.unique(np.concatenate([np.zeros(0, np.uint64), *ids]))}


def without_small(sizes: Table, smallest: int) -> Table:
    """Turn ids of few voxels into background: ``old`` and ``new``, those alone."""
    old: Ids = sizes["id"][sizes["voxels"] < smallest]
    return {"old": old, "new": np.zeros(len(old), np.uint64)}


def numbered(ids: Table, begin: int) -> Table:
    """Give ids numbers in their order: ``old`` and ``new``, of which the first is ``begin + 1``."""
    old: Ids = ids["id"]
    return {"old": old, "new": np.arange(1 + begin, 1 + begin + len(old), dtype=np.uint64)}


def counted(tables: Iterable[Table]) -> Table:
    """Count the ids of tables, or what this function counted: ``count`` (int64), each table's."""
    sizes = [int(t["count"].sum()) if "count" in t else len(t["id"]) for t in tables]
    return {"count": np.array(sizes, np.int64)}


def begun(counts: Table, begin: int) -> Table:
    """Say how many ids come before each of the tables that were counted.

    Examples
    --------
    >>> begun({"count": np.array([3, 0, 2])}, 10)["begin"].tolist()
    [10, 13, 13]
    """
    count = counts["count"]
    return {"begin": begin + np.cumsum(count) - count}


def told(own: Table, tables: Iterable[Table]) -> Table:
    """Take the rows of a table's ids from those that know what becomes of them.

    Parameters
    ----------
    own : dict of ndarray
        ``id``.
    tables : iterable of dict of ndarray
        ``old`` and ``new``; read one after the other.

    Returns
    -------
    dict of ndarray
        ``old`` (uint64, sorted) and ``new``.

    Examples
    --------
    >>> own = {"id": np.array([3, 5], np.uint64)}
    >>> lookup = {"old": np.array([2, 3], np.uint64), "new": np.array([7, 8], np.uint64)}
    >>> {name: column.tolist() for name, column in told(own, [lookup]).items()}
    {'old': [3], 'new': [8]}
    """
    none = np.zeros(0, np.uint64)
    old, new = [none], [none]
    for table in tables:
        rows = np.isin(table["old"], own["id"], assume_unique=True)
        old.append(table["old"][rows])
        new.append(table["new"][rows])
    found, names = np.concatenate(old), np.concatenate(new)
    order = np.argsort(found)
    return {"old": found[order], "new": names[order]}
