"""Boxes against sets of voxels; bad values end in a message that says what to give."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.geometry import Box, Grid, coord
from volkit.testing.strategies import boxes, domains, halos, shapes

OFFSETS = shapes(smallest=-9, largest=9)


def voxels(box: Box) -> set[tuple[int, ...]]:
    return set(product(*(range(a, b) for a, b in zip(box.start, box.stop, strict=True))))


@given(domains(largest=5), domains(largest=5), OFFSETS)
def test_boxes_are_sets_of_voxels(a: Box, b: Box, offset) -> None:
    b = Box.from_shape(b.shape, a.start).shift(offset)
    assert voxels(a.intersect(b)) == voxels(a) & voxels(b)
    assert a.contains(b) == (voxels(b) <= voxels(a))
    assert len(voxels(a)) == a.size
    assert b.shift(tuple(-n for n in offset)).start == a.start


@given(domains(), halos(largest=9), OFFSETS)
def test_what_does_not_meet_is_empty_and_inside(a: Box, halo, offset) -> None:
    """An empty intersection still lies in the first box, so that it cuts an array."""
    common = a.intersect(a.grow(halo).shift(offset))
    assert a.contains(common)
    assert np.zeros(a.shape)[common.relative_to(a).slices].shape == common.shape


@given(domain=domains(), halo=halos(), data=st.data())
def test_shapes_and_places_make_the_round_trip(domain: Box, halo, data) -> None:
    box = data.draw(boxes(domain))
    assert Box.from_shape(box.shape, box.start) == box
    assert box.relative_to(domain).shift(domain.start) == box
    wide = box.grow(halo)
    assert wide.grow(tuple(-n for n in halo)) == box
    place = np.arange(domain.size).reshape(domain.shape)
    assert place[box.relative_to(domain).slices].shape == box.shape


def test_numbers_of_numpy_are_integers_too() -> None:
    box = Box.from_shape(tuple(np.array([2, 3, 4])))
    assert type(box.stop[0]) is int
    assert coord(np.int64(3)) == (3, 3, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1, 2), r"shape \(1, 2\) is not three integers .* such as \[64, 64, 64\]"),
        ((1, 2, 3, 4), "is not three integers"),
        ((1.5, 2, 3), r"shape \(1.5, 2, 3\) is not three integers"),
        ("123", "shape '123' is not three integers"),
        (None, "shape None is not three integers"),
    ],
)
def test_what_is_no_coordinate_is_refused(values, message) -> None:
    with pytest.raises(GeometryError, match=message):
        coord(values, name="shape")


def test_boxes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"stops at \(0, 1, 1\), before it starts at \(1, 1, 1"):
        Box((1, 1, 1), (0, 1, 1))
    with pytest.raises(GeometryError, match=r"\[0:3, 0:3, 0:3\] is not inside \[0:2, 0:9, 0:9\]"):
        Box.from_shape((3, 3, 3)).relative_to(Box.from_shape((2, 9, 9)))
    with pytest.raises(GeometryError, match="before it starts"):
        Box.from_shape((3, 3, 3)).grow((-2, 0, 0))


def test_grids_that_make_no_sense_are_refused() -> None:
    domain = Box.from_shape((4, 4, 4))
    with pytest.raises(GeometryError, match=r"\[0:0, 0:4, 0:4\] is empty"):
        Grid(Box.from_shape((0, 4, 4)), (2, 2, 2))
    with pytest.raises(GeometryError, match=r"block_shape \(2, 0, 2\) must be at least 1"):
        Grid(domain, (2, 0, 2))
    with pytest.raises(GeometryError, match=r"halo \(0, -1, 0\) is negative"):
        Grid(domain, (2, 2, 2), (0, -1, 0))
    with pytest.raises(GeometryError, match=r"index \(0, 2, 0\): there are 2 blocks on axis y"):
        Grid(domain, (2, 2, 2)).block((0, 2, 0))
    with pytest.raises(IndexError, match="block 8 of a grid with 8 blocks"):
        Grid(domain, (2, 2, 2))[8]
    with pytest.raises(IndexError, match="block -1 of a grid"):
        Grid(domain, (2, 2, 2))[-1]
