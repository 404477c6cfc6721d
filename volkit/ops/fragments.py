"""Fragments of boundary probabilities: a seeded watershed that does not depend on blocks.

Seeds are decided from a fixed neighbourhood of each voxel and named after their first voxel in
the domain.  The flood runs on tiles of a fixed lattice::

    ┌ tile ─┬───────┬───────┐   a block evaluates every tile that touches it, each with
    │    ┌ block ───┼──┐    │   its halo, and keeps its own voxels: neighbours find the
    │    │  │       │  │    │   same answer, since they flood the same tiles
    └────┴──┴───────┴──┴────┘
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import gcd
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade, ids_on_faces
from volkit.engine.op import Columns, Op
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Block, Box, Coord, Grid, Windows, coord
from volkit.kernels.label import touching_pairs
from volkit.kernels.minima import deep_minima
from volkit.kernels.octree_components import rise_links, sink_links
from volkit.kernels.probability import probabilities
from volkit.kernels.seeds import SeedOptions, seed_mask
from volkit.kernels.watershed import flood
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import (
    domain_box,
    domain_param,
    named_components,
    single_channel,
)
from volkit.ops.sharded_lookup import rename_by_shards, risen

Array = NDArray[Any]
Labels = NDArray[np.uint64]
Slices = tuple[slice, slice, slice]
Tile = tuple[Slices, Slices, Slices]

_SEED_CONNECTIVITY = 26  # voxels of one maximum may meet at a corner


@dataclass(frozen=True, slots=True)
class FragmentOptions:
    """How boundary probabilities become fragments.

    Parameters
    ----------
    seeds : SeedOptions
        How seeds are found where distance decides; its threshold serves both methods.
    tile : tuple of int
        Extent of the tiles that are flooded one by one, voxels.  Tiles lie on a lattice that
        begins at the domain's start, whatever the blocks; blocks that are whole tiles cost least.
    halo : tuple of int
        What a tile sees around itself, voxels: more than the distance from a voxel to the seed
        of its cell.
    channel : int
        Which channel of the map is the boundary.
    method : {'distance', 'minima'}
        Seeds are where cells are thickest, decided from a neighbourhood of fixed extent; or the
        minima of the map, decided from all that a tile sees: fewer fragments where boundaries
        are closed, but a cell whose minimum lies outside what a tile sees is lost to its
        neighbours there, so tiles must be larger than cells.
    depth : float
        Least depth of such a minimum, in units of probability.

    Raises
    ------
    ConfigError
        If tiles are empty, a halo is negative, or the method is unknown.
    """

    seeds: SeedOptions = field(default_factory=SeedOptions)
    tile: Coord = (128, 128, 128)
    halo: Coord = (32, 32, 32)
    channel: int = 0
    method: Literal["distance", "minima"] = "distance"
    depth: float = 0.1

    def __post_init__(self) -> None:
        for name in ("tile", "halo"):
            object.__setattr__(self, name, coord(getattr(self, name), name=name))
        if min(self.tile) < 1 or min(self.halo) < 0:
            raise ConfigError(
                f"tile is {self.tile}, halo is {self.halo}; give a tile of at least 1 voxel and a "
                "halo of 0 or more on every axis"
            )
        if self.method not in ("distance", "minima"):
            raise ConfigError(f"method is {self.method!r}; choose distance or minima")
        if not 0 < self.depth <= 1:
            raise ConfigError(f"depth is {self.depth}; give a probability above 0, up to 1")


def seeds(
    prob: Any,
    *,
    options: FragmentOptions | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Find where the floods of the watershed begin.

    Parameters
    ----------
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability.
    options : FragmentOptions, optional
        How.
    grid : Grid, optional
        Blocks to work in; the seeds do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each seed's first voxel; 0 elsewhere.
    """
    call = arguments(prob, grid=grid, engine=engine)
    return call.wrap(_seeds(call, options or FragmentOptions()))


