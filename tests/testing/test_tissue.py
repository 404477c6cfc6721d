"""Synthetic tissue: the same bytes whichever box is read, and exact numbers."""

import cc3d
import numpy as np
import pytest
from scipy import ndimage

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.testing.specimen import open_specimen
from volkit.testing.tissue import CLASSES, REGIONS, TissueSpecimen
from volkit.testing.tissue_truth import tissue_truth

SHAPE = (48, 60, 160)
SPECIMEN = TissueSpecimen(SHAPE, seed=5)
WHOLE = Box.from_shape(SHAPE)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return SPECIMEN.labels(WHOLE)


@pytest.mark.parametrize(
    "box",
    [
        Box((0, 0, 0), (10, 20, 30)),
        Box((31, 50, 33), (48, 60, 130)),
        Box((20, 20, 39), (21, 21, 41)),
        Box((17, 0, 63), (19, 60, 65)),
    ],
)
@pytest.mark.parametrize("part", ["image", "labels", "cells", "regions"])
def test_a_box_is_a_part_of_the_whole_to_the_bit(part, box) -> None:
    of = getattr(SPECIMEN, part)
    np.testing.assert_array_equal(of(box), of(WHOLE)[box.slices])


def test_components_of_the_class_are_the_cells(labels) -> None:
    cells = SPECIMEN.cells(WHOLE)
    np.testing.assert_array_equal(cells > 0, labels == CLASSES["cell"])
    for connectivity in (6, 18, 26):
        found = cc3d.connected_components(labels == CLASSES["cell"], connectivity=connectivity)
        pairs = np.unique(np.stack([found[cells > 0], cells[cells > 0]]), axis=1)
        assert pairs.shape[1] == found.max() == len(np.unique(cells)) - 1 > 20


def test_truth_counts_what_is_drawn(labels) -> None:
    """By labelling the whole, which the truth never does."""
    truth = tissue_truth(SPECIMEN, block=(20, 64, 37))
    cells, regions = SPECIMEN.cells(WHOLE), SPECIMEN.regions(WHOLE)
    names, sizes = np.unique(cells[cells > 0], return_counts=True)
    assert sorted(truth.voxels) == sorted(sizes)
    centres = np.array(ndimage.center_of_mass(cells > 0, cells, names))
    order = [np.lexsort(places.T) for places in (centres, truth.centroid)]
    np.testing.assert_allclose(truth.centroid[order[1]], centres[order[0]], atol=1e-9)
    main = np.array([np.bincount(regions[cells == name]).argmax() for name in names])
    np.testing.assert_array_equal(truth.region[order[1]], main[order[0]])
    for row, region in enumerate(REGIONS.values()):
        for name, label in CLASSES.items():
            assert truth.counts[name][row] == ((labels == label) & (regions == region)).sum()
    assert truth.counts["background"].sum() == (labels == 0).sum()
    apart = np.linalg.norm(truth.centroid[:, None] - truth.centroid, axis=2) * 1.17
    np.testing.assert_allclose(truth.nearest, np.sort(apart, axis=1)[:, 1:4], rtol=1e-9)


def test_truth_does_not_depend_on_blocks() -> None:
    small = TissueSpecimen((24, 40, 64), seed=2, voxel_size_nm=(1400, 1100, 1200))
    one, other = tissue_truth(small), tissue_truth(small, block=(7, 11, 13))
    for name in one.counts:
        np.testing.assert_array_equal(one.counts[name], other.counts[name])


def test_vessels_fill_what_their_lines_say() -> None:
    """π r² l of the listed vessels, each in its own region: within what junctions share."""
    tissue = TissueSpecimen((128, 128, 256), seed=3)
    box = Box((43, 43, 0), (86, 86, 256))
    lines = tissue.listed_vessels()
    t = np.linspace(0, 1, 2000)[:, None]
    volume = 0.0
    for line in lines:
        at = (line[:3] + t * (line[3:6] - line[:3])) / 1.17
        share = ((at >= box.start) & (at < box.stop)).all(axis=1).mean()
        volume += share * np.pi * line[6] ** 2 * np.linalg.norm(line[3:6] - line[:3])
    drawn = sum(
        int((tissue.labels(piece.write) == CLASSES["vessel"]).sum())
        for piece in Grid(box, (64, 64, 64))
    )
    assert drawn * 1.17**3 == pytest.approx(volume, rel=0.1)


def test_regions_differ_as_they_should() -> None:
    truth = tissue_truth(TissueSpecimen((64, 128, 512), seed=1))
    cells = np.array([(truth.region == region).sum() for region in REGIONS.values()])
    assert cells.argmax() == 1
    assert cells[0] > cells[2] > cells[3]
    axons = truth.fraction("axon")
    assert (np.diff(axons) > 0.02).all()
    assert 0.005 < truth.fraction("vessel").min() < truth.fraction("vessel").max() < 0.05


def test_a_volume_by_address(tmp_path) -> None:
    volume = open_volume("specimen://tissue?shape=48,60,160&seed=5&part=labels")
    assert volume.voxel_size_nm == (1170.0, 1170.0, 1170.0)
    assert volume.domain == WHOLE
    box = Box((3, 40, 70), (30, 58, 150))
    np.testing.assert_array_equal(volume.read(box), SPECIMEN.labels(box))
    other = open_volume("specimen://tissue?shape=48,60,160&seed=5&part=cells")
    assert other.dtype == np.uint64
    assert other.identity != volume.identity


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tissue?seed=1", "has no shape"),
        ("tissue?shape=8,8,8&part=truth", "part 'truth' is unknown"),
        ("tissue?shape=8,8,8&colour=red", "colour is unknown"),
        ("tissue?shape=8,8", "is not three numbers"),
        ("tissue?shape=8,8,8&noise=-1", "noise -1.0 is not from 0 to 10"),
        ("tissue?shape=8,8,8&voxel_size_nm=2000,1000,1000", "too coarse for cells"),
        ("bone?shape=8,8,8", "no specimen 'bone'; known are em, tissue, tomogram"),
    ],
)
def test_addresses_that_make_no_sense(address, message) -> None:
    with pytest.raises(SourceError, match=message):
        open_specimen(f"specimen://{address}")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(GeometryError, match="is empty"):
        TissueSpecimen((0, 4, 4))
    with pytest.raises(ConfigError, match="seed -1"):
        TissueSpecimen((4, 4, 4), seed=-1)
    with pytest.raises(GeometryError, match="outside the specimen"):
        SPECIMEN.labels(Box((0, 0, 0), (49, 4, 4)))
    with pytest.raises(SourceError, match="cannot be written"):
        open_specimen("specimen://tissue?shape=8,8,8").write(WHOLE, np.zeros(1))
