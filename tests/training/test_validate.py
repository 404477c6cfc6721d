"""Validation on boundaries that are known."""

import numpy as np

from volkit.geometry import Box
from volkit.models.scaling import Scale
from volkit.training.config import Validation
from volkit.training.patches import Held, Tissue
from volkit.training.targets import boundary_map
from volkit.training.validate import components, dense, judged_maps, pixel_error, validated


def test_dense_prediction_of_a_pointwise_network_is_exact() -> None:
    image = np.random.default_rng(0).random((9, 13, 21), dtype=np.float32)
    found = dense(lambda windows: windows / 2, image, (4, 8, 8))
    np.testing.assert_allclose(found, image / 2, rtol=1e-5)


def test_perfect_boundaries_segment_perfectly() -> None:
    _, y, x = np.indices((12, 30, 30))
    labels = (1 + y // 10 + 3 * (x // 10)).astype(np.uint32)
    box = Box.from_shape(labels.shape)
    tissue = Tissue(Held(boundary_map(labels), box), Held(labels, box), box, Scale())
    scores = validated(lambda windows: windows, [tissue], Validation(window=(8, 16, 16)))
    assert scores.adapted_rand_error < 0.03
    assert scores.split > 0.97
    assert scores.merge > 0.97


def test_parts_of_an_object_count_alone() -> None:
    truth = np.array([[[3, 0, 3, 3, 9, 3]]], np.uint64) * np.uint64(10**12)
    assert components(truth).tolist() == [[[1, 0, 2, 2, 3, 4]]]
    assert components(truth[..., :1]).tolist() == [[[1]]]


def test_pixel_error_is_that_of_the_best_threshold() -> None:
    rng = np.random.default_rng(6)
    prob = rng.integers(0, 1001, (3, 5, 7)).astype(np.float32) / 1000
    edge = rng.random(prob.shape) < prob**2
    level = np.floor(prob.astype(np.float64) * 1000 + 1e-3)
    expected = min(np.mean((level >= t) != edge) for t in range(1001))
    assert abs(pixel_error(prob, edge) - expected) <= 2 / prob.size


def test_scores_are_means_over_volumes() -> None:
    _, y, x = np.indices((12, 30, 30))
    labels = (1 + y // 10 + 3 * (x // 10)).astype(np.uint32)
    edges = boundary_map(labels)
    prob = edges.astype(np.float32)
    scores = judged_maps(
        [prob, prob], [labels, labels], Validation(), edges=[edges, np.zeros_like(edges)]
    )
    assert scores.adapted_rand_error < 0.03
    assert scores.pixel_error == 0  # of the second, at a threshold above all of it
    wrong = edges.copy()
    wrong[0, 0, :9] ^= True
    scores = judged_maps([prob], [labels], Validation(), edges=[wrong])
    assert scores.pixel_error == 9 / edges.size
