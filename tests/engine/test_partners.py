"""Partners: by arithmetic, the same pairs that visiting all blocks finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.partners import givers, receivers
from volkit.geometry import Box, Grid, Windows
from volkit.ops.window_pass import WindowPass
from volkit.ops.window_spread import WindowSpread

coords = st.tuples(*[st.integers(1, 7)] * 3)


@st.composite
def spreads(draw):
    """A spread over a grid: windows with margins, blocks also smaller than windows."""
    window = draw(coords)
    stride = tuple(draw(st.integers(1, n)) for n in window)
    margin = draw(st.integers(0, 2))
    shape = draw(st.tuples(*[st.integers(1, 12)] * 3))
    domain = Box.from_shape(shape, draw(st.tuples(*[st.integers(-5, 5)] * 3)))
    windows = Windows(domain, tuple(n + 2 * margin for n in window), stride, (margin,) * 3)
    block_shape = draw(st.tuples(*[st.integers(2, 9)] * 3))
    spread = WindowSpread(WindowPass(windows, "constant", 0.0, "reflect", "float32"))
    return spread, Grid(domain, block_shape)


@given(case=spreads())
@settings(max_examples=25)
def test_they_are_the_pairs_of_blocks_that_share_voxels(case) -> None:
    spread, grid = case
    found = {
        (giver.number, taker.number)
        for giver in grid
        for taker in grid
        if giver.number != taker.number and spread.covers(giver).intersect(taker.write).size
    }
    assert {(b.number, r.number) for b in grid for r in receivers(spread, grid, b)} == found
    assert {(g.number, b.number) for b in grid for g in givers(spread, grid, b)} == found
    for block in grid:
        numbers = [giver.number for giver in givers(spread, grid, block)]
        assert numbers == sorted(numbers)


def test_blocks_no_smaller_than_windows_have_seven_at_most() -> None:
    domain = Box.from_shape((24, 24, 24))
    windows = Windows(domain, (8, 8, 8), (3, 3, 3))
    spread = WindowSpread(WindowPass(windows, "constant", 0.0, "reflect", "float32"))
    grid = Grid(domain, (8, 8, 8))
    assert max(len(list(givers(spread, grid, block))) for block in grid) == 7
    assert max(len(list(receivers(spread, grid, block))) for block in grid) == 7
