"""Morton order: every cell once, neighbours soon after one another, nothing held."""

import time
import tracemalloc
from itertools import islice

from hypothesis import given

from volkit.geometry import Box, Grid, morton_order
from volkit.testing.strategies import shapes


def interleaved(index) -> int:
    """The place on the Z curve, bit by bit."""
    z, y, x = index
    return sum(
        (((z >> b) & 1) << (3 * b + 2)) | (((y >> b) & 1) << (3 * b + 1)) | ((x >> b & 1) << 3 * b)
        for b in range(8)
    )


@given(shapes(largest=17))
def test_every_cell_once_along_the_curve(shape) -> None:
    visited = list(morton_order(shape))
    assert len(visited) == shape[0] * shape[1] * shape[2] == len(set(visited))
    assert visited == sorted(visited, key=interleaved)
    assert all(0 <= i < n for index in visited for i, n in zip(index, shape, strict=True))


def test_the_first_blocks_of_a_hundred_million_cost_nothing() -> None:
    tracemalloc.start()
    began = time.perf_counter()
    grid = Grid(Box.from_shape((47_000, 47_000, 47_000)), (100, 100, 100), (8, 8, 8))
    first = [grid[number] for number in islice(grid.morton(), 64)]
    first += list(islice(grid, 64))
    assert time.perf_counter() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert max(max(block.index) for block in first[:64]) == 3


def test_a_long_thin_box_is_walked_without_visiting_what_is_beside_it() -> None:
    assert list(morton_order((1, 1, 100_000))) == [(0, 0, x) for x in range(100_000)]
