"""Downsampling, against slow implementations of its definition."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import ContractError, GeometryError
from volkit.geometry import Box, Grid
from volkit.kernels.downsample import downsampled_box, mean, mode
from volkit.testing.strategies import shapes

INTEGERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]
factors = shapes(largest=4)
starts = shapes(smallest=-9, largest=9)
extents = shapes(largest=7)
seeds = st.integers(0, 2**32 - 1)


def grouped(values: np.ndarray, factor, start) -> dict[tuple[int, ...], list]:
    """The fine voxels of every coarse one, by its place in the result."""
    first = [s // f for s, f in zip(start, factor, strict=True)]
    groups = defaultdict(list)
    for place in np.ndindex(values.shape):
        coarse = [
            (p + s) // f - o for p, s, f, o in zip(place[-3:], start, factor, first, strict=True)
        ]
        groups[*place[:-3], *coarse].append(values[place].item())
    return groups


def assert_groups(found: np.ndarray, expected: dict, dtype) -> None:
    assert found.dtype == dtype
    assert found.shape == tuple(1 + max(place[i] for place in expected) for i in range(found.ndim))
    assert {place: found[place].item() for place in np.ndindex(found.shape)} == expected


def mixed(dtype: str, shape, seed: int) -> np.ndarray:
    """Integers of every size, the extremes often."""
    limits, rng = np.iinfo(dtype), np.random.default_rng(seed)
    anything = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    extremes = [limits.min, limits.min + 1, 0, 1, 2, limits.max - 1, limits.max]
    return np.where(rng.random(shape) < 0.5, rng.choice(np.array(extremes, dtype), shape), anything)


@pytest.mark.parametrize("dtype", INTEGERS)
@settings(max_examples=20)
@given(shape=extents, factor=factors, start=starts, seed=seeds)
def test_mean_of_integers_is_exact_and_rounds_half_up(dtype, shape, factor, start, seed) -> None:
    values = mixed(dtype, shape, seed)
    expected = {
        place: (2 * sum(group) + len(group)) // (2 * len(group))
        for place, group in grouped(values, factor, start).items()
    }
    assert_groups(mean(values, factor, start=start), expected, values.dtype)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@settings(max_examples=20)
@given(shape=extents, factor=factors, start=starts, seed=seeds)
def test_mean_of_floats(dtype, shape, factor, start, seed) -> None:
    # Sums of so short numbers are exact, so that only the division rounds.
    values = np.random.default_rng(seed).integers(-999, 999, shape).astype(dtype) / np.dtype(
        dtype
    ).type(8)
    found = mean(values, factor, start=start)
    expected = {
        place: np.dtype(dtype).type(sum(group) / len(group)).item()
        for place, group in grouped(values, factor, start).items()
    }
    assert_groups(found, expected, values.dtype)


def test_nan_stays_where_it_is() -> None:
    values = np.zeros((1, 4, 4), np.float32)
    values[0, 1, 2] = np.nan
    assert np.isnan(mean(values, (1, 2, 2), start=(0, 0, 0))).tolist() == [
        [[False, True], [False, False]]
    ]


def test_half_of_a_mask_is_true() -> None:
    mask = np.array([[[True, False, False, False]]])
    assert mean(mask, (1, 1, 2), start=(0, 0, 0)).tolist() == [[[True, False]]]
    assert mode(mask, (1, 1, 2), start=(0, 0, 0)).tolist() == [[[False, False]]]


@pytest.mark.parametrize("dtype", [*INTEGERS, "b1"])
@settings(max_examples=20)
@given(shape=extents, factor=factors, start=starts, seed=seeds, count=st.integers(1, 4))
def test_mode_is_the_most_frequent_and_of_ties_the_smallest(
    dtype, shape, factor, start, seed, count
) -> None:
    ids = mixed("u1" if dtype == "b1" else dtype, count, seed).astype(dtype)
    labels = np.random.default_rng(seed).choice(ids, shape)
    expected = {}
    for place, group in grouped(labels, factor, start).items():
        values, counts = np.unique(np.array(group, dtype), return_counts=True)
        expected[place] = values[counts.argmax()].item()  # unique sorts, argmax takes the first
    assert_groups(mode(labels, factor, start=start), expected, labels.dtype)


def test_sixty_four_different_ids() -> None:
    labels = np.random.default_rng(0).permutation(64).astype(np.uint64).reshape(4, 4, 4) + 5
    assert mode(labels, (4, 4, 4), start=(0, 0, 0)).tolist() == [[[5]]]
    labels[3, 3, 3] = labels[0, 0, 0]
    assert mode(labels, (4, 4, 4), start=(0, 0, 0)).tolist() == [[[labels[0, 0, 0]]]]


@pytest.mark.parametrize("kernel", [mean, mode])
@given(shape=extents, factor=factors, start=starts, coarse=shapes(largest=3), seed=seeds)
def test_result_does_not_depend_on_blocks(kernel, shape, factor, start, coarse, seed) -> None:
    """Law 3: cut at multiples of the factor, the parts are those of the whole."""
    values = np.random.default_rng(seed).integers(0, 4, (2, *shape), np.uint8)
    whole = Box.from_shape(shape, start)
    grid = Grid(downsampled_box(whole, factor), coarse)
    expected = kernel(values, factor, start=start)
    assert expected.shape[1:] == grid.domain.shape
    for block in grid:
        needed = Box(
            tuple(n * f for n, f in zip(block.write.start, factor, strict=True)),
            tuple(n * f for n, f in zip(block.write.stop, factor, strict=True)),
        ).intersect(whole)
        part = values[(..., *needed.relative_to(whole).slices)]
        np.testing.assert_array_equal(
            kernel(part, factor, start=needed.start),
            expected[(..., *block.write.relative_to(grid.domain).slices)],
        )


@pytest.mark.parametrize("kernel", [mean, mode])
def test_other_layouts_in_memory(kernel) -> None:
    values = np.random.default_rng(0).integers(0, 4, (5, 6, 7), np.uint16)
    expected = kernel(values, (2, 2, 2), start=(0, 0, 0))
    turned = np.ascontiguousarray(values.T).T
    np.testing.assert_array_equal(kernel(turned, (2, 2, 2), start=(0, 0, 0)), expected)
    swapped = kernel(values.astype(">u2"), (2, 2, 2), start=(0, 0, 0))
    np.testing.assert_array_equal(swapped, expected)
    values.flags.writeable = False
    np.testing.assert_array_equal(kernel(values, (2, 2, 2), start=(0, 0, 0)), expected)


@pytest.mark.parametrize(
    ("values", "factor", "kind", "message"),
    [
        (np.zeros((1, 1, 1)), (1, 5, 1), GeometryError, "a factor of 5 on axis y; choose 1 to 4"),
        (np.zeros((1, 1, 1)), (0, 1, 1), GeometryError, "a factor of 0 on axis z"),
        (np.zeros((1, 1)), (1, 1, 1), ContractError, r"float64 \(1, 1\); give bool"),
        (np.zeros((0, 1, 1)), (1, 1, 1), ContractError, "with voxels in it"),
        (np.zeros((1, 1, 1), complex), (1, 1, 1), ContractError, "complex128"),
    ],
)
def test_what_cannot_be_downsampled(values, factor, kind, message) -> None:
    with pytest.raises(kind, match=message):
        mean(values, factor, start=(0, 0, 0))


def test_floats_have_no_mode() -> None:
    with pytest.raises(ContractError, match="float32, which have no most frequent one; average"):
        mode(np.zeros((1, 1, 1), np.float32), (1, 1, 1), start=(0, 0, 0))
