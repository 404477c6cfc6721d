"""Components of a block as columns: few bytes for each run, to be stored and painted later."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.kernels.label_runs import Parts

Table = dict[str, NDArray[Any]]


def run_columns(parts: Parts) -> Table:
    """Write the runs of components in the smallest types that hold them.

    Values are left out: they are known by then.

    Parameters
    ----------
    parts : Parts
        Of a block.

    Returns
    -------
    dict of ndarray
        ``first`` and ``length`` of every run; ``count``, how many there are in every row;
        ``name``, counted from ``least``.

    Examples
    --------
    >>> from volkit.kernels.label_runs import component_parts
    >>> columns = run_columns(component_parts(np.array([[[1, 1, 0, 1]]], bool), connectivity=6))
    >>> columns["first"].tolist(), columns["length"].tolist(), columns["first"].dtype.name
    ([0, 3], [2, 1], 'uint8')
    >>> runs_of(columns, (1, 1, 4)).painted().tolist()
    [[[1, 1, 0, 4]]]
    """
    least = parts.name.min() if len(parts.name) else np.uint64(0)
    return {
        "first": _smallest(parts.first),
        "length": _smallest(parts.stop - parts.first),
        "count": _smallest(np.diff(parts.rows)),
        "name": _smallest(parts.name - least),
        "least": np.array([least]),
    }


def runs_of(columns: Table, shape: Coord) -> Parts:
    """Take what :func:`run_columns` wrote.

    Parameters
    ----------
    columns : dict of ndarray
        Of a block.
    shape : tuple of int
        Of the block, voxels.

    Returns
    -------
    Parts
        Without values.
    """
    first = columns["first"].astype(np.int64)
    rows = np.zeros(len(columns["count"]) + 1, np.int64)
    np.cumsum(columns["count"], out=rows[1:])
    name = columns["name"].astype(np.uint64) + columns["least"][0]
    return Parts(first, first + columns["length"], rows, name, np.zeros(0, np.uint8), shape)


def _smallest(numbers: NDArray[Any]) -> NDArray[Any]:
    """Convert numbers from 0 on to the smallest type that holds the largest of them."""
    return numbers.astype(np.min_scalar_type(numbers.max(initial=0)))
