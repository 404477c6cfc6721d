"""Downsampling, against slow implementations of its definition."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from volkit.errors import ContractError, GeometryError
from volkit.geometry import Box, Grid
from volkit.kernels.downsample import downsampled_box, mean, mode
from volkit.testing.strategies import shapes

INTEGERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]
factors = shapes(largest=4)
starts = shapes(smallest=-9, largest=9)
extents = shapes(largest=7)


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


@pytest.mark.parametrize("dtype", INTEGERS)
def test_mean_of_integers_is_exact_and_rounds_half_up(dtype: str) -> None:
    limits = np.iinfo(dtype)
    extremes = st.sampled_from([limits.min, limits.min + 1, 0, 1, 2, limits.max - 1, limits.max])

    @given(data=st.data(), shape=extents, factor=factors, start=starts)
    def holds(data, shape, factor, start) -> None:
        elements = st.one_of(extremes, st.integers(limits.min, limits.max))
        values = data.draw(arrays(dtype, shape, elements=elements))
        expected = {
            place: (2 * sum(group) + len(group)) // (2 * len(group))
            for place, group in grouped(values, factor, start).items()
        }
        assert_groups(mean(values, factor, start=start), expected, values.dtype)

    holds()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_mean_of_floats(dtype: str) -> None:
    elements = st.floats(-1000, 1000, width=16)

    @given(values=extents.flatmap(lambda s: arrays(dtype, s, elements=elements)), factor=factors)
    def holds(values, factor) -> None:
        found = mean(values, factor, start=(1, 2, 3))
        assert found.dtype == values.dtype
        for place, group in grouped(values, factor, (1, 2, 3)).items():
            # Sums of so short numbers are exact, so that only the division rounds.
            assert found[place] == np.dtype(dtype).type(sum(group) / len(group))

    holds()


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
def test_mode_is_the_most_frequent_and_of_ties_the_smallest(dtype: str) -> None:
    least, most = (0, 1) if dtype == "b1" else (np.iinfo(dtype).min, np.iinfo(dtype).max)

    @given(data=st.data(), shape=extents, factor=factors, start=starts)
    def holds(data, shape, factor, start) -> None:
        ids = st.sampled_from(data.draw(st.lists(st.integers(least, most), min_size=1, max_size=4)))
        labels = data.draw(arrays(dtype, shape, elements=ids))
        expected = {
            place: stats.mode(np.array(group, dtype).view("u1" if dtype == "b1" else dtype)).mode
            for place, group in grouped(labels, factor, start).items()
        }
        assert_groups(mode(labels, factor, start=start), expected, labels.dtype)

    holds()


def test_sixty_four_different_ids() -> None:
    labels = np.random.default_rng(0).permutation(64).astype(np.uint64).reshape(4, 4, 4) + 5
    assert mode(labels, (4, 4, 4), start=(0, 0, 0)).tolist() == [[[5]]]
    labels[3, 3, 3] = labels[0, 0, 0]
    assert mode(labels, (4, 4, 4), start=(0, 0, 0)).tolist() == [[[labels[0, 0, 0]]]]


@pytest.mark.parametrize("kernel", [mean, mode])
@given(shape=extents, factor=factors, start=starts, coarse=shapes(largest=3), data=st.data())
def test_result_does_not_depend_on_blocks(kernel, shape, factor, start, coarse, data) -> None:
    """Law 3: cut at multiples of the factor, the parts are those of the whole."""
    values = data.draw(arrays("u1", (2, *shape), elements=st.integers(0, 3)))
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
