"""Sections: contingency tables that remember in which section a pair of labels lies, and where.

One table answers for the volume (3D), for each section, and for the stack of sections (2D, where
labels of different sections are different), and says where every object is.  Tables of parts add up
to the table of the whole.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import Coord
from volkit.kernels.contingency import Table, add_contingency, alike
from volkit.kernels.distinct import first_of_runs
from volkit.kernels.radix import sorted_order

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive ids
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones
_KEYS = ("section", "true", "pred")
_LEAST = ("y_start", "x_start")
_MOST = ("y_stop", "x_stop")
_DTYPES = {"true": np.uint64, "pred": np.uint64}


def section_contingency(
    true: NDArray[Any], pred: NDArray[Any], *, start: Coord = (0, 0, 0)
) -> Table:
    """Count the voxels that each pair of labels shares in each section, and find where they lie.

    Parameters
    ----------
    true, pred : ndarray of int or bool, shape (Z, Y, X)
        Labels, aligned voxel by voxel; ids from 0 on.
    start : tuple of int
        Where the arrays begin, (z, y, x), voxels.

    Returns
    -------
    dict of ndarray
        One row for each pair of a section, sorted: ``section`` (int64, z), ``true`` and ``pred``
        (uint64), ``count`` (int64, voxels), and the box of the pair in the section: ``y_start``,
        ``y_stop``, ``x_start``, ``x_stop`` (int64).

    Raises
    ------
    GeometryError
        If the shapes differ, labels are not integers, or an id is negative.

    Examples
    --------
    >>> true, pred = np.array([[[1, 1, 2]], [[1, 1, 1]]]), np.array([[[7, 7, 7]], [[7, 7, 0]]])
    >>> table = section_contingency(true, pred, start=(5, 0, 0))
    >>> {name: table[name].tolist() for name in ("section", "true", "pred", "count")}
    {'section': [5, 5, 6, 6], 'true': [1, 2, 1, 1], 'pred': [7, 7, 0, 7], 'count': [2, 1, 1, 2]}
    """
    if true.shape != pred.shape or true.ndim != 3:
        raise GeometryError(
            f"true labels have shape {true.shape} and predicted ones {pred.shape}; "
            "give two arrays of the same voxels, (z, y, x)"
        )
    slots = _tally(*alike(_unsigned(true, "true"), _unsigned(pred, "predicted")))
    signed = slots.view(np.int64)
    columns = {
        "section": signed[:, 3] + start[0],
        "true": slots[:, 0],
        "pred": slots[:, 1],
        "count": signed[:, 2],
        "y_start": signed[:, 4] + start[1],
        "y_stop": signed[:, 5] + start[1],
        "x_start": signed[:, 6] + start[2],
        "x_stop": signed[:, 7] + start[2],
    }
    return _sorted(columns)


def add_sections(tables: Sequence[Table]) -> Table:
    """Add the tables of parts into the table of the whole; associative and exact.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        From :func:`section_contingency`; one or more.

    Returns
    -------
    dict of ndarray
        The same columns, each pair of a section once, sorted.

    Examples
    --------
    >>> halves = [np.ones((1, 1, 2), int)] * 2
    >>> parts = [section_contingency(*halves, start=(0, 0, x)) for x in (0, 2)]
    >>> table = add_sections(parts)
    >>> table["count"].tolist(), table["x_start"].tolist(), table["x_stop"].tolist()
    ([4], [0], [4])
    """
    whole = _sorted({name: np.concatenate([t[name] for t in tables]) for name in tables[0]})
    if len(tables) < 2 or not len(whole["count"]):
        return whole
    starts = np.flatnonzero(first_of_runs(*(whole[name] for name in _KEYS)))
    return (
        {name: whole[name][starts] for name in _KEYS}
        | {"count": np.add.reduceat(whole["count"], starts)}
        | {name: np.minimum.reduceat(whole[name], starts) for name in _LEAST}
        | {name: np.maximum.reduceat(whole[name], starts) for name in _MOST}
    )


def volume_table(sections: Table) -> Table:
    """Forget the sections: the contingency table of the volume.

    Examples
    --------
    >>> true, pred = np.array([[[1, 1, 2]], [[1, 1, 1]]]), np.array([[[7, 7, 7]], [[7, 7, 0]]])
    >>> table = volume_table(section_contingency(true, pred))
    >>> {name: column.tolist() for name, column in table.items()}
    {'true': [1, 1, 2], 'pred': [0, 7, 7], 'count': [1, 4, 1]}
    """
    pairs = {name: sections[name] for name in ("true", "pred", "count")}
    return add_contingency([pairs, {name: column[:0] for name, column in pairs.items()}])


def stack_table(sections: Table, *, zeros: tuple[bool, bool] = (False, False)) -> Table:
    """Tell labels of different sections apart: the contingency table of the stack of sections.

    Parameters
    ----------
    sections : dict of ndarray
        From :func:`section_contingency`.
    zeros : tuple of bool
        Whether label 0 of the truth, and of the prediction, is an object in every section; else it
        stays 0.

    Returns
    -------
    dict of ndarray
        ``true`` and ``pred`` (numbers from 1 on) and ``count``.

    Examples
    --------
    >>> labels = np.ones((2, 1, 3), int)
    >>> {name: c.tolist() for name, c in stack_table(section_contingency(labels, labels)).items()}
    {'true': [1, 2], 'pred': [1, 2], 'count': [3, 3]}
    """
    table = {"count": sections["count"]}
    for name, zero in zip(("true", "pred"), zeros, strict=True):
        ids, z = sections[name], sections["section"] - sections["section"].min(initial=0)
        order = sorted_order(z, ids)
        numbers = np.empty(len(ids), np.uint64)
        numbers[order] = np.cumsum(first_of_runs(z[order], ids[order]))
        table[name] = numbers if zero else np.where(ids == 0, np.uint64(0), numbers)
    return {name: table[name] for name in ("true", "pred", "count")}


def split_sections(sections: Table) -> Iterator[tuple[int, Table]]:
    """Yield z and the contingency table of every section that has voxels, in order.

    Examples
    --------
    >>> labels = np.ones((2, 1, 3), int)
    >>> [(z, int(t["count"].sum())) for z, t in split_sections(section_contingency(labels, labels))]
    [(0, 3), (1, 3)]
    """
    found, starts = np.unique(sections["section"], return_index=True)
    for z, a, b in zip(found, starts, [*starts[1:], len(sections["section"])], strict=True):
        yield int(z), {name: sections[name][a:b] for name in ("true", "pred", "count")}


def _unsigned(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """See labels as unsigned integers of native order; refuse what is no id."""
    if labels.dtype.kind not in "uib":
        raise GeometryError(
            f"{name} labels are {labels.dtype}, which are not ids; give integers, "
            "for example labels.astype(np.uint64) where every value is a whole number"
        )
    if labels.dtype.kind == "i" and labels.size and (least := int(labels.min())) < 0:
        raise GeometryError(
            f"{name} labels hold the negative id {least}; ids begin at 0 (background), "
            "so rename or mask what is negative"
        )
    native = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    return native.view(f"u{labels.dtype.itemsize}")


def _sorted(columns: Table) -> Table:
    sections = columns["section"] - columns["section"].min(initial=0)
    order = sorted_order(sections, columns["true"], columns["pred"])
    return {name: column[order] for name, column in columns.items()}


@numba.njit(nogil=True, cache=True)
def _tally(true: NDArray[Any], pred: NDArray[Any]) -> NDArray[np.uint64]:
    """Count runs of equal pairs along x in a table with open addressing.

    A slot holds (true, pred, count, z, y_start, y_stop, x_start, x_stop); a count of 0 is free.
    """
    bits, used = 12, 0
    slots = np.zeros((1 << bits, 8), np.uint64)
    for z in range(true.shape[0]):
        for y in range(true.shape[1]):
            if 2 * (used + true.shape[2]) > len(slots):
                while 2 * (used + true.shape[2]) > len(slots):
                    bits += 1
                    slots = _moved(slots, bits)
            used += _tally_row(slots, bits, (z, y), true[z, y], pred[z, y])
    return slots[slots[:, 2] != 0]


@numba.njit(nogil=True, cache=True)
def _tally_row(
    slots: NDArray[np.uint64],
    bits: int,
    row: tuple[int, int],
    true: NDArray[Any],
    pred: NDArray[Any],
) -> int:
    """Add the runs of a row of voxels; tell how many slots were taken."""
    taken, begin = 0, 0
    z, y = np.uint64(row[0]), np.uint64(row[1])
    for x in range(1, len(true) + 1):
        if x < len(true) and true[x] == true[begin] and pred[x] == pred[begin]:
            continue
        slot = _slot(slots, bits, np.uint64(true[begin]), np.uint64(pred[begin]), z)
        found = slots[slot]
        if found[2] == 0:
            taken += 1
            found[0], found[1], found[3] = true[begin], pred[begin], z
            found[4], found[6] = y, begin
        found[2] += np.uint64(x - begin)
        found[5] = y + np.uint64(1)  # rows come in order
        found[6] = min(found[6], np.uint64(begin))
        found[7] = max(found[7], np.uint64(x))
        begin = x
    return taken


@numba.njit(nogil=True, cache=True)
def _slot(slots: NDArray[np.uint64], bits: int, t: np.uint64, p: np.uint64, z: np.uint64) -> Any:
    """Find the slot of a pair in a section, or the free one where it belongs."""
    slot = (((t * _MIX + p) * _MIX + z) * _PRIME) >> np.uint64(64 - bits)
    end = np.uint64(len(slots) - 1)
    while slots[slot, 2] != 0 and (
        slots[slot, 0] != t or slots[slot, 1] != p or slots[slot, 3] != z
    ):
        slot = (slot + np.uint64(1)) & end
    return slot


@numba.njit(nogil=True, cache=True)
def _moved(slots: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Move every pair into a table of another size."""
    wider = np.zeros((1 << bits, 8), np.uint64)
    for old in range(len(slots)):
        if slots[old, 2] != 0:
            wider[_slot(wider, bits, slots[old, 0], slots[old, 1], slots[old, 3])] = slots[old]
    return wider
