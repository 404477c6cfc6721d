"""Morton order: every cell once, neighbours soon after one another, nothing held."""

import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.geometry import Box, Grid, morton_order
from volkit.geometry.morton import morton_missing
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
    grid = Grid(Box.from_shape((47_000, 47_000, 47_000)), (100, 100, 100), (8, 8, 8))
    first = [grid[number] for number in islice(grid.morton(), 64)]
    first += list(islice(grid, 64))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert max(max(block.index) for block in first[:64]) == 3


@given(shapes(largest=17), st.floats(0, 1), st.integers(0, 2**32 - 1), st.integers(1, 100))
def test_what_is_missing_comes_in_the_order_of_the_curve(shape, share, seed, cells) -> None:
    done = np.random.default_rng(seed).random(shape) < share
    _, ny, nx = shape
    expected = [(z * ny + y) * nx + x for z, y, x in morton_order(shape) if not done[z, y, x]]
    assert list(morton_missing(done, cube_cells=cells)) == expected
    assert list(morton_missing(done)) == expected
    grid = Grid(Box.from_shape(shape, (3, -4, 5)), (1, 1, 1))
    assert list(grid.morton_missing(done.reshape(-1))) == expected


def test_a_nearly_finished_hundred_million_is_looked_through_in_cubes() -> None:
    """Counted, not timed: how many numbers Python sees, and what memory that takes."""
    grid = Grid(Box.from_shape((464, 464, 464)), (1, 1, 1))
    done = np.ones(len(grid), bool)
    left = [0, 5, 99_000_000, len(grid) - 1]
    done[left] = False
    tracemalloc.start()
    assert sorted(grid.morton_missing(done)) == left
    assert next(grid.morton_missing(np.zeros(len(grid), bool))) == 0
    assert tracemalloc.get_traced_memory()[1] < len(grid) + 10_000_000  # the marks and a cube
    tracemalloc.stop()


def test_marks_of_another_grid_are_refused() -> None:
    grid = Grid(Box.from_shape((4, 4, 4)), (2, 2, 2))
    with pytest.raises(GeometryError, match=r"marks of shape \(7,\) for 8 blocks"):
        grid.morton_missing(np.zeros(7, bool))


def test_a_long_thin_box_is_walked_without_visiting_what_is_beside_it() -> None:
    assert list(morton_order((1, 1, 100_000))) == [(0, 0, x) for x in range(100_000)]
    assert list(morton_missing(np.zeros((1, 1, 100_000), bool))) == list(range(100_000))
