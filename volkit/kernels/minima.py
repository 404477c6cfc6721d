"""Minima of a boundary map that are deep enough to be seeds."""

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.kernels.watershed import LEVELS

Floats = NDArray[np.float32]


def deep_minima(prob: Floats, *, depth: float, threshold: float = 1.0) -> NDArray[np.bool_]:
    """Mark one voxel in every minimum of at least a given depth.

    The depth (dynamics) of a minimum is how far one must climb from it to reach a lower one; of
    equal ones, the one that comes later in C order counts as higher.  Neighbours share a face.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability, 0 to 1; told apart in 256 levels, as the flood does.
    depth : float
        Least depth, in units of probability.
    threshold : float
        Minima from here on are boundary themselves, and no seeds.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        The first voxel, in C order, of the floor of each minimum.

    Raises
    ------
    ConfigError
        If the depth is not above 0 and at most 1.

    References
    ----------
    M. Grimaud, A new measure of contrast: the dynamics, 1992, https://doi.org/10.1117/12.60650

    Examples
    --------
    >>> prob = np.array([[[0.0, 0.5, 0.3, 0.4, 0.2, 1.0]]], np.float32)
    >>> deep_minima(prob, depth=0.2).astype(int).tolist()
    [[[1, 0, 0, 0, 1, 0]]]
    """
    if not 0 < depth <= 1:
        raise ConfigError(f"depth is {depth}; give a difference of probabilities above 0, up to 1")
    level = np.full(tuple(n + 2 for n in prob.shape), LEVELS, np.int16)
    core = (slice(1, -1),) * 3
    np.rint(prob * np.float32(LEVELS - 1), out=level[core], casting="unsafe")
    # A stable sort keeps C order within a level; the wall sorts last and is left out.
    order = np.argsort(level, axis=None, kind="stable")[: prob.size]
    steps = np.array([level.strides[axis] // level.itemsize for axis in range(3)], np.int64)
    rise = max(1, round(depth * (LEVELS - 1)))
    deep = _deep(level.ravel(), order, steps, rise).reshape(level.shape)[core]
    return deep & (prob < threshold)


@numba.njit(nogil=True, cache=True)
def _deep(
    level: NDArray[np.int16], order: NDArray[np.int64], steps: NDArray[np.int64], rise: int
) -> NDArray[np.bool_]:
    """Let water rise; where two lakes meet, ask how deep the shallower one is.

    A lake is a tree whose root is its deepest voxel, the first of them in C order.
    """
    parent = np.full(len(level), -1, np.int64)
    deep = np.zeros(len(level), np.bool_)
    for voxel in order:
        parent[voxel] = voxel
        mine = voxel
        for step in steps:
            for other in (voxel - step, voxel + step):
                if parent[other] < 0:
                    continue
                root = other
                while parent[root] != root:
                    parent[root] = parent[parent[root]]
                    root = parent[root]
                if root == mine:
                    continue
                shallow, deepest = mine, root
                if (level[mine], mine) < (level[root], root):
                    shallow, deepest = root, mine
                deep[shallow] = level[voxel] - level[shallow] >= rise
                parent[shallow] = deepest
                mine = deepest
    if len(order):
        deep[order[0]] = True
    return deep
