"""Validation: blending, and scores against an independent count."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from volkit.geometry import Box, VoxelScale
from volkit.training.heatmaps import heat_maps
from volkit.training.particle_config import PickValidation
from volkit.training.particle_crops import Tomogram
from volkit.training.particle_options import ParticleKind
from volkit.training.particle_points import Points
from volkit.training.particle_validate import blended, validated
from volkit.training.threshold_search import best_thresholds

RNG = np.random.default_rng(0)
KINDS = (ParticleKind("a", 6.0, 1.0), ParticleKind("b", 9.0, 2.0), ParticleKind("c", 4.0, 0.0))


def double(windows):
    return np.concatenate([windows, 2 * windows, -windows], axis=1)


@pytest.mark.parametrize("weights", ["pyramid", "gaussian", "constant"])
@pytest.mark.parametrize("stride", [None, (4, 5, 8)])
def test_a_network_that_sees_voxels_alone_is_blended_to_itself(weights, stride) -> None:
    image = RNG.standard_normal((13, 21, 30)).astype(np.float32)
    maps = blended(double, image, (8, 8, 8), stride=stride, weights=weights)
    np.testing.assert_allclose(maps, double(image[None, None])[0], rtol=2e-5, atol=1e-5)


def test_beyond_the_tomogram_there_is_its_mean() -> None:
    seen = []

    def keep(windows):
        seen.append(windows)
        return windows

    blended(keep, np.ones((8, 8, 9), np.float32), (8, 8, 8))
    window = np.concatenate(seen)[-1, 0]
    assert window[..., -1].max() == 0


def tomogram(seed: int) -> Tomogram:
    rng = np.random.default_rng(seed)
    places, kinds = rng.uniform(1, 22, (12, 3)), rng.integers(0, 3, 12)
    image = rng.uniform(0, 1, (24, 24, 24)).astype(np.float32)
    return Tomogram("t", image, VoxelScale((1, 1, 1)), Points(places, kinds), np.ones((3, 3)))


def oracle(heat, truth, radius, threshold, reach):
    """Count by brute force: peaks by comparison, hits by a tree."""
    found = []
    for z, y, x in np.ndindex(heat.shape):
        part = heat[tuple(slice(max(0, v - reach), v + reach + 1) for v in (z, y, x))]
        if heat[z, y, x] > threshold and heat[z, y, x] == part.max():
            found.append((z, y, x))
    if not found:
        return 0, 0, len(truth)
    near = KDTree(np.array(found, float)).query_ball_point(truth, radius) if len(truth) else []
    hits = sum(bool(n) for n in near)
    return hits, len(found) - hits, len(truth) - hits


def test_scores_are_those_of_an_independent_count() -> None:
    tomograms = [tomogram(1), tomogram(2)]
    options = PickValidation(thresholds=(0.9, 0.97, 0.99), reach=2)

    def predict(windows):
        return np.concatenate([windows, 1 - windows, windows**4], axis=1)

    found = validated(predict, tomograms, KINDS, options, window=(12, 12, 12))
    f = np.zeros((3, 3))
    for kind, radius in enumerate((3.0, 4.5, 2.0)):
        for n, threshold in enumerate(options.thresholds):
            counts = np.zeros(3)
            for t in tomograms:
                heat = predict(t.image[None, None])[0, kind]
                # Blending divides by its weights; what is compared here must be as exact.
                counts += oracle(heat, t.points.of(kind), radius, threshold, 2)
            tp, fp, fn = counts
            f[kind, n] = 17 * tp / (17 * tp + 16 * fn + fp) if tp else 0.0
    np.testing.assert_allclose(found.kinds, f.max(1), rtol=1e-9)
    assert found.thresholds == tuple(options.thresholds[n] for n in f.argmax(1))
    assert found.score == pytest.approx((f[0].max() + 2 * f[1].max()) / 3)


@pytest.mark.parametrize("target_offset", [0.5, 1.0])
def test_a_perfect_network_scores_one(target_offset) -> None:
    t = tomogram(3)
    apart = np.array([[8.2, 8.4, 8.1], [8.3, 18.2, 9.7], [18.4, 10.1, 16.6]])
    size, origin = (2.0, 1.0, 1.0), (100.0, 0.0, -5.0)
    points = Points(apart * size + origin, np.array([0, 1, 1]))
    t = Tomogram("t", t.image, VoxelScale(size, origin), points, np.full((3, 3), 2.0))
    maps = heat_maps(
        t.places(target_offset), points.kinds, Box.from_shape((24, 24, 24)), sigmas=t.sigmas
    )
    found = validated(
        lambda windows: maps[None],
        [t],
        (ParticleKind("a", 4.0), ParticleKind("b", 4.0), ParticleKind("c", 4.0, 0.0)),
        PickValidation(thresholds=(0.3, 0.5)),
        window=(24, 24, 24),
        target_offset=target_offset,
    )
    assert found.score == 1.0
    assert found.counts == ((1, 0, 0), (2, 0, 0), (0, 0, 0))


def test_lowest_of_equal_thresholds_is_taken_and_weights_count() -> None:
    counts = np.array([[[3, 0, 0], [3, 0, 0]], [[1, 1, 0], [1, 0, 1]], [[2, -1, 0], [1, 0, 1]]])
    found = best_thresholds(counts, (0.2, 0.4), (1, 1, 0), beta=4)
    assert found.thresholds == (0.2, 0.2, 0.2)
    assert found.kinds[1] == pytest.approx(17 / 18)
    assert found.kinds[2] > 1  # two hits by one candidate: as the challenge counts
    assert found.score == pytest.approx((1 + 17 / 18) / 2)
