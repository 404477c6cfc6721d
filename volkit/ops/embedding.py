"""Embeddings: what an encoder says of every tile of every section of a volume."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Coord, Grid
from volkit.ops.arguments import arguments

Array = NDArray[Any]
Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
TILE = ("z", "y_bin", "x_bin")


def embeddings(
    image: Any,
    encoder: Encode,
    *,
    tile: tuple[int, int],
    side: int = 0,
    intensity_range: tuple[float, float] | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "embeddings",
) -> Any:
    """Embed every tile of every section, each by itself.

    Tiles are those of :func:`volkit.ops.statistics.tissue_tables` for the same domain; a tile that
    the end of the domain cuts is left out.  The table does not depend on the grid.

    Parameters
    ----------
    image : Volume, dask array, ndarray or DataArray of shape (Z, Y, X)
        What the encoder sees.
    encoder : callable
        Tiles from 0 to 1, float32, shape (B, 1, y, x), to float32, shape (B, D); it can be pickled,
        as :func:`volkit.models.tile_encoder.open_encoder` can.
    tile : tuple of int
        Extent, pixels, (y, x).
    side : int
        Pixels to which the sides of tiles are averaged down; it divides them.  0 leaves them.
    intensity_range : tuple of float, optional
        What becomes 0 and 1; None is that of the type, which is then one of whole numbers.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        Of the stage.

    Returns
    -------
    dict of ndarray
        ``z`` (section, from the domain's first), ``y_bin``, ``x_bin`` (int64), sorted, and
        ``embedding``, float32, shape (N, D) (LazyEngine: a Delayed of it).  All of it is in memory
        in the end: 4 D bytes for every tile.

    Raises
    ------
    ConfigError
        If tile and side do not go together, or the domain has no whole tile.
    """
    call = arguments(image, grid=grid, engine=engine)
    if min(tile) < 1 or side < 0 or (side and any(n % side for n in tile)):
        raise ConfigError(
            f"tiles of {tile} averaged down to {side}: give 1 or more, and a side that divides both"
        )
    if any(n < t for n, t in zip(call.grid.domain.shape[1:], tile, strict=True)):
        raise ConfigError(f"the domain {call.grid.domain} has no whole tile of {tile}")
    _, height, width = call.grid.block_shape
    reduction = Reduction(
        _embed_block,
        _joined,
        # Blocks of whole tiles need no more than themselves.
        halo=(0, tile[0] - 1 if height % tile[0] else 0, tile[1] - 1 if width % tile[1] else 0),
        params={
            "tile": list(tile),
            "side": side,
            "light": None if intensity_range is None else list(intensity_range),
            "start": list(call.grid.domain.start),
            "stop": list(call.grid.domain.stop),
        },
    )
    return call.engine.reduce(reduction, *call.inputs, grid=call.grid, name=name, shared=(encoder,))


def _embed_block(
    block: Block,
    image: Array,
    encoder: Encode,
    *,
    tile: list[int],
    side: int,
    light: list[float] | None,
    start: Coord,
    stop: Coord,
) -> Columns:
    """Embed the whole tiles that begin in a block."""
    rows, columns = (
        _begun(
            block.write.start[k] - start[k],
            block.write.stop[k] - start[k],
            size,
            stop[k] - start[k],
        )
        for k, size in ((1, tile[0]), (2, tile[1]))
    )
    keys, tiles = [], []
    for z in range(block.write.start[0], block.write.stop[0]):
        section = image[z - block.read.start[0]]
        for row in rows:
            y = start[1] + row * tile[0] - block.read.start[1]
            for column in columns:
                x = start[2] + column * tile[1] - block.read.start[2]
                keys.append((z - start[0], row, column))
                tiles.append(section[y : y + tile[0], x : x + tile[1]])
    said = encoder(_seen(tiles, side, light)) if tiles else np.zeros((0, 0), np.float32)
    table = np.array(keys, np.int64).reshape(len(keys), 3)
    return {**{name: table[:, k] for k, name in enumerate(TILE)}, "embedding": said}


def _begun(first: int, last: int, size: int, extent: int) -> range:
    """List the whole tiles of an extent that begin from ``first`` on and before ``last``."""
    return range(-(-first // size), min(-(-last // size), extent // size))


def _seen(tiles: list[Array], side: int, light: list[float] | None) -> NDArray[np.float32]:
    """Bring tiles to 0 to 1, and average them down."""
    stack = np.stack(tiles)[:, None]
    if light is None:
        if stack.dtype.kind not in "ub":
            raise ContractError(
                f"an image of {stack.dtype} has no range of its own; give intensity_range, the "
                "values that become 0 and 1"
            )
        light = [0.0, 1.0 if stack.dtype.kind == "b" else float(np.iinfo(stack.dtype).max)]
    low, high = light
    seen = (stack.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    if not side:
        return seen
    count, _, height, width = seen.shape
    parts = seen.reshape(count, 1, side, height // side, side, width // side)
    return np.ascontiguousarray(parts.mean(axis=(3, 5), dtype=np.float32))


def _joined(tables: Sequence[Columns]) -> Columns:
    some = [table for table in tables if len(table["z"])] or list(tables[:1])
    joined = {name: np.concatenate([table[name] for table in some]) for name in some[0]}
    order = np.lexsort([joined[name] for name in reversed(TILE)])
    return {name: column[order] for name, column in joined.items()}
