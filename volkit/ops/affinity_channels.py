"""Channels of a network that answers affinities: the nearest ones, and a boundary map of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Op
from volkit.errors import ConfigError
from volkit.geometry import Block, Coord, Grid
from volkit.kernels.probability import probabilities
from volkit.ops.affinity_watershed import NEAREST, affinity_call
from volkit.ops.arguments import arguments

Array = NDArray[Any]

_NEIGHBOURS: tuple[tuple[Coord, ...], ...] = (
    NEAREST,
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
)


def nearest_channels(
    offsets: Sequence[Coord | None],
) -> tuple[tuple[int, int, int], tuple[Coord, ...]]:
    """Find the channels of affinities between neighbours on z, y, x.

    Parameters
    ----------
    offsets : sequence of (z, y, x) or None
        Of every channel; None where a channel holds no affinity.

    Returns
    -------
    channels : tuple of int
        On z, y, x.
    offsets : tuple of tuple of int
        Theirs: all with -1, or all with 1.

    Raises
    ------
    ConfigError
        If one of them is missing.

    Examples
    --------
    >>> nearest_channels([(0, 0, -9), (0, -1, 0), (-1, 0, 0), (0, 0, -1)])
    ((2, 1, 3), ((-1, 0, 0), (0, -1, 0), (0, 0, -1)))
    """
    stated = [None if offset is None else tuple(offset) for offset in offsets]
    for wanted in _NEIGHBOURS:
        if all(offset in stated for offset in wanted):
            z, y, x = (stated.index(offset) for offset in wanted)
            return (z, y, x), wanted
    raise ConfigError(
        f"offsets {list(stated)} are not those of neighbours on z, y and x; state for every "
        "channel the offset of its affinity, with all of (-1, 0, 0), (0, -1, 0), (0, 0, -1) among "
        "them, or all of (1, 0, 0), (0, 1, 0), (0, 0, 1)"
    )


def nearest_affinities(
    answers: Any,
    *,
    channels: tuple[int, int, int],
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Take the affinities between neighbours out of a network's channels.

    Parameters
    ----------
    answers : Volume, dask array or DataArray of float or uint8, shape (C, Z, Y, X)
        0 to 1 in these channels (uint8: 255 is 1).
    channels : tuple of int
        Those on z, y, x; see `nearest_channels`.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of float32, shape (3, Z, Y, X)
    """
    call = arguments(answers, grid=grid, engine=engine)
    pick = Op(_picked_block, dtype=np.float32, channels=3, params={"channels": list(channels)})
    return call.wrap(call.engine.map(pick, *call.inputs, grid=call.grid, name="affinities"))


def affinity_boundary(
    affinities: Any, *, toward: int, grid: Grid | None = None, engine: Engine | None = None
) -> Any:
    """Make a boundary map of affinities: 1 - the mean of a voxel's edges within the domain.

    Parameters
    ----------
    affinities : Volume, dask array or DataArray of float or uint8, shape (3, Z, Y, X)
        0 to 1, high inside cells, on z, y, x.
    toward : int
        -1 where they are those with the voxels before, 1 where with those after.
    grid : Grid, optional
        Blocks to work in; the map does not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of float32, shape (Z, Y, X)
        Boundary probability.

    Raises
    ------
    ContractError
        If there are not three channels; by the block that meets NaN or values outside 0 to 1.
    """
    call = affinity_call(affinities, grid, engine)
    domain = call.grid.domain
    mean = Op(
        _boundary_block,
        dtype=np.float32,
        params={"toward": toward, "domain": [list(domain.start), list(domain.stop)]},
    )
    return call.wrap(call.engine.map(mean, *call.inputs, grid=call.grid, name="boundary"))


def _picked_block(block: Block, answers: Array, *, channels: list[int]) -> NDArray[np.float32]:
    return probabilities(answers[channels])


def _boundary_block(
    block: Block, affinities: Array, *, toward: int, domain: list[list[int]]
) -> NDArray[np.float32]:
    """Average the three edges that a voxel has a channel for; those out of the domain are none."""
    checked = probabilities(affinities)
    total = np.zeros(block.write.shape, np.float32)
    count = np.zeros(block.write.shape, np.float32)
    for axis in range(3):
        inside = [slice(None)] * 3
        if toward < 0 and block.write.start[axis] == domain[0][axis]:
            inside[axis] = slice(1, None)
        if toward > 0 and block.write.stop[axis] == domain[1][axis]:
            inside[axis] = slice(None, -1)
        total[tuple(inside)] += checked[axis][tuple(inside)]
        count[tuple(inside)] += 1
    # A voxel without edges is its volume's first or last corner: as good as inside.
    return np.where(count > 0, 1 - total / np.maximum(count, 1), np.float32(0)).astype(np.float32)
