"""Windows: the lattice covers every voxel, and look-ups agree with a walk over all windows."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.geometry import Box, Windows
from volkit.testing.strategies import boxes, domains, windows


def every_index(lattice: Windows):
    return list(product(*(range(n) for n in lattice.counts)))


@given(windows())
def test_trusted_boxes_cover_every_voxel(lattice: Windows) -> None:
    covered = np.zeros(lattice.domain.shape, bool)
    for index in every_index(lattice):
        inside = lattice.trusted_box(index).intersect(lattice.domain)
        covered[inside.relative_to(lattice.domain).slices] = True
    assert covered.all()
    assert len(every_index(lattice)) == len(lattice)


@given(windows())
def test_no_window_is_needless(lattice: Windows) -> None:
    """The last window of an axis holds a voxel that no other one trusts."""
    for axis, count in enumerate(lattice.counts):
        before = [0, 0, 0]
        before[axis] = count - 2
        if count > 1:
            assert lattice.trusted_box(tuple(before)).stop[axis] < lattice.domain.stop[axis]


@given(windows())
def test_a_trusted_box_is_the_window_without_its_margin(lattice: Windows) -> None:
    for index in every_index(lattice):
        window, trusted = lattice.window(index), lattice.trusted_box(index)
        assert trusted.grow(lattice.margin) == window
        assert (window.shape, trusted.shape) == (lattice.shape, lattice.trusted)


@given(lattice=windows(), data=st.data())
def test_touching_agrees_with_a_walk_over_all(lattice: Windows, data) -> None:
    box = data.draw(boxes(lattice.domain))
    expected = [i for i in every_index(lattice) if lattice.trusted_box(i).intersect(box).size]
    assert list(lattice.touching(box)) == expected
    assert lattice.count_touching(box) == len(expected) > 0


@given(lattice=windows(), data=st.data())
def test_reach_is_what_the_touching_windows_see(lattice: Windows, data) -> None:
    box = data.draw(boxes(lattice.domain))
    seen = [lattice.window(i).intersect(lattice.domain) for i in lattice.touching(box)]
    seen = [view for view in seen if view.size]
    start = tuple(min(view.start[axis] for view in seen) for axis in range(3))
    stop = tuple(max(view.stop[axis] for view in seen) for axis in range(3))
    assert lattice.reach(box) == Box(start, stop)
    assert lattice.reach(box).contains(box)


@given(lattice=windows(), longer=st.tuples(*[st.integers(0, 7)] * 3))
def test_the_lattice_does_not_shift_with_the_domains_end(lattice: Windows, longer) -> None:
    extent = tuple(n + more for n, more in zip(lattice.domain.shape, longer, strict=True))
    larger = Windows(
        Box.from_shape(extent, lattice.domain.start),
        lattice.shape,
        lattice.stride,
        lattice.margin,
    )
    assert all(larger.window(index) == lattice.window(index) for index in every_index(lattice))
    assert all(a >= b for a, b in zip(larger.counts, lattice.counts, strict=True))


@given(domains())
def test_windows_side_by_side_hold_a_voxel_once(domain: Box) -> None:
    lattice = Windows(domain, (2, 3, 4), (2, 3, 4))
    times: Counter[int] = Counter()
    for z in range(*(domain.start[0], domain.stop[0])):
        voxel = Box((z, *domain.start[1:]), (z + 1, domain.start[1] + 1, domain.start[2] + 1))
        times[lattice.count_touching(voxel)] += 1
    assert set(times) == {1}


def test_a_lattice_of_a_petavoxel_is_arithmetic() -> None:
    lattice = Windows(Box.from_shape((100_000, 100_000, 100_000)), (64, 64, 64), (32, 32, 32))
    assert lattice.counts == (3124, 3124, 3124)
    assert lattice.count_touching(Box.from_shape((64, 64, 64), (50_000, 0, 99_936))) == 4 * 2 * 2


@pytest.mark.parametrize(
    ("shape", "stride", "margin", "message"),
    [
        ((8, 8, 8), (9, 8, 8), (0, 0, 0), "a stride of 9 on axis z leave gaps; .* from 1 to 8"),
        ((8, 8, 8), (4, 0, 4), (0, 0, 0), "stride of 0 on axis y"),
        ((8, 8, 8), (4, 4, 5), (0, 0, 2), "margin of 2 and a stride of 5 on axis x"),
        ((8, 8, 8), (4, 4, 4), (-1, 0, 0), "margin of -1"),
        ((8, 8), (4, 4, 4), (0, 0, 0), r"window shape \(8, 8\) is not three integers"),
    ],
)
def test_windows_that_leave_gaps_are_refused(shape, stride, margin, message) -> None:
    with pytest.raises(GeometryError, match=message):
        Windows(Box.from_shape((16, 16, 16)), shape, stride, margin)


def test_a_box_outside_the_domain_is_refused() -> None:
    lattice = Windows(Box.from_shape((8, 8, 8)), (4, 4, 4), (4, 4, 4))
    with pytest.raises(GeometryError, match=r"\[0:9, 0:8, 0:8\] is not inside \[0:8, 0:8, 0:8\]"):
        list(lattice.touching(Box.from_shape((9, 8, 8))))