def fragments(
    prob: Any,
    *,
    options: FragmentOptions | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Cut boundary probabilities into fragments by a seeded watershed.

    Tiles of a fixed lattice are flooded, each with what it sees around itself.  A fragment keeps
    the id of its seed across all tiles.

    Parameters
    ----------
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability.
    options : FragmentOptions, optional
        How.
    grid : Grid, optional
        Blocks to work in; the fragments do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids of seeds; 0 only in tiles that see none.
    """
    call = arguments(prob, grid=grid, engine=engine)
    return call.wrap(flooded(call, options or FragmentOptions()))


def _seeds(call: Call, options: FragmentOptions) -> Any:
    """Label seeds in each block, and name those that are one alike."""
    shared = {"channel": options.channel, "domain": domain_param(call.grid)}
    if options.method == "distance":
        mark = Op(
            _thick_block,
            dtype=np.uint64,
            halo=options.seeds.halo,
            params={"options": asdict(options.seeds), **shared},
        )
    else:
        mark = Op(
            _minima_block,
            dtype=np.uint64,
            halo=_tile_reach(call.grid, options),
            params={
                "depth": options.depth,
                "threshold": options.seeds.threshold,
                "tile": list(options.tile),
                "halo": list(options.halo),
                **shared,
            },
        )
    parts = call.engine.map(mark, *call.inputs, grid=call.grid, name="seed_parts")
    links = Cascade(_links_block, rise_links, halo=(1, 1, 1))
    tree = risen(call.engine, links, parts, grid=call.grid, name="seed_links")
    return rename_by_shards(tree, parts, sink_links, name="seeds")


def flooded(call: Call, options: FragmentOptions) -> Any:
    """Make the fragments of a call's only input."""
    found = _seeds(call, options)
    tiles = Op(
        _flood_block,
        dtype=np.uint64,
        halo=_tile_reach(call.grid, options),
        params={
            "tile": list(options.tile),
            "halo": list(options.halo),
            "channel": options.channel,
            "domain": domain_param(call.grid),
        },
    )
    try:
        return call.engine.map(tiles, *call.inputs, found, grid=call.grid, name="fragments")
    except GeometryError as error:
        error.add_note(
            f"volkit: tiles of {options.tile} with a halo of {options.halo} make that halo; "
            "choose blocks that are whole tiles, a smaller tile, or JobEngine"
        )
        raise


def _tile_reach(grid: Grid, options: FragmentOptions) -> Coord:
    """Find the halo with which a block sees all that its tiles see."""
    z, y, x = (
        h + t - gcd(t, b)
        for h, t, b in zip(options.halo, options.tile, grid.block_shape, strict=True)
    )
    return z, y, x


def _tiles(block: Block, domain: Box, tile: list[int], halo: list[int]) -> Iterator[Tile]:
    """Yield the tiles that touch a block: what to cut, what to keep of it, and where it goes."""
    shape = tuple(t + 2 * h for t, h in zip(tile, halo, strict=True))
    lattice = Windows(domain, shape, tuple(tile), tuple(halo))  # type: ignore[arg-type]
    for index in lattice.touching(block.write):
        seen = lattice.window(index).intersect(domain)
        kept = lattice.trusted_box(index).intersect(block.write)
        yield (
            seen.relative_to(block.read).slices,
            kept.relative_to(seen).slices,
            kept.relative_to(block.write).slices,
        )


def _thick_block(
    block: Block,
    prob: Array,
    *,
    options: dict[str, Any],
    channel: int,
    domain: list[list[int]],
) -> Labels:
    boundary = probabilities(single_channel(prob, channel))
    mask = seed_mask(boundary, SeedOptions(**options))[block.crop]
    return named_components(block, mask, _SEED_CONNECTIVITY, domain_box(domain))


def _minima_block(
    block: Block,
    prob: Array,
    *,
    depth: float,
    threshold: float,
    tile: list[int],
    halo: list[int],
    channel: int,
    domain: list[list[int]],
) -> Labels:
    """Find the minima of every tile that touches a block."""
    boundary, whole = probabilities(single_channel(prob, channel)), domain_box(domain)
    mask = np.zeros(block.write.shape, bool)
    for seen, kept, place in _tiles(block, whole, tile, halo):
        mask[place] = deep_minima(boundary[seen], depth=depth, threshold=threshold)[kept]
    return named_components(block, mask, _SEED_CONNECTIVITY, whole)


def _links_block(block: Block, parts: Labels) -> Columns:
    core = block.write.relative_to(block.read)
    a, b = touching_pairs(parts, core, connectivity=_SEED_CONNECTIVITY)
    return {"a": a, "b": b, **ids_on_faces(parts, core)}


def _flood_block(
    block: Block,
    prob: Array,
    found: Labels,
    *,
    tile: list[int],
    halo: list[int],
    channel: int,
    domain: list[list[int]],
) -> Labels:
    """Flood every tile that touches a block; keep the block's part of each."""
    boundary = probabilities(single_channel(prob, channel))
    out = np.zeros(block.write.shape, np.uint64)
    for seen, kept, place in _tiles(block, domain_box(domain), tile, halo):
        out[place] = flood(boundary[seen], found[seen])[kept]
    return out
