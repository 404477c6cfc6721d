"""Partners: which blocks a block contributes to, and which contribute to it, by arithmetic."""

from collections.abc import Iterator
from itertools import product

from volkit.engine.op import Spread
from volkit.geometry import Block, Coord, Grid


def receivers(spread: Spread, grid: Grid, block: Block) -> Iterator[Block]:
    """Yield the other blocks that a block contributes to, in the order of their numbers.

    Parameters
    ----------
    spread : Spread
        Says what a block covers.
    grid : Grid
        The blocks.
    block : Block
        Which.

    Yields
    ------
    Block
    """
    covers = spread.covers(block)
    if covers.size == 0:
        return
    ranges = []
    axes = zip(block.index, covers.stop, grid.domain.start, grid.block_shape, strict=True)
    for i, stop, origin, length in axes:
        ranges.append(range(i, -(-(stop - origin) // length)))
    for index in product(*ranges):
        if index != block.index:
            found = grid.block(_coord(index))
            if covers.intersect(found.write).size:
                yield found


def givers(spread: Spread, grid: Grid, block: Block) -> Iterator[Block]:
    """Yield the other blocks that contribute to a block, in the order of their numbers.

    Parameters
    ----------
    spread : Spread
        Says what blocks cover.
    grid : Grid
        The blocks.
    block : Block
        Which.

    Yields
    ------
    Block
    """
    ranges = []
    axes = zip(block.index, spread.reach, grid.block_shape, strict=True)
    for i, reach, length in axes:
        ranges.append(range(max(0, i - -(-reach // length)), i + 1))
    for index in product(*ranges):
        if index != block.index:
            found = grid.block(_coord(index))
            if spread.covers(found).intersect(block.write).size:
                yield found


def _coord(index: tuple[int, ...]) -> Coord:
    z, y, x = index
    return z, y, x
