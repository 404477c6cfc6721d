"""Object errors: which true objects were cut, which segments join several, and where they lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.contingency import Table
from volkit.kernels.sections import volume_table

_STARTS = ("z_start", "y_start", "x_start")
_STOPS = ("z_stop", "y_stop", "x_stop")
_BOX = tuple(name for pair in zip(_STARTS, _STOPS, strict=True) for name in pair)


def object_errors(sections: Table, *, least: int = 1) -> Table:
    """Tell for every true object how it was cut, and what its segments join it with.

    Parameters
    ----------
    sections : dict of ndarray
        From :func:`volkit.kernels.sections.add_sections`.
    least : int
        Voxels that a piece needs to be counted as one in ``pieces``; voxels are counted all.

    Returns
    -------
    dict of ndarray
        One row for each true object, sorted by id: ``id`` (uint64), ``voxels`` (int64), ``pieces``
        (segments in it), ``best`` (uint64: the segment with most of it, 0 for none), ``kept``
        (voxels of that segment in it), ``split`` (voxels in other segments), ``missed`` (voxels in
        no segment) and the box ``z_start`` to ``x_stop``; ``voxels = kept + split + missed``.

    Examples
    --------
    >>> from volkit.kernels.sections import section_contingency
    >>> table = section_contingency(np.array([[[1, 1, 1, 2]]]), np.array([[[5, 5, 6, 0]]]))
    >>> found = object_errors(table)
    >>> [found[name].tolist() for name in ("id", "pieces", "kept", "split", "missed")]
    [[1, 2], [2, 0], [2, 0], [1, 0], [0, 1]]
    """
    return _errors(sections, "true", "pred", ("kept", "split", "missed"), least)


def segment_errors(sections: Table, *, least: int = 1) -> Table:
    """Tell for every segment which true objects it joins.

    Parameters
    ----------
    sections, least
        As for :func:`object_errors`.

    Returns
    -------
    dict of ndarray
        One row for each segment, sorted by id: ``id`` (uint64), ``voxels``, ``pieces`` (true
        objects in it), ``best`` (the true object with most of it), ``kept`` (its voxels),
        ``merged`` (voxels of other true objects), ``beyond`` (voxels of true label 0) and the box.

    Examples
    --------
    >>> from volkit.kernels.sections import section_contingency
    >>> table = section_contingency(np.array([[[1, 1, 2, 0]]]), np.array([[[5, 5, 5, 5]]]))
    >>> found = segment_errors(table)
    >>> [found[name].tolist() for name in ("id", "pieces", "kept", "merged", "beyond")]
    [[5], [2], [2], [1], [1]]
    """
    return _errors(sections, "pred", "true", ("kept", "merged", "beyond"), least)


def _errors(
    sections: Table, own: str, other: str, words: tuple[str, str, str], least: int
) -> Table:
    table = volume_table(sections)
    objects = table[own] != 0
    ids, row = np.unique(table[own][objects], return_inverse=True)
    others, count = table[other][objects], table["count"][objects]
    known = others != 0
    voxels = _added(row, count, len(ids))
    # Of equal shares the smaller id is the best one.
    order = np.lexsort((others[known], -count[known], row[known]))
    first, at = np.unique(row[known][order], return_index=True)
    best, kept = np.zeros(len(ids), np.uint64), np.zeros(len(ids), np.int64)
    best[first] = others[known][order][at]
    kept[first] = count[known][order][at]
    inside = _added(row[known], count[known], len(ids))
    pieces = _added(row[known], (count[known] >= least).astype(np.int64), len(ids))
    kept_word, other_word, none_word = words
    return {
        "id": ids,
        "voxels": voxels,
        "pieces": pieces,
        "best": best,
        kept_word: kept,
        other_word: inside - kept,
        none_word: voxels - inside,
        **_boxes(sections, own, ids),
    }


def _added(row: NDArray[np.intp], amount: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    total = np.zeros(rows, np.int64)
    np.add.at(total, row, amount)  # bincount would add in float64
    return total


def _boxes(sections: Table, own: str, ids: NDArray[np.uint64]) -> dict[str, NDArray[Any]]:
    objects = sections[own] != 0
    row = np.searchsorted(ids, sections[own][objects])
    spans = {
        "z_start": sections["section"],
        "z_stop": sections["section"] + 1,
        **{name: sections[name] for name in _BOX if name[0] != "z"},
    }
    found = {}
    for name in _BOX:
        column = spans[name][objects]
        if name in _STARTS:
            edge = np.full(len(ids), np.iinfo(np.int64).max)
            np.minimum.at(edge, row, column)
        else:
            edge = np.full(len(ids), np.iinfo(np.int64).min)
            np.maximum.at(edge, row, column)
        found[name] = edge
    return found
