"""Embeddings: what an encoder says of every tile of every section of a volume."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Coord, Grid
from volkit.kernels.hamming import Shrink, hamming_weights
from volkit.ops.arguments import arguments

Array = NDArray[Any]
Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
TILE = ("z", "y_bin", "x_bin")


@dataclass(frozen=True, slots=True)
class Tiles:
    """What an encoder sees of sections.

    Parameters
    ----------
    tile : tuple of int
        Extent of a tile, pixels, (y, x).
    side : int
        Pixels to which the sides of tiles are brought down; it divides them.  0 leaves them.
    shrink : {"mean", "hamming"}
        How: by the mean of the pixels that become one; or whole sections of the domain by
        `volkit.kernels.hamming.hamming_weights`, as published, so that a pixel sees half a pixel
        more on each side, beyond its tile too.
    intensity_range : tuple of float, optional
        What becomes 0 and 1; None is that of the type, which is then one of whole numbers.

    Raises
    ------
    ConfigError
        If tile and side do not go together, or the range is empty.
    """

    tile: tuple[int, int]
    side: int = 0
    shrink: Shrink = "mean"
    intensity_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.shrink not in ("mean", "hamming"):
            raise ConfigError(f"shrink is {self.shrink!r}; give mean or hamming")
        side = self.side
        if min(self.tile) < 1 or side < 0 or (side and any(n % side for n in self.tile)):
            raise ConfigError(
                f"tiles of {self.tile} brought down to {side}: give 1 or more, and a side that "
                "divides both"
            )
        low, high = self.intensity_range or (0, 1)
        if not low < high:
            raise ConfigError(
                f"intensity_range is {self.intensity_range}; give the value that becomes 0, then a "
                "larger one that becomes 1"
            )

    def halo(self, block_shape: Coord) -> Coord:
        """Say what a block needs around it: nothing, where it is of whole tiles and these alone."""
        beyond = [t // self.side if self._windowed else 0 for t in self.tile]
        rows, columns = (
            more + (t - 1 if extent % t else 0)
            for t, extent, more in zip(self.tile, block_shape[1:], beyond, strict=True)
        )
        return 0, rows, columns

    @property
    def _windowed(self) -> bool:
        return self.side > 0 and self.shrink == "hamming"

    def part(self, n: int, axis: int, extent: int) -> tuple[int, NDArray[np.float64]]:
        """Say where tile ``n`` begins along an axis, and how its pixels make up smaller ones."""
        tile, side = self.tile[axis], self.side
        if not self._windowed:
            return n * tile, np.empty((0, tile))
        whole = extent // tile
        return hamming_weights(whole * tile, whole * side, rows=range(n * side, (n + 1) * side))

    def seen(self, tiles: Sequence[Array], down: Sequence[tuple[Array, Array]]) -> Array:
        """Bring tiles to 0 to 1, and to their side, shape (N, 1, y, x)."""
        low, high = self.intensity_range or _range_of(tiles[0].dtype)
        bright = [(t.astype(np.float32) - np.float32(low)) / np.float32(high - low) for t in tiles]
        if self._windowed:
            made = [
                (a @ t @ b.T).astype(np.float32) for t, (a, b) in zip(bright, down, strict=True)
            ]
            return np.stack(made)[:, None]
        whole, side = np.stack(bright)[:, None], self.side
        if not side:
            return whole
        count, _, height, width = whole.shape
        parts = whole.reshape(count, 1, side, height // side, side, width // side)
        return np.ascontiguousarray(parts.mean(axis=(3, 5), dtype=np.float32))


def embeddings(
    image: Any,
    encoder: Encode,
    *,
    tiles: Tiles,
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
    tiles : Tiles
        Which, and how they are seen.
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
        If the domain has no whole tile.
    """
    call = arguments(image, grid=grid, engine=engine)
    tile = tiles.tile
    if any(n < t for n, t in zip(call.grid.domain.shape[1:], tile, strict=True)):
        raise ConfigError(f"the domain {call.grid.domain} has no whole tile of {tile}")
    reduction = Reduction(
        _embed_block,
        _joined,
        halo=tiles.halo(call.grid.block_shape),
        params={
            "tile": list(tile),
            "side": tiles.side,
            "shrink": tiles.shrink,
            "light": None if tiles.intensity_range is None else list(tiles.intensity_range),
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
    light: list[float] | None,
    start: Coord,
    stop: Coord,
    **how: Any,
) -> Columns:
    """Embed the whole tiles that begin in a block."""
    span = None if light is None else (light[0], light[1])
    tiles = Tiles((tile[0], tile[1]), intensity_range=span, **how)
    rows, columns = (
        [
            (n, tiles.part(n, k - 1, stop[k] - start[k]))
            for n in _begun(
                block.write.start[k] - start[k],
                block.write.stop[k] - start[k],
                tile[k - 1],
                stop[k] - start[k],
            )
        ]
        for k in (1, 2)
    )
    top, left = (start[k] - block.read.start[k] for k in (1, 2))
    keys, found, down = [], [], []
    for z in range(block.write.start[0], block.write.stop[0]):
        section = image[z - block.read.start[0]]
        for row, (y, above) in rows:
            for column, (x, along) in columns:
                keys.append((z - start[0], row, column))
                lines = section[top + y :][: above.shape[1]]
                found.append(lines[:, left + x :][:, : along.shape[1]])
                down.append((above, along))
    said = encoder(tiles.seen(found, down)) if found else np.zeros((0, 0), np.float32)
    table = np.array(keys, np.int64).reshape(len(keys), 3)
    return {**{name: table[:, k] for k, name in enumerate(TILE)}, "embedding": said}


def _begun(first: int, last: int, size: int, extent: int) -> range:
    """List the whole tiles of an extent that begin from ``first`` on and before ``last``."""
    return range(-(-first // size), min(-(-last // size), extent // size))


def _range_of(kind: "np.dtype[Any]") -> tuple[float, float]:
    if kind.kind not in "ub":
        raise ContractError(
            f"an image of {kind} has no range of its own; give intensity_range, the values that "
            "become 0 and 1"
        )
    return 0.0, 1.0 if kind.kind == "b" else float(np.iinfo(kind).max)


def _joined(tables: Sequence[Columns]) -> Columns:
    some = [table for table in tables if len(table["z"])] or list(tables[:1])
    joined = {name: np.concatenate([table[name] for table in some]) for name in some[0]}
    order = np.lexsort([joined[name] for name in reversed(TILE)])
    return {name: column[order] for name, column in joined.items()}
