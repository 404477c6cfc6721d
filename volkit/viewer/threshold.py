"""Labels at any threshold: fragments of a run, renamed by its graph while somebody looks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.columns import read_columns
from volkit.errors import SourceError
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.merge_tree import cut_tree
from volkit.kernels.relabel import renamed

Labels = NDArray[np.uint64]
Pairs = tuple[Labels, Labels]

_KEPT = 8  # tables of thresholds that somebody may go back to
_TREE = {"a", "b", "saliency", "linked", "id", "voxels"}
_GRAPH = {"u", "v", "boundary_sum", "count"}


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
    """

    fragments: Volume
    pairs: Callable[[float], Pairs]
    threshold: float
    meaning: str

    def change(self, threshold: float) -> Callable[[NDArray[Any]], Labels]:
        """Give what turns fragments into labels."""
        old, new = self.pairs(threshold)
        return lambda values: renamed(values, old, new)


def find_cut(root: Place, fragments: Volume, threshold: float) -> Cut | None:
    """Find what a run can tell of other thresholds.

    Parameters
    ----------
    root : Place
        Folder of the run.
    fragments : Volume
        Its fragments.
    threshold : float
        That of the run.

    Returns
    -------
    Cut or None
        None where it has neither a merge tree nor a region graph yet.
    """
    tree = _columns(root.inside("basin_graph.final.npz"), _TREE)
    if tree is not None:
        joined = lru_cache(_KEPT)(lambda at: cut_tree(tree, threshold=at, smallest=0))
        meaning = "least affinity across which regions join: higher joins less"
        return Cut(fragments, joined, threshold, meaning)
    graph = _columns(root.inside("region_graph.npz"), _GRAPH)
    if graph is None:
        return None
    columns = [graph[name] for name in ("u", "v", "boundary_sum", "count")]
    merged = lru_cache(_KEPT)(lambda at: agglomerate_mean(*columns, threshold=at))
    meaning = "mean boundary probability at which joining ends: higher joins more"
    return Cut(fragments, merged, threshold, meaning)


def _columns(place: Place, names: set[str]) -> dict[str, NDArray[Any]] | None:
    if not place.exists():
        return None
    try:
        found = read_columns(place)
    except SourceError:
        return None  # half written, or by something else: the labels of the run are there still
    return found if names <= set(found) else None
