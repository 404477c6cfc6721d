"""Threshold curves: Rand sums of every section at every threshold of a boundary map.

At a threshold, pixels below it are interior, and the 4-connected components of the interior of a
section are its segments, as in the line search of Lee et al. 2015.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.kernels.growth import Entries, Growth, Merges, grow
from volkit.kernels.leaves import find_leaves

Columns = dict[str, NDArray[Any]]

_SUMS = ("both", "pred", "true", "rest")
_LOW = (1 << 64) - 1


def tile_curve(
    levels: NDArray[np.int16],
    truth: NDArray[Any],
    *,
    thresholds: int,
    start: Coord,
    shape: tuple[int, int],
) -> Columns:
    """Follow the segments of a tile of sections over all thresholds.

    Sections that the tile holds as a whole are finished; of others, what their tiles must tell one
    another is kept.

    Parameters
    ----------
    levels : ndarray of int16, shape (Z, Y, X)
        From :func:`volkit.kernels.leaves.threshold_levels`.
    truth : ndarray of unsigned int, shape (Z, Y, X)
        True labels; 0 does not count.
    thresholds : int
        How many there are.
    start : tuple of int
        Where the tile begins in the domain, voxels.
    shape : tuple of int
        Extent of a section of the domain, (y, x).

    Returns
    -------
    dict of ndarray
        For :func:`add_curves`.
    """
    found = find_leaves(levels, truth, most=thresholds, start=start, width=shape[1])
    sections = np.arange(start[0], start[0] + len(levels))
    totals = _totals(truth, sections)
    if levels.shape[1:] == shape:
        return {**no_leaves(), **_finished(found, totals, shape, thresholds)}
    return {**found, **totals, **no_sums(thresholds)}


def add_curves(parts: Sequence[Columns]) -> Columns:
    """Put tiles together; associative and exact."""
    order = {"sum_section": "sum_", "total_section": "total_"}
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for key, word in order.items():
        rank = np.argsort(whole[key], kind="stable")
        whole |= {name: whole[name][rank] for name in whole if name.startswith(word)}
    return whole


def finish_curves(whole: Columns, *, shape: tuple[int, int], thresholds: int) -> Columns:
    """Finish the sections that no tile held as a whole.

    Parameters
    ----------
    whole : dict of ndarray
        From :func:`add_curves`, of all tiles.
    shape : tuple of int
        Extent of a section, (y, x).
    thresholds : int
        How many there are.

    Returns
    -------
    dict of ndarray
        ``sum_section`` (int64, shape (S,)), ``sum_voxels`` (S, K) inside at each threshold,
        ``sum_segments`` (S, K), ``sum_all`` (S,) voxels that count, and sums of squares as high and
        low halves (uint64): ``sum_both``, ``sum_pred``, ``sum_true``, ``sum_rest`` (S, K, 2) and
        ``sum_objects`` (S, 2) of the whole true objects.
    """
    done = {name: whole[name] for name in whole if name.startswith("sum_")}
    rest = {name: whole[name] for name in whole if not name.startswith("sum_")}
    if len(rest["total_section"]):
        more = _finished(rest, rest, shape, thresholds)
        done = {name: np.concatenate([done[name], more[name]]) for name in done}
    rank = np.argsort(done["sum_section"], kind="stable")
    return {name: column[rank] for name, column in done.items()}


def _totals(truth: NDArray[Any], sections: NDArray[np.int64]) -> Columns:
    """Count the voxels of every true object of every section."""
    parts = [np.unique(plane[plane != 0], return_counts=True) for plane in truth]
    return {
        "total_section": np.repeat(sections, [max(1, len(ids)) for ids, _ in parts]),
        "total_truth": np.concatenate([ids if len(ids) else [0] for ids, _ in parts]).astype(
            np.uint64
        ),
        "total_count": np.concatenate([n if len(n) else [0] for _, n in parts]).astype(np.int64),
    }


def no_leaves() -> Columns:
    """Give the columns of unfinished sections, without rows."""
    words = {
        "leaf": ("section", "name", "truth", "level", "count"),
        "link": ("section", "a", "b", "level"),
        "rim": ("section", "pixel", "name", "level"),
        "total": ("section", "truth", "count"),
    }
    return {
        f"{first}_{word}": np.empty(0, np.uint64 if word == "truth" else np.int64)
        for first, rest in words.items()
        for word in rest
    }


def no_sums(thresholds: int) -> Columns:
    """Give the columns of finished sections, without rows."""
    return {
        "sum_section": np.empty(0, np.int64),
        "sum_all": np.empty(0, np.int64),
        "sum_objects": np.empty((0, 2), np.uint64),
        "sum_voxels": np.empty((0, thresholds), np.int64),
        "sum_segments": np.empty((0, thresholds), np.int64),
        **{f"sum_{name}": np.empty((0, thresholds, 2), np.uint64) for name in _SUMS},
    }


def _finished(found: Columns, totals: Columns, shape: tuple[int, int], thresholds: int) -> Columns:
    rows = []
    whole = _by_section({**found, **totals})
    for z in np.unique(totals["total_section"]).tolist():
        own = _of(whole, z)
        truths, at = np.unique(own["total_truth"], return_inverse=True)
        sizes = np.zeros(len(truths), np.int64)
        np.add.at(sizes, at, own["total_count"])
        counted = np.where(truths == 0, 0, sizes)
        grown = _grown(own, truths, counted, (shape[1], thresholds))
        rows.append((z, counted, grown))
    none = no_sums(thresholds)
    if not rows:
        return none
    objects = [sum(int(n) ** 2 for n in sizes) for _, sizes, _ in rows]
    return {
        "sum_section": np.array([z for z, _, _ in rows], np.int64),
        "sum_all": np.array([int(sizes.sum()) for _, sizes, _ in rows], np.int64),
        "sum_objects": np.array([split_halves(n) for n in objects], np.uint64),
        "sum_voxels": np.array([g.voxels for _, _, g in rows], np.int64),
        "sum_segments": np.array([g.segments for _, _, g in rows], np.int64),
        **{
            f"sum_{name}": np.array(
                [[split_halves(n) for n in getattr(g, name)] for _, _, g in rows], np.uint64
            )
            for name in _SUMS
        },
    }


def split_halves(number: int) -> tuple[int, int]:
    """Split a number of 128 bits into high and low."""
    return number >> 64, number & _LOW


def _by_section(found: Columns) -> Columns:
    """Bring rows into the order of their sections, so that each is a slice."""
    ordered: Columns = {}
    for word in ("leaf", "link", "rim", "total"):
        rank = np.argsort(found[f"{word}_section"], kind="stable")
        ordered |= {n: found[n][rank] for n in found if n.startswith(f"{word}_")}
    return ordered


def _of(found: Columns, z: int) -> Columns:
    """Take what belongs to a section, of rows in the order of sections."""
    kept: Columns = {}
    for word in ("leaf", "link", "rim", "total"):
        first, last = np.searchsorted(found[f"{word}_section"], (z, z + 1))
        kept |= {n: found[n][first:last] for n in found if n.startswith(f"{word}_")}
    return kept


def _grown(
    found: Columns,
    truths: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    extent: tuple[int, int],
) -> Growth:
    """Let the leaves of a section enter and merge; the width and the thresholds are its extent."""
    width, thresholds = extent
    names, piece = np.unique(found["leaf_name"], return_inverse=True)
    ends = [_links(found), _across(found, width)]
    a, b, level = (np.concatenate([end[n] for end in ends]) for n in range(3))
    counts = found["leaf_truth"] != 0
    truth = np.searchsorted(truths, found["leaf_truth"][counts])
    outside = sizes.copy()  # of each true object, what is in no leaf
    np.subtract.at(outside, truth, found["leaf_count"][counts])
    last = np.full(len(truths), len(names))  # a piece of its own, which never enters
    entries = Entries(
        piece=np.concatenate([piece[counts], last]),
        truth=np.concatenate([truth, np.arange(len(truths))]),
        count=np.concatenate([found["leaf_count"][counts], outside]),
        level=np.concatenate([found["leaf_level"][counts], np.full(len(truths), thresholds)]),
    )
    return grow(
        entries,
        Merges(np.searchsorted(names, a), np.searchsorted(names, b), level),
        pieces=len(names) + 1,
        truths=len(truths),
        levels=thresholds,
    )


def _links(found: Columns) -> tuple[NDArray[np.int64], ...]:
    return found["link_a"], found["link_b"], found["link_level"]


def _across(found: Columns, width: int) -> tuple[NDArray[np.int64], ...]:
    """Link leaves of neighbouring tiles through the pixels at their rims."""
    order = np.argsort(found["rim_pixel"], kind="stable")
    pixel, name, level = (found[f"rim_{word}"][order] for word in ("pixel", "name", "level"))
    parts = []
    for step, along_x in ((1, True), (width, False)):
        at = np.searchsorted(pixel, pixel + step)
        meets = at < len(pixel)
        meets[meets] = pixel[at[meets]] == pixel[meets] + step
        if along_x:
            meets &= (pixel + 1) % width != 0
        here, there = np.flatnonzero(meets), at[meets]
        parts.append((name[here], name[there], np.maximum(level[here], level[there])))
    a, b, at_level = (np.concatenate([part[n] for part in parts]) for n in range(3))
    return a, b, at_level
