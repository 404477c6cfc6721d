"""Components of equal labels and small objects, across blocks, with ids of any size."""

from pathlib import Path

import cc3d
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.kernels.label import label_equal
from volkit.ops.components import components_of
from volkit.ops.relabelling import relabel_consecutive, remove_small, sizes_of
from volkit.testing.strategies import label_volumes

LARGEST = np.uint64(2**64 - 1)


def assert_same_partition(a: np.ndarray, b: np.ndarray) -> None:
    pairs = np.unique(np.stack([a.ravel().astype(np.uint64), b.ravel().astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


@given(
    labels=label_volumes((7, 6, 9)),
    block_shape=st.tuples(st.integers(2, 8), st.integers(3, 7), st.integers(2, 10)),
    connectivity=st.sampled_from([6, 18, 26]),
)
@settings(max_examples=25)
def test_any_grid_gives_the_components_of_cc3d(labels, block_shape, connectivity) -> None:
    volume = open_volume(labels)
    grid = Grid(volume.domain, block_shape)
    result = components_of(volume, connectivity=connectivity, grid=grid).compute(scheduler="sync")
    assert_same_partition(result, cc3d.connected_components(labels, connectivity=connectivity))
    np.testing.assert_array_equal(result, label_equal(labels, connectivity=connectivity))


@pytest.mark.parametrize("block_shape", [(13, 15, 19), (5, 8, 7)])
@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_both_engines_agree(block_shape, connectivity, tmp_path: Path) -> None:
    labels = np.random.default_rng(3).choice(np.array([0, 5, LARGEST], np.uint64), (13, 15, 19))
    volume = open_volume(labels)
    grid = Grid(volume.domain, block_shape)
    how = {"connectivity": connectivity, "grid": grid}
    result = components_of(volume, **how, engine=JobEngine(tmp_path)).read()
    np.testing.assert_array_equal(result, label_equal(labels, connectivity=connectivity))
    lazy = components_of(volume, **how).compute(scheduler="sync")
    np.testing.assert_array_equal(lazy, result)


@given(
    labels=label_volumes((7, 6, 9)),
    block_shape=st.tuples(st.integers(2, 8), st.integers(3, 7), st.integers(2, 10)),
    smallest=st.integers(0, 60),
    masked=st.booleans(),
)
@settings(max_examples=15)
def test_small_labels_are_removed(labels, block_shape, smallest, masked) -> None:
    volume = open_volume(labels)
    mask = np.indices(labels.shape).sum(axis=0) % 5 != 0 if masked else np.ones(labels.shape, bool)
    kept = np.where(mask, labels, 0)
    for label, count in zip(*np.unique(kept, return_counts=True), strict=True):
        if count < smallest:
            kept[kept == label] = 0
    result = remove_small(
        volume,
        smallest=smallest,
        mask=open_volume(mask.astype(np.uint8)) if masked else None,
        grid=Grid(volume.domain, block_shape),
    )
    np.testing.assert_array_equal(result.compute(scheduler="sync"), kept)


def test_sizes_add_up(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).choice(np.array([0, 5, LARGEST], np.uint64), (13, 15, 19))
    volume = open_volume(labels)
    sizes = sizes_of(volume, grid=Grid(volume.domain, (5, 6, 7)), engine=JobEngine(tmp_path))
    assert sizes["id"].tolist() == [5, 2**64 - 1]
    assert sizes["voxels"].tolist() == [(labels == 5).sum(), (labels == LARGEST).sum()]


def test_ids_up_to_the_largest_are_numbered() -> None:
    labels = open_volume(np.array([[[LARGEST, 0, 2**63, 5, LARGEST]]], np.uint64))
    result = relabel_consecutive(labels, grid=Grid(labels.domain, (1, 1, 2)))
    assert result.compute(scheduler="sync").tolist() == [[[3, 0, 2, 1, 3]]]


@pytest.mark.parametrize(
    ("values", "work", "message"),
    [
        (np.zeros((3, 3, 3), np.float32), components_of, "labels are float32 of 3 axes; give"),
        (np.full((3, 3, 3), -1), sizes_of, "labels are int64, the smallest -1; give whole"),
        (np.full((3, 3, 3), -1), relabel_consecutive, "int64, the smallest -1; give whole"),
        (np.full((3, 3, 3), 1.2), relabel_consecutive, "labels are float64, .* give whole"),
    ],
)
def test_what_is_no_label_is_refused(values, work, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        work(open_volume(values)).compute(scheduler="sync")


def test_options_that_cannot_be_are_refused() -> None:
    volume = open_volume(np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ContractError, match="connectivity is 8; choose 6"):
        components_of(volume, connectivity=8)
    with pytest.raises(ConfigError, match="smallest is -1; give a number of voxels"):
        remove_small(volume, smallest=-1)


@pytest.fixture(scope="module")
def pinky(shared_data: Path) -> np.ndarray:
    """A cortex segmentation, (z, y, x), ids up to 94,243,562."""
    with h5py.File(shared_data / "em" / "seunglab" / "pinky40_seg_crop256.h5") as file:
        return np.ascontiguousarray(np.asarray(file["seg"]).T)


def test_a_box_of_cortex_is_numbered_and_measured(pinky) -> None:
    crop = np.ascontiguousarray(pinky[96:136, 60:120, 40:110])
    volume = open_volume(crop)
    grid = Grid(volume.domain, (30, 40, 50))
    assert crop.max() > 10**7
    ids, where, counts = np.unique(crop, return_inverse=True, return_counts=True)
    numbered = relabel_consecutive(volume, grid=grid).compute(scheduler="sync")
    np.testing.assert_array_equal(numbered, where.reshape(crop.shape) + int(ids[0] != 0))
    sizes = sizes_of(volume, grid=grid).compute(scheduler="sync")
    np.testing.assert_array_equal(sizes["id"], ids[ids != 0])
    np.testing.assert_array_equal(sizes["voxels"], counts[ids != 0])
    pieces = components_of(volume, connectivity=6, grid=grid).compute(scheduler="sync")
    assert_same_partition(pieces, cc3d.connected_components(crop, connectivity=6))


@pytest.mark.slow
@pytest.mark.parametrize(("connectivity", "pieces"), [(6, 737), (18, 610), (26, 608)])
def test_all_of_the_cortex_has_its_known_components(pinky, connectivity, pieces) -> None:
    volume = open_volume(pinky)
    grid = Grid(volume.domain, (100, 128, 90))
    found = components_of(volume, connectivity=connectivity, grid=grid).compute(scheduler="sync")
    assert len(np.unique(found[found != 0])) == pieces


@pytest.mark.slow
def test_all_of_the_cortex_is_numbered_measured_and_filtered(pinky, tmp_path: Path) -> None:
    """459 ids up to 94,243,562 (0 among them), in 18 blocks of a job."""
    volume, engine = open_volume(pinky), JobEngine(tmp_path)
    where = {"grid": Grid(volume.domain, (100, 128, 90)), "engine": engine}
    ids, numbers, counts = np.unique(pinky, return_inverse=True, return_counts=True)
    assert (len(ids), ids[0], ids[1], ids[-1]) == (459, 0, 968_670, 94_243_562)
    numbered = relabel_consecutive(volume, **where).read()
    np.testing.assert_array_equal(numbered, numbers.reshape(pinky.shape))
    sizes = sizes_of(volume, **where)
    np.testing.assert_array_equal(sizes["id"], ids[1:])
    np.testing.assert_array_equal(sizes["voxels"], counts[1:])
    largest = dict(zip(sizes["id"].tolist(), sizes["voxels"].tolist(), strict=True))
    assert largest[25_024_949] == 6_188_863
    kept = remove_small(volume, smallest=1000, **where).read()
    small = np.isin(pinky, ids[counts < 1000])
    assert 0 < small.sum() < 10**6
    np.testing.assert_array_equal(kept, np.where(small, 0, pinky))
