"""Differences of tables: rows added, removed and changed, by columns that name a row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ConfigError

# What tables of objects call the column that names a row, the most telling first.
_NAMES = ("id", "object", "label", "segment", "name", "score", "block")
_CHANGE = "change"


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What changed between two tables.

    Parameters
    ----------
    key : tuple of str
        Columns that name a row; empty where rows are compared whole.
    old_rows, new_rows : int
        How many.
    added, removed, changed : int
        Rows, by their names.
    reordered : bool
        Whether rows that both have stand in another order.
    columns_added, columns_removed : tuple of str
        Columns that only one table has.
    cells : dict of str to int
        Changed values by column, where there are some.
    rows : pandas.DataFrame
        The key (or the whole row), ``change`` (added, removed, changed) and ``columns`` that
        changed.
    """

    key: tuple[str, ...]
    old_rows: int
    new_rows: int
    added: int
    removed: int
    changed: int
    reordered: bool
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    cells: dict[str, int]
    rows: pd.DataFrame = field(repr=False, compare=False)


def table_difference(
    old: pd.DataFrame, new: pd.DataFrame, *, key: Sequence[str] = ()
) -> TableDifference:
    """Find what changed between two tables; NaN is like NaN.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Tables.
    key : sequence of str
        Columns that together name a row; empty takes ``id``, ``object``, ``label``, ``segment``,
        ``name``, ``score`` or ``block``, where both tables have it and no value twice, and compares
        whole rows where there is none.

    Returns
    -------
    TableDifference

    Raises
    ------
    ConfigError
        If a column of the key is not in both tables, or two rows of one have the same key.

    Examples
    --------
    >>> old = pd.DataFrame({"id": [1, 2, 3], "nm": [5.0, 6.0, 7.0]})
    >>> new = pd.DataFrame({"id": [2, 3, 4], "nm": [6.0, 7.5, 8.0]})
    >>> found = table_difference(old, new)
    >>> found.added, found.removed, found.changed, found.cells
    (1, 1, 1, {'nm': 1})
    """
    names = tuple(key) or _found_key(old, new)
    _check_key(old, new, names)
    shared = [name for name in old.columns if name in new.columns]
    columns_added = tuple(str(name) for name in new.columns if name not in old.columns)
    columns_removed = tuple(str(name) for name in old.columns if name not in new.columns)
    index_old, index_new = (_index(frame[shared], names) for frame in (old, new))
    at_old, at_new = _common(index_old, index_new)
    differs = {
        name: _unlike(old[name].iloc[at_old], new[name].iloc[at_new])
        for name in shared
        if name not in names and names
    }
    changed = np.zeros(len(at_old), bool)
    for column in differs.values():
        changed |= column
    gone, come = (
        np.setdiff1d(np.arange(len(frame)), at) for frame, at in ((old, at_old), (new, at_new))
    )
    shown = list(names) or shared
    return TableDifference(
        key=names,
        old_rows=len(old),
        new_rows=len(new),
        added=len(come),
        removed=len(gone),
        changed=int(changed.sum()),
        reordered=bool((np.diff(at_new) < 0).any()),
        columns_added=columns_added,
        columns_removed=columns_removed,
        cells={str(name): int(found.sum()) for name, found in differs.items() if found.any()},
        rows=pd.concat(
            [
                _noted(old[shown].iloc[gone], "removed", None),
                _noted(new[shown].iloc[come], "added", None),
                _noted(new[shown].iloc[at_new[changed]], "changed", _names(differs, changed)),
            ],
            ignore_index=True,
        ),
    )


def _found_key(old: pd.DataFrame, new: pd.DataFrame) -> tuple[str, ...]:
    for name in _NAMES:
        if all(name in frame.columns and frame[name].is_unique for frame in (old, new)):
            return (name,)
    return ()


def _check_key(old: pd.DataFrame, new: pd.DataFrame, names: tuple[str, ...]) -> None:
    for side, frame in (("old", old), ("new", new)):
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise ConfigError(
                f"the {side} table has no column {', '.join(absent)}; its columns are "
                f"{', '.join(map(str, frame.columns))}: name some of them as the key"
            )
        if names:
            twice = frame[frame.duplicated(list(names))]
            if len(twice):
                first = ", ".join(f"{name} {twice.iloc[0][name]}" for name in names)
                raise ConfigError(
                    f"the {side} table has several rows of {first}; give more columns that "
                    "together name a row (--key, repeated)"
                )


def _index(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.Index:
    """Name every row; rows that are compared whole are told apart by how often they came before."""
    if names:
        return pd.MultiIndex.from_frame(frame[list(names)])
    if not len(frame.columns):
        return pd.RangeIndex(0)  # nothing is shared, so that no row is
    before = frame.groupby(list(frame.columns), dropna=False, sort=False).cumcount()
    return pd.MultiIndex.from_frame(frame.assign(**{"": before}))


def _common(old: pd.Index, new: pd.Index) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the rows that both have, in the order of the old ones."""
    found = new.get_indexer(old)
    return np.flatnonzero(found >= 0), found[found >= 0]


def _unlike(old: "pd.Series[Any]", new: "pd.Series[Any]") -> NDArray[np.bool_]:
    a, b = old.to_numpy(), new.to_numpy()
    both_absent = pd.isna(a) & pd.isna(b)
    found: NDArray[np.bool_] = np.asarray(a != b, bool) & ~both_absent
    return found


def _names(differs: dict[Any, NDArray[np.bool_]], changed: NDArray[np.bool_]) -> list[str]:
    rows = np.flatnonzero(changed)
    return [" ".join(str(name) for name, found in differs.items() if found[row]) for row in rows]


def _noted(rows: pd.DataFrame, change: str, columns: list[str] | None) -> pd.DataFrame:
    kept = rows.rename(columns={_CHANGE: f"{_CHANGE}_"})  # a column of that name is the table's own
    said = pd.Series([change] * len(rows), index=rows.index, dtype="str")
    which = pd.Series(columns or [""] * len(rows), index=rows.index, dtype="str")
    return kept.assign(**{_CHANGE: said, "columns": which})
