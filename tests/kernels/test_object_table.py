"""Object tables of parts add up to that of the whole, which is that of scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import regionprops, regionprops_table

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.object_shape import centroids, covariances, intensities, principal_axes, touches
from volkit.kernels.object_table import add_objects, object_sums, quantised

SIZE = (4.0, 1.5, 1.0)


def tissue(seed: int, shape=(9, 14, 21), kind=np.uint32):
    """Some labels with ids far apart, and an image."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2)
    labels, count = ndimage.label(field > 0.1)
    names = np.r_[0, rng.permutation(np.arange(1, count + 1)) * 37]
    return names[labels].astype(kind), rng.integers(0, 4000, shape).astype(np.uint16)


def same(a, b) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


@settings(max_examples=20)
@given(st.integers(0, 50), st.tuples(*[st.integers(3, 22)] * 3), st.integers(-5000, 2**30))
def test_any_grid_gives_identical_rows(seed, block_shape, offset) -> None:
    labels, image = tissue(seed)
    start = (offset, 3, -7)
    whole = object_sums(labels, start=start, intensity=image)
    parts = [
        object_sums(
            labels[block.write.slices],
            start=tuple(a + b for a, b in zip(block.write.start, start, strict=True)),
            intensity=image[block.write.slices],
        )
        for block in Grid(Box.from_shape(labels.shape), block_shape)
    ]
    assert same(add_objects(parts), whole)
    assert same(add_objects([add_objects(parts[:2]), *parts[2:]]), whole)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int64, np.uint64, ">u4"])
def test_rows_are_those_of_scikit_image(kind) -> None:
    labels, image = tissue(3)
    if np.dtype(kind).itemsize == 1:
        labels = labels % 251
    labels = labels.astype(kind)
    table = object_sums(labels, intensity=image)
    native = labels.astype(np.int64)
    names = ("label", "area", "bbox", "centroid", "intensity_mean", "intensity_min")
    known = regionprops_table(native, image, properties=names)
    assert table["id"].tolist() == known["label"].tolist()
    assert table["voxels"].tolist() == known["area"].tolist()
    for k, name in enumerate(["z_start", "y_start", "x_start", "z_stop", "y_stop", "x_stop"]):
        assert table[name].tolist() == known[f"bbox-{k}"].tolist()
    for axis, values in enumerate(centroids(table).T):
        np.testing.assert_allclose(values, known[f"centroid-{axis}"], rtol=1e-12)
    light = intensities(table)
    np.testing.assert_allclose(light["mean"], known["intensity_mean"], rtol=1e-12)
    assert light["lowest"].tolist() == known["intensity_min"].tolist()
    deviations = [image[native == i].std() for i in table["id"]]
    np.testing.assert_allclose(light["deviation"], deviations, rtol=1e-9)


@pytest.mark.parametrize("offset", [0, 100_000, 2**30])
def test_axes_are_those_of_the_covariance_however_far_from_the_origin(offset) -> None:
    labels, _ = tissue(5)
    table = object_sums(labels, start=(offset, offset, offset))
    found = covariances(table, SIZE)
    for k, props in enumerate(regionprops(labels.astype(np.int64))):
        places = props.coords * np.array(SIZE)
        np.testing.assert_allclose(found[k], np.cov(places.T, bias=True), atol=1e-9)
    lengths, longest = principal_axes(found)
    assert (np.diff(lengths, axis=1) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(longest, axis=1), 1)


def test_an_ellipsoid_has_its_own_axes() -> None:
    z, y, x = np.ogrid[-12:13, -20:21, -30:31]
    ball = ((z / 10) ** 2 + (y / 18) ** 2 + (x / 28) ** 2 <= 1).astype(np.uint8)
    lengths, longest = principal_axes(covariances(object_sums(ball), (2, 1, 1)))
    np.testing.assert_allclose(lengths[0], (56, 40, 36), rtol=0.01)
    np.testing.assert_allclose(longest[0], (0, 0, 1), atol=1e-6)


def test_sums_beyond_64_bits_are_exact() -> None:
    start = (2**31 - 3, 5, 2**31 - 3)
    table = object_sums(np.ones((2, 1, 2), np.uint8), start=start)
    z, x = (start[0], start[0] + 1), (start[2], start[2] + 1)
    for name, expected in (
        ("zz", 2 * sum(a * a for a in z)),
        ("zx", sum(a * b for a in z for b in x)),
    ):
        assert int(table[f"{name}_high"][0]) * 2**32 + int(table[f"{name}_low"][0]) == expected


def test_what_touches_a_face_is_told_apart() -> None:
    labels = np.zeros((3, 5, 5), np.uint8)
    labels[1, 1, 1], labels[1, 2:4, 4], labels[0, 3, 2] = 1, 2, 3
    assert touches(object_sums(labels), Box.from_shape(labels.shape)).tolist() == [
        False,
        True,
        True,
    ]


def test_nothing_gives_no_rows() -> None:
    for shape in ((2, 3, 4), (0, 3, 4), (2, 3, 0)):
        table = object_sums(np.zeros(shape, np.uint16))
        assert [len(column) for column in table.values()] == [0] * len(table)
        assert same(add_objects([table, table]), table)
    assert principal_axes(covariances(table, SIZE))[0].shape == (0, 3)


def test_what_cannot_be_added_exactly_is_refused() -> None:
    labels = np.ones((1, 1, 2), np.uint8)
    with pytest.raises(ContractError, match="labels are float32, which are not ids"):
        object_sums(labels.astype(np.float32))
    with pytest.raises(ContractError, match="negative id -3"):
        object_sums(np.array([[[1, -3]]]))
    with pytest.raises(ContractError, match="intensities are float64.*or the range"):
        object_sums(labels, intensity=np.zeros((1, 1, 2)))
    with pytest.raises(ContractError, match="intensities have shape"):
        object_sums(labels, intensity=np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(ContractError, match="beyond 2\\*\\*31"):
        object_sums(labels, start=(0, 0, 2**31 - 1))
    with pytest.raises(ContractError, match="intensities from 1 to 1"):
        quantised(np.zeros(2), 1, 1)
    with pytest.raises(ContractError, match="intensities are NaN"):
        quantised(np.array([np.nan]), 0, 1)


def test_real_intensities_come_back_within_a_step() -> None:
    labels, image = tissue(1)
    real = image / 1000.0 - 2
    table = object_sums(labels, intensity=quantised(real, -2, 2))
    found = intensities(table, low=-2, high=2)
    means = [real[labels == i].mean() for i in table["id"]]
    np.testing.assert_allclose(found["mean"], means, atol=4 / 65535)
