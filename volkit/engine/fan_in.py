"""Fan-in: which tables of a tree are put together, and how many are in memory for that."""

from collections.abc import Callable, Iterable, Sequence
from math import prod

from volkit.engine.op import Columns
from volkit.geometry import Coord

CUBE: Coord = (4, 4, 4)
"""64 tables to one: a petavoxel's 10^7 blocks need four levels."""

_HELD_BYTES = 2**28  # of tables, before they are put together


def fan_in(shape: Coord) -> Coord:
    """Choose how many tables meet along each axis: 64 in all, also where there is one axis only.

    Parameters
    ----------
    shape : tuple of int
        Number of tables along each axis.

    Examples
    --------
    >>> fan_in((9, 9, 9)), fan_in((1, 1, 1000)), fan_in((1, 30, 30)), fan_in((1, 1, 24))
    ((4, 4, 4), (1, 1, 64), (1, 8, 8), (1, 1, 32))
    """
    found = [min(c, n) for c, n in zip(CUBE, shape, strict=True)]
    while True:
        longer = [axis for axis in range(3) if found[axis] < shape[axis]]
        if not longer or 2 * prod(found) > prod(CUBE):
            return found[0], found[1], found[2]
        found[min(longer, key=lambda axis: found[axis])] *= 2


def put_together(
    tables: Iterable[Columns], combine: Callable[[Sequence[Columns]], Columns]
) -> Columns:
    """Combine tables as they come; large ones a few at a time.

    Parameters
    ----------
    tables : iterable of dict of ndarray
        One or more.
    combine : callable
        Of a Reduction.

    Returns
    -------
    dict of ndarray
    """
    parts: list[Columns] = []
    held, most = 0, _HELD_BYTES
    for table in tables:
        parts.append(table)
        held += _size(table)
        if held > most and len(parts) > 1:
            parts = [combine(parts)]
            held = _size(parts[0])
            most = max(_HELD_BYTES, 2 * held)  # what grows is copied a few times, not every time
    return combine(parts)


def _size(table: Columns) -> int:
    return sum(column.nbytes for column in table.values())
