"""Features of tiles, worked out by hand: each quirk of the published code beside its correction."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage.measure import label, regionprops

from volkit.errors import GeometryError
from volkit.kernels.bootstrap import ratio_interval
from volkit.kernels.class_counts import class_counts
from volkit.kernels.class_statistics import section_features
from volkit.kernels.nearest import neighbour_distances
from volkit.kernels.section_cells import section_cells

CLASSES = {"vessel": 1, "cell": 2, "axon": 3}


def features(classes, mode, *, tile=(128, 128), cells=None, pixel_size=(1.0, 1.0)):
    cells = label(classes == 2, connectivity=1) if cells is None else cells
    return section_features(
        class_counts(classes, (1, *tile)),
        section_cells(cells, tile),
        classes=CLASSES,
        tile=tile,
        mode=mode,
        pixel_size=pixel_size,
    )


@pytest.fixture
def section():
    """Four quadrants: three cells in a row and a vessel; one cell; two cells; axons only."""
    classes = np.zeros((1, 256, 256), np.uint8)
    classes[0, 10, 10], classes[0, 10, 13], classes[0, 10:12, 17] = 2, 2, 2
    classes[0, 0:4, 100:104] = 1
    classes[0, 50, 200] = 2
    classes[0, 200, 20], classes[0, 200, 26] = 2, 2
    classes[0, 128:192, 128:] = 3
    return classes


def test_published_has_every_quirk(section) -> None:
    found = features(section, "published")
    assert found["cells"].tolist() == [3, 1, 2, 0]
    # One cell counts as none for its size.
    assert found["cell_size"].tolist() == [4 / 3, 0, 1, 0]
    # The point itself is among the two nearest, so that the mean is half; else 64.
    third = np.hypot(0.5, 4)
    assert found["distance_1"].tolist() == [
        pytest.approx((3 + 3 + third) / 6, rel=1e-15),
        64.0,
        3.0,
        64.0,
    ]
    # The third distance is the first again; else 0.
    assert found["distance_3"].tolist() == [found["distance_1"][0], 0.0, 3.0, 0.0]
    assert "distance_2" not in found
    assert found["vessel_percent"][0] == 100 * 16 / 16384
    assert np.isnan(found["vessel_percent"][1:]).all()  # the published code stops there
    assert found["axon_percent"].tolist() == [0, 0, 0, 50]


def test_corrected_is_what_the_names_say(section) -> None:
    found = features(section, "corrected")
    assert found["cells"].tolist() == [3, 1, 2, 0]
    np.testing.assert_equal(found["cell_size"], [4 / 3, 1, 1, np.nan])
    third = np.hypot(0.5, 4)
    np.testing.assert_allclose(found["distance_1"], [(3 + 3 + third) / 3, np.nan, 6, np.nan])
    np.testing.assert_allclose(
        found["distance_2"],
        [(np.hypot(0.5, 7) + third + np.hypot(0.5, 7)) / 3, *[np.nan] * 3],
    )
    assert np.isnan(found["distance_3"]).all()  # three cells have two neighbours each
    assert found["vessel_percent"].tolist() == [100 * 16 / 16384, 0, 0, 0]
    np.testing.assert_allclose(
        features(section, "corrected", pixel_size=(5, 2))["distance_1"][2], 12
    )


def test_published_is_half_of_corrected_where_there_are_cells() -> None:
    rng = np.random.default_rng(0)
    classes = np.where(rng.random((3, 256, 256)) < 0.002, 2, 1).astype(np.uint8)
    old, new = (features(classes, mode) for mode in ("published", "corrected"))
    assert (new["cells"] > 20).all()
    np.testing.assert_allclose(old["distance_1"], new["distance_1"] / 2, rtol=1e-14)


def test_published_follows_the_published_recipe_to_the_digit() -> None:
    """The recipe, written down again with scikit-image on every quadrant."""
    rng = np.random.default_rng(1)
    classes = np.where(rng.random((4, 40, 40)) < 0.1, 2, 1).astype(np.uint8)
    cells = label(classes == 2, connectivity=1)
    found = features(classes, "published", tile=(20, 20), cells=cells)
    row = 0
    for z in range(4):
        for y in (0, 20):
            for x in (0, 20):
                props = regionprops(cells[z, y : y + 20, x : x + 20])
                centres = np.array([p.centroid for p in props])
                assert found["cells"][row] == len(props)
                assert found["cell_size"][row] == np.mean([p.area for p in props])
                distances, _ = cKDTree(centres).query(centres, k=2)
                assert found["distance_1"][row] == np.mean(distances)
                row += 1
    assert row == len(found["cells"])


def test_a_cell_seen_as_two_blobs_counts_once() -> None:
    ring = np.zeros((2, 8, 8), np.uint8)
    ring[0, 2:6, 2:6], ring[1, 2:6, 2], ring[1, 2:6, 5] = 2, 2, 2
    assert features(ring, "corrected", tile=(8, 8))["cells"].tolist() == [1, 1]
    cut = features(ring, "corrected", tile=(8, 4))
    assert (cut["cells"].tolist(), cut["cells_cut"].tolist()) == ([1] * 4, [1] * 4)


def test_a_part_of_a_tile_counts_as_it_is_there() -> None:
    classes = np.full((1, 3, 5), 3, np.uint8)
    new, old = (features(classes, mode, tile=(4, 4)) for mode in ("corrected", "published"))
    assert new["pixels"].tolist() == [12, 3]
    assert new["axon_percent"].tolist() == [100, 100]
    assert old["axon_percent"].tolist() == [100 * 12 / 16, 100 * 3 / 16]


def test_an_unknown_mode_is_refused(section) -> None:
    with pytest.raises(GeometryError, match="mode is 'compat'; choose one of published"):
        features(section, "compat")


def test_distances_are_those_of_brute_force() -> None:
    points = np.random.default_rng(2).random((60, 3)) * (40, 10, 10)
    gaps = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)
    np.testing.assert_allclose(neighbour_distances(points), gaps[:, 1:4], rtol=1e-12)
    twins = neighbour_distances(np.zeros((3, 3)), ranks=(1, 3))
    np.testing.assert_equal(twins, [[0, np.nan]] * 3)
    assert np.isnan(neighbour_distances(np.zeros((1, 3)))).all()
    assert neighbour_distances(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(GeometryError, match="the nearest has rank 1"):
        neighbour_distances(points, ranks=(0,))
    with pytest.raises(GeometryError, match="finite coordinates"):
        neighbour_distances(np.array([[np.nan]]))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(200):
        below = rng.integers(50, 150, 60)
        low, high = ratio_interval(rng.binomial(below, 0.3), below, level=0.9, draws=300, seed=seed)
        inside += low <= 0.3 <= high
    assert 165 <= inside <= 195  # 180 expected, deviation 4; a bootstrap is a bit narrow
    assert ratio_interval(np.array([1, 4]), np.array([9, 5])) == ratio_interval(
        np.array([1, 4]), np.array([9, 5])
    )
    assert np.isnan(ratio_interval(np.array([1]), np.array([2]))).all()
    assert np.isnan(ratio_interval(np.array([1, 0]), np.array([2, 0]))).all()
    with pytest.raises(GeometryError, match="level 1, 1000 draws"):
        ratio_interval(np.ones(3), np.ones(3), level=1)
