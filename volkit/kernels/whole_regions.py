"""Regions that lie in one place: what box-by-box decisions rest on, checked box by box.

A region is named after one of its voxels.  Where a box holds all of a connected region, it holds
that voxel; a part that touches no face and lacks it belongs to a region that stands elsewhere too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Coord
from volkit.kernels.relabel import present_labels

Labels = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]


def inside_and_named(labels: Labels, *, start: Coord, domain_shape: Coord) -> Table:
    """List the regions of a block, and those whose name is that of a voxel of theirs in it.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        The block alone; 0 is left out.
    start : tuple of int
        Where in the domain it begins, voxels.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        ``inside`` and ``named`` (uint64, sorted).

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3, 9]]], np.uint64)
    >>> found = inside_and_named(labels, start=(0, 0, 0), domain_shape=(1, 1, 9))
    >>> found["inside"].tolist(), found["named"].tolist()
    ([1, 3, 9], [1, 3])
    """
    inside = present_labels(labels)
    size = domain_shape[0] * domain_shape[1] * domain_shape[2]
    known = inside[inside <= np.uint64(size)]
    places = np.unravel_index(known.astype(np.int64) - 1, domain_shape)
    local = np.stack([place - first for place, first in zip(places, start, strict=True)])
    extent = np.array(labels.shape)[:, None]
    here = ((local >= 0) & (local < extent)).all(axis=0)
    known, local = known[here], local[:, here]
    return {"inside": inside, "named": known[labels[tuple(local)] == known]}


def seen_inside(tables: Sequence[Table]) -> tuple[Labels, Labels]:
    """Find the regions of a box that go on outside it, and refuse those that do not end in it.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Of the parts of the box: ``inside`` and ``named``, and ``id``, the regions that touch one of
        its faces.

    Returns
    -------
    inside, named : ndarray of uint64
        Of those that go on.

    Raises
    ------
    ContractError
        If a region touches no face, and lacks the voxel that it is named after.

    Examples
    --------
    >>> ids = {name: np.array(values, np.uint64)
    ...        for name, values in (("inside", [1, 4]), ("named", [1]), ("id", [4]))}
    >>> inside, named = seen_inside([ids])
    >>> inside.tolist(), named.tolist()
    ([4], [])
    """
    inside, named, faces = (
        np.unique(np.concatenate([table[name] for table in tables]))
        for name in ("inside", "named", "id")
    )
    goes_on = np.isin(inside, faces)
    stray = inside[~goes_on & ~np.isin(inside, named)]
    if len(stray):
        raise ContractError(
            f"fragment {stray[0]} ends in this box, one of {len(stray)}, but the voxel that its id "
            "names (1 + the C-order index in the domain) is not in it: box by box, fragments must "
            "be connected, and named after one of their voxels; give components_of(fragments), or "
            "merge the whole graph at once"
        )
    return inside[goes_on], named[np.isin(named, faces)]
