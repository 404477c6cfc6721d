"""Specimens: the same tissue whichever box is read, and exact truth."""

import tracemalloc

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.testing.specimen import EmSpecimen

SHAPE = (24, 40, 36)
SPECIMEN = EmSpecimen(SHAPE, seed=7, voxel_size_nm=(16.0, 8.0, 8.0), missing_sections=0.1)
WHOLE = {
    part: getattr(SPECIMEN, part)(Box.from_shape(SHAPE)) for part in ("image", "truth", "boundary")
}


@pytest.mark.parametrize("part", ["image", "truth", "boundary"])
@given(data=st.data())
@settings(max_examples=15)
def test_a_box_is_a_part_of_the_whole_to_the_bit(part, data) -> None:
    start = [data.draw(st.integers(0, n - 1)) for n in SHAPE]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, SHAPE, strict=True)]
    box = Box(tuple(start), tuple(stop))
    np.testing.assert_array_equal(getattr(SPECIMEN, part)(box), WHOLE[part][box.slices])


def test_cells_are_whole_packed_and_many() -> None:
    truth = EmSpecimen((160, 160, 160), seed=3).truth(Box.from_shape((160, 160, 160)))
    ids, dense = np.unique(truth, return_inverse=True)
    dense = dense.reshape(truth.shape).astype(np.uint32)
    faces = [np.take(dense, i, axis) for axis in range(3) for i in (0, -1)]
    inner = set(range(1, len(ids))) - set(np.concatenate([f.ravel() for f in faces]).tolist())
    pieces = cc3d.connected_components(dense, connectivity=6)
    for cell in inner:
        sizes = np.bincount(pieces[dense == cell])
        # A corner of a membrane may cut off a voxel or two.
        assert sizes.max() >= 0.99 * sizes.sum()
    assert len(inner) >= 3
    assert 0.1 < (truth == 0).mean() < 0.3
    assert 100 < len(ids) < 900


def test_membranes_are_dark_and_the_ideal_map_knows_them() -> None:
    present = WHOLE["image"].max((1, 2)) > 0
    image, truth = WHOLE["image"][present], WHOLE["truth"][present]
    assert image[truth == 0].mean() < image[truth > 0].mean() - 20
    assert WHOLE["boundary"][WHOLE["truth"] == 0].min() > 0.8
    assert WHOLE["boundary"][WHOLE["truth"] > 0].mean() < 0.3


def test_missing_sections_are_black_and_their_truth_is_not() -> None:
    lost = WHOLE["image"].max((1, 2)) == 0
    assert 0 < lost.sum() < 10
    assert (WHOLE["truth"][lost] > 0).any()


def test_another_seed_is_another_tissue() -> None:
    other = EmSpecimen(SHAPE, seed=8).truth(Box.from_shape(SHAPE))
    assert (other != WHOLE["truth"]).mean() > 0.9


def test_voxel_size_samples_the_same_tissue() -> None:
    fine = EmSpecimen((48, 40, 36), seed=7).truth(Box.from_shape((48, 40, 36)))
    np.testing.assert_array_equal(fine[::2], WHOLE["truth"])


def test_a_petavoxel_costs_nothing_until_it_is_read() -> None:
    huge = open_volume("specimen://em?shape=1000000,1000000,1000000&seed=1")
    assert huge.domain.size == 10**18
    box = Box.from_shape((2, 16, 16), (999_998, 500_000, 3))
    assert huge.read(box).std() > 0


def test_a_large_read_is_made_of_pieces_and_equals_the_whole() -> None:
    uri = "specimen://em?shape=70,80,90&seed=5&part="
    whole = EmSpecimen((70, 80, 90), seed=5)
    for part in ("image", "truth", "boundary"):
        expected = getattr(whole, part)(Box.from_shape(whole.shape))
        np.testing.assert_array_equal(open_volume(uri + part).read(), expected)


def test_a_read_needs_memory_for_a_piece_not_for_the_box() -> None:
    volume = open_volume("specimen://em?shape=128,128,192&seed=5")
    volume.read(Box.from_shape((64, 64, 64)))
    peaks = []
    for shape in ((64, 64, 64), (128, 128, 192)):
        tracemalloc.start()
        volume.read(Box.from_shape(shape))
        peaks.append(tracemalloc.get_traced_memory()[1] - Box.from_shape(shape).size)
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]  # twelve times the voxels


def test_an_empty_box_reads_as_nothing() -> None:
    volume = open_volume("specimen://em?shape=8,9,10")
    assert volume.read(Box((4, 4, 4), (4, 6, 6))).shape == (0, 2, 2)


def test_a_volume_says_what_it_is() -> None:
    volume = open_volume("specimen://em?shape=8,9,10&seed=2&part=truth&voxel_size_nm=40,8,8")
    assert (volume.shape, volume.dtype) == ((8, 9, 10), np.dtype(np.uint64))
    assert volume.voxel_size_nm == (40.0, 8.0, 8.0)
    assert volume.attributes["specimen"]["seed"] == 2
    image = open_volume("specimen://em?shape=8,9,10&seed=2&voxel_size_nm=40,8,8")
    assert image.identity != volume.identity
    with pytest.raises(SourceError, match="cannot be written"):
        image.write(image.domain, image.read())


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("specimen://brain?shape=8,8,8", "no specimen 'brain'; known are em"),
        ("specimen://em?seed=1", "has no shape"),
        ("specimen://em?shape=8,8", "not three numbers"),
        ("specimen://em?shape=8,8,x", "invalid literal"),
        ("specimen://em?shape=8,8,8&sede=1", "sede is unknown; known are shape, seed"),
        ("specimen://em?shape=8,8,8&part=mesh", "part 'mesh' is unknown"),
        ("specimen://em?shape=8,8,8&missing_sections=2", "no share"),
        ("specimen://em?shape=0,8,8", "empty"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(uri, message) -> None:
    with pytest.raises(SourceError, match=message):
        open_volume(uri)


def test_only_level_0_exists() -> None:
    with pytest.raises(SourceError, match="level 0 only"):
        open_volume("specimen://em?shape=8,8,8", level=1)


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="seed -1"):
        EmSpecimen((8, 8, 8), seed=-1)
    with pytest.raises(GeometryError, match="outside the specimen"):
        SPECIMEN.image(Box((0, 0, 0), (99, 1, 1)))
