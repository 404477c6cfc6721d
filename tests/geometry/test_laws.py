"""Grids: write boxes cover every voxel once, and `read` cropped is `write` (laws 1 and 2)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box, Coord, Grid

extents = st.tuples(*[st.integers(1, 9)] * 3)
halos = st.tuples(*[st.integers(0, 4)] * 3)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Draw grids at any place, with blocks that may be larger than the domain."""
    start = draw(st.tuples(*[st.integers(-20, 20)] * 3))
    return Grid(Box.from_shape(draw(extents), start), draw(extents), draw(halos))


def voxels(box: Box, domain: Box) -> tuple[slice, slice, slice]:
    return box.relative_to(domain).slices


@given(grids())
def test_write_boxes_cover_every_voxel_once(grid: Grid) -> None:
    times = np.zeros(grid.domain.shape, int)
    for block in grid:
        times[voxels(block.write, grid.domain)] += 1
    assert (times == 1).all()


@given(grids())
def test_read_cropped_is_write(grid: Grid) -> None:
    place = np.arange(grid.domain.size).reshape(grid.domain.shape)
    for block in grid:
        read, write = (place[voxels(box, grid.domain)] for box in (block.read, block.write))
        np.testing.assert_array_equal(read[block.crop], write)


@given(grids())
def test_read_is_all_within_the_halo(grid: Grid) -> None:
    """Every voxel of the domain within the halo of the block, and no other."""
    for block in grid:
        for axis in range(3):
            reach = range(
                block.write.start[axis] - grid.halo[axis], block.write.stop[axis] + grid.halo[axis]
            )
            domain = range(grid.domain.start[axis], grid.domain.stop[axis])
            read = range(block.read.start[axis], block.read.stop[axis])
            assert sorted(set(reach) & set(domain)) == list(read)


@given(grids())
def test_blocks_are_numbered_in_c_order_and_walked_in_any(grid: Grid) -> None:
    assert [block.number for block in grid] == list(range(len(grid)))
    assert sorted(grid.morton()) == list(range(len(grid)))
    indices: list[Coord] = [block.index for block in grid]
    assert indices == sorted(indices)
    assert all(grid.block(index) == grid[number] for number, index in enumerate(indices))


@given(grids())
def test_chunks_are_the_extents_of_blocks(grid: Grid) -> None:
    for axis, extents_of_axis in enumerate(grid.chunks):
        along = [block for block in grid if sum(block.index) == block.index[axis]]
        assert [block.write.shape[axis] for block in along] == list(extents_of_axis)


def test_a_grid_of_a_hundred_million_blocks_is_arithmetic() -> None:
    grid = Grid(Box.from_shape((47_000, 47_000, 47_000)), (100, 100, 100))
    assert len(grid) == 470**3 > 10**8
    assert grid[len(grid) - 1].index == (469, 469, 469)
    assert grid.block((469, 0, 469)).write.stop == (47_000, 100, 47_000)
