"""Labels at any threshold: fragments of a run, renamed by its graph while somebody looks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.geometry import Grid
from volkit.io.volume import Volume
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.label_sizes import Sizes, add_sizes, label_sizes
from volkit.kernels.merge_tree import cut_tree
from volkit.kernels.octree_agglomeration import sink
from volkit.kernels.relabel import renamed
from volkit.viewer.merge_tables import BY_MEANS, BY_SIZE, SIZES_IN_BOXES, MergeTable

Labels = NDArray[np.uint64]
Pairs = tuple[Labels, Labels]

_KEPT = 8  # tables of thresholds that somebody may go back to
_MOST_PARTS = 20_000  # files of a table: a minute, while somebody waits
_MOST_VOXELS = 2**30  # that are counted while somebody waits
_HIGHER_JOINS_LESS = "least affinity across which regions join: higher joins less"
_HIGHER_JOINS_MORE = "mean boundary probability at which joining ends: higher joins more"
_SCORES = "score (1 - affinity) at which joining ends: higher joins more"


@dataclass(frozen=True, slots=True)
class Cut:
    """Labels at a threshold.

    Parameters
    ----------
    fragments : Volume
        What is joined.
    pairs : callable
        ``pairs(threshold)`` gives old and new names.
    threshold : float
        That of the run, 0 to 1.
    meaning : str
        What a higher one does.
    most : float
        Up to which the run knows what joins.
    """

    fragments: Volume
    pairs: Callable[[float], Pairs]
    threshold: float
    meaning: str
    most: float = 1.0
    _one: Lock = field(default_factory=Lock, repr=False, compare=False)

    def change(self, threshold: float) -> Callable[[NDArray[Any]], Labels]:
        """Give what turns fragments into labels; the names are made when the first are wanted."""

        def changed(values: NDArray[Any]) -> Labels:
            with self._one:  # chunks are asked for together, and have the same names
                old, new = self.pairs(threshold)
            return renamed(values, old, new)

        return changed


def find_cut(
    tables: Sequence[MergeTable],
    volumes: Sequence[Volume],
    segment: Mapping[str, Any] | None,
    messages: list[str],
) -> Cut | None:
    """Find what a run can tell of other thresholds.

    Parameters
    ----------
    tables : sequence of MergeTable
        What it stores of how fragments join.
    volumes : sequence of Volume
        What it shows; the fragments are among them.
    segment : mapping or None
        The keys ``segment`` of its workflow; None where they are not known.
    messages : list of str
        Gets what a person should know, as why there is none.

    Returns
    -------
    Cut or None
    """
    known = {volume.identity: volume for volume in volumes}
    for table in tables:
        fragments = known.get(table.fragments)
        if fragments is None:
            continue
        try:
            found = _made(table, fragments, segment or {})
        except SourceError as error:
            messages.append(f"labels at other thresholds are not shown: {error}")
            return None
        if isinstance(found, str):
            messages.append(f"labels at other thresholds are not shown: {found}")
            return None
        messages += _differences(table, segment)
        return found
    without = (segment or {}).get("mutex") not in (None, False)
    why = "a mutex watershed has none" if without else "how the fragments join is not computed yet"
    messages.append(f"labels at other thresholds are not shown: {why}")
    return None


def _made(table: MergeTable, fragments: Volume, segment: Mapping[str, Any]) -> Cut | str:
    """Make the labels of a table; a word why there can be none."""
    if table.parts > _MOST_PARTS:
        return (
            f"the merges lie in {table.parts:,} files, one for each box of blocks, too many to be "
            "read while you wait; volkit reprocess makes a version with another threshold"
        )
    if table.name in (BY_SIZE, SIZES_IN_BOXES, BY_MEANS):
        return _of_graph(table, fragments, segment)
    return _of_scores(table, fragments, segment)


def _of_graph(table: MergeTable, fragments: Volume, segment: Mapping[str, Any]) -> Cut | str:
    columns = table.read()
    if not table.whole(columns):
        return f"{table.place} is no graph of fragments"
    start = _number(segment.get("threshold"), _number(table.how.get("threshold"), 0.5))
    if table.name == BY_SIZE:
        smallest = int(table.how.get("smallest", 0))
        cut = lru_cache(_KEPT)(lambda at: cut_tree(columns, threshold=at, smallest=smallest))
        return Cut(fragments, cut, start, _HIGHER_JOINS_LESS)
    if table.name == SIZES_IN_BOXES:
        smallest = int(segment.get("smallest") or 0)
        larger = _counted(fragments, smallest, lambda at: cut_tree(columns, threshold=at))
        return _uncounted(fragments, smallest) or Cut(fragments, larger, start, _HIGHER_JOINS_LESS)
    graph = [columns[name] for name in ("u", "v", "boundary_sum", "count")]
    merged = lru_cache(_KEPT)(lambda at: agglomerate_mean(*graph, threshold=at))
    return Cut(fragments, merged, start, _HIGHER_JOINS_MORE)


def _of_scores(table: MergeTable, fragments: Volume, segment: Mapping[str, Any]) -> Cut | str:
    smallest, most = int(segment.get("smallest") or 0), float(table.how["limit"])
    uncounted = _uncounted(fragments, smallest)
    if uncounted:
        return uncounted
    told = segment.get("agglomeration")
    chosen = told.get("threshold") if isinstance(told, Mapping) else segment.get("threshold")
    start = min(_number(chosen, most), most)
    held = lru_cache(1)(table.read)
    if table.boxes is None and not table.whole(held()):
        return f"{table.place} is no table of merges"

    def merged(at: float) -> Pairs:
        found = sink({**held(), "up": np.zeros(0, np.uint64)}, None, threshold=at)
        return found["old"], found["new"]

    cut = _counted(fragments, smallest, merged)
    return Cut(fragments, cut, start, _SCORES, most)


def _counted(
    fragments: Volume, smallest: int, pairs: Callable[[float], Pairs]
) -> Callable[[float], Pairs]:
    """Take small segments out of pairs, which are remembered."""
    sizes = lru_cache(1)(lambda: _sizes_of(fragments))

    @lru_cache(_KEPT)
    def larger(at: float) -> Pairs:
        old, new = pairs(at)
        return (old, new) if smallest < 2 else without_small(sizes(), old, new, smallest)

    return larger


def _uncounted(fragments: Volume, smallest: int) -> str:
    """Say why small segments cannot be taken out while somebody waits, if so."""
    if smallest < 2 or fragments.domain.size <= _MOST_VOXELS:
        return ""
    return (
        f"segments of fewer than {smallest:,} voxels are taken out, for which all "
        f"{fragments.domain.size:,} voxels of fragments would have to be counted; volkit "
        "reprocess makes a version with another threshold"
    )


def without_small(sizes: Sizes, old: Labels, new: Labels, smallest: int) -> Pairs:
    """Turn segments of few voxels into background.

    Parameters
    ----------
    sizes : dict of ndarray
        ``id`` (uint64, sorted) and ``voxels`` (int64) of all fragments.
    old, new : ndarray of uint64
        Fragments that change their names, sorted, and the names of their segments.
    smallest : int
        Segments of fewer voxels become 0.

    Returns
    -------
    old, new : ndarray of uint64

    Examples
    --------
    >>> sizes = label_sizes(np.array([1, 1, 2, 3, 4, 4, 4], np.uint64))
    >>> joined = np.array([2], np.uint64), np.array([1], np.uint64)
    >>> old, new = without_small(sizes, *joined, 3)
    >>> old.tolist(), new.tolist()
    ([2, 3], [1, 0])
    """
    ids = sizes["id"]
    names, which = np.unique(renamed(ids, old, new), return_inverse=True)
    total = np.zeros(len(names), np.int64)
    np.add.at(total, which, sizes["voxels"])
    found = np.where(total[which] < smallest, np.uint64(0), names[which])
    changed = found != ids
    return ids[changed], found[changed]


def _sizes_of(fragments: Volume) -> Sizes:
    """Count all fragments, stored object by stored object."""
    boxes = (block.write for block in Grid(fragments.domain, fragments.write_shape))
    return add_sizes([label_sizes(fragments.read(box)) for box in boxes])


def _differences(table: MergeTable, segment: Mapping[str, Any] | None) -> list[str]:
    """Say what a run does with its labels that is not done while somebody looks."""
    found = []
    if segment is None and table.name not in (BY_SIZE, BY_MEANS):
        found.append(
            "labels at other thresholds keep small segments: whether the run takes some out is not "
            "known before it is finished"
        )
    if segment is not None and segment.get("fill") is not None:
        found.append(
            "labels at other thresholds are those before their background is filled; compare them "
            "with the layer labels, not with filled"
        )
    return found


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise
