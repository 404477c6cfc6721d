"""Thinning: simple points against components counted, and shapes known by hand."""

from itertools import combinations

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import euler_number
from skimage.morphology import skeletonize as lee

from volkit.kernels.simple_points import ALWAYS, MAYBE, NEVER, is_simple, removable
from volkit.kernels.thinning import KEPT, UNSETTLED, thin, thinning_moments

NEIGHBOURHOODS = st.integers(0, 2**27 - 1)


@given(bits=NEIGHBOURHOODS)
@settings(max_examples=300)
def test_simple_points_are_those_whose_removal_changes_no_count(bits: int) -> None:
    cube = as_cube(bits)
    cube[1, 1, 1] = False
    around, sides = np.pad(cube, 0), ~cube
    sides[1, 1, 1] = False
    sides[[0, 0, 0, 0, 2, 2, 2, 2], [0, 0, 2, 2, 0, 0, 2, 2], [0, 2, 0, 2, 0, 2, 0, 2]] = False
    _, objects = cc3d.connected_components(around, connectivity=26, return_N=True)
    parts = cc3d.connected_components(sides, connectivity=6)
    faces = {int(parts[place]) for place in FACES} - {0}
    assert is_simple(cube) == (objects == 1 and len(faces) == 1)


FACES = [(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 2, 1), (1, 1, 0), (1, 1, 2)]


def as_bits(places) -> int:
    return sum(1 << i for i in places)


def as_cube(bits: int) -> np.ndarray:
    return np.array([bits >> i & 1 for i in range(27)], bool).reshape(3, 3, 3)


@given(present=NEIGHBOURHOODS, unknown=st.sets(st.integers(0, 26), max_size=4), ends=st.booleans())
@settings(max_examples=100)
def test_unknown_neighbours_are_tried_in_every_way(present, unknown, ends) -> None:
    unknown = unknown - {13}
    present &= ~as_bits(unknown) & ~(1 << 13)
    answers = set()
    for n in range(len(unknown) + 1):
        for filled in combinations(unknown, n):
            around = present | as_bits(filled)
            end = ends and around.bit_count() == 1
            answers.add(is_simple(as_cube(around)) and not end)
    expected = MAYBE if len(answers) == 2 else ALWAYS if answers == {True} else NEVER
    assert removable(present, as_bits(unknown), ends) == expected


def test_a_ball_becomes_a_point_and_a_ring_a_ring() -> None:
    z, y, x = np.indices((15, 31, 31)) - np.array([7, 15, 15])[:, None, None, None]
    assert thin(z**2 + y**2 + x**2 <= 30).sum() == 1
    ring = thin((np.hypot(y, x) - 10) ** 2 + z**2 <= 9)
    assert euler_number(ring, connectivity=3) == 0
    _, count = cc3d.connected_components(ring, connectivity=26, return_N=True)
    assert count == 1
    neighbours = ndimage.convolve(ring.astype(int), np.ones((3, 3, 3), int), mode="constant")
    assert (neighbours[ring] == 3).all()  # each voxel and two more: no ends, no junctions
    assert abs(np.hypot(*(np.argwhere(ring) - (7, 15, 15)).T[1:]) - 10).max() < 1.5


def test_a_tube_becomes_its_axis_as_with_lee() -> None:
    z, y, x = np.indices((60, 15, 15)) - np.array([0, 7, 7])[:, None, None, None]
    tube = (np.hypot(y, x) <= 4) & (z >= 3) & (z < 57)
    thinned = thin(tube)
    assert abs(int(thinned.sum()) - int(lee(tube).sum())) <= 4
    assert np.abs(np.argwhere(thinned)[:, 1:] - 7).max() <= 1


def test_what_is_not_seen_is_said_to_be_unsettled() -> None:
    tube = np.zeros((40, 9, 9), bool)
    tube[:, 2:7, 2:7] = True
    moments = thinning_moments(tube, open_before=(True, False, False))
    assert (moments[0] == UNSETTLED).any()
    assert not (moments[20:] == UNSETTLED).any()
    longer = np.pad(tube, ((10, 0), (0, 0), (0, 0)), mode="edge")
    settled = moments != UNSETTLED
    np.testing.assert_array_equal(moments[settled], thinning_moments(longer)[10:][settled])


@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    start=st.tuples(*[st.integers(-3, 3)] * 3),
    faces=st.tuples(*[st.booleans()] * 6),
)
@settings(max_examples=40)
def test_moments_are_those_of_rounds_over_all_voxels(seed, shape, start, faces) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 0.5)
    mask = noise > np.quantile(noise, 0.3)
    found = thinning_moments(mask, start=start, open_before=faces[:3], open_after=faces[3:])
    np.testing.assert_array_equal(found, by_rounds(mask, start, faces))


def by_rounds(mask: np.ndarray, start, faces) -> np.ndarray:
    """Ask every voxel in every round, as thinning is defined."""
    unknown = np.zeros([n + 2 for n in mask.shape], bool)
    for side, there in ((0, faces[:3]), (-1, faces[3:])):
        for axis in range(3):
            np.moveaxis(unknown, axis, 0)[side] |= there[axis]
    for side, there in ((0, faces[:3]), (-1, faces[3:])):
        for axis in range(3):
            np.moveaxis(unknown, axis, 0)[side] &= there[axis]
    present, moments = np.pad(mask, 1), np.zeros(unknown.shape, np.uint8)
    moments[present] = KEPT
    changed, turn = True, 0
    while changed:
        changed, turn = False, turn + 1
        marks = [(v, answer(present, unknown, v, True)) for v in np.argwhere(present)]
        for step in np.ndindex(2, 2, 2):
            for v, mark in marks:
                here = mark != NEVER and tuple((v - 1 + start) & 1) == step
                now = answer(present, unknown, v, False) if here else NEVER
                if now != NEVER:
                    gone = now == mark == ALWAYS
                    present[tuple(v)], unknown[tuple(v)] = False, not gone
                    moments[tuple(v)] = turn if gone else UNSETTLED
                    changed = True
    return moments[1:-1, 1:-1, 1:-1]


def answer(present: np.ndarray, unknown: np.ndarray, voxel: np.ndarray, ends: bool) -> int:
    around = tuple(slice(n - 1, n + 2) for n in voxel)
    bits = (as_bits(np.flatnonzero(cube[around]).tolist()) for cube in (present, unknown))
    return int(removable(*bits, ends))


@pytest.mark.parametrize("start", [(0, 0, 0), (3, 4, 6), (-5, 1, 0)])
def test_subfields_count_from_where_the_block_lies(start) -> None:
    mask = np.random.default_rng(0).random((8, 8, 8)) > 0.3
    whole = np.zeros((16, 16, 16), bool)
    low = [s & 1 for s in start]
    whole[tuple(slice(n, n + 8) for n in low)] = mask
    expected = (thinning_moments(whole) == KEPT)[tuple(slice(n, n + 8) for n in low)]
    np.testing.assert_array_equal(thinning_moments(mask, start=start) == KEPT, expected)
