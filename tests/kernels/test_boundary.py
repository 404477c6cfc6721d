"""Boundaries: against scikit-learn and scikit-image, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import find_boundaries
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from volkit.errors import GeometryError
from volkit.kernels.boundary import boundary_curve, count_levels, label_edges
from volkit.kernels.leaves import threshold_levels
from volkit.testing.strategies import label_volumes, probability_maps


@settings(max_examples=20)
@given(label_volumes(dtype=np.int32))
def test_edges_are_those_of_scikit_image_in_every_section(labels) -> None:
    expected = [find_boundaries(plane, mode="thick", connectivity=1) for plane in labels]
    assert np.array_equal(label_edges(labels), expected)


@settings(max_examples=20)
@given(probability_maps(shape=(2, 8, 9), levels=8), st.integers(0, 2**32 - 1))
def test_every_threshold_is_what_scikit_learn_says(prob, seed) -> None:
    boundary = np.random.default_rng(seed).random(prob.shape) < 0.3
    boundary.flat[:2] = True, False
    thresholds = np.unique(np.concatenate([prob.ravel(), np.float32([0.5])]))
    counts = count_levels(threshold_levels(prob, thresholds), boundary, thresholds=len(thresholds))
    found = boundary_curve(counts, thresholds)
    assert found.separation == pytest.approx(roc_auc_score(boundary.ravel(), prob.ravel()))
    for k, threshold in enumerate(thresholds):
        called = prob >= threshold
        assert found.pixel_error[k] == pytest.approx((called != boundary).mean(), abs=1e-15)
        known = boundary.ravel(), called.ravel()
        assert found.precision[k] == pytest.approx(precision_score(*known, zero_division=1))
        assert found.recall[k] == pytest.approx(recall_score(*known))
    assert found.pixel_error[found.best] == min(found.pixel_error)
    assert len(found.f_scores) == len(thresholds)


def test_a_truth_of_one_kind_tells_nothing() -> None:
    counts = count_levels(np.array([0, 1]), np.array([False, False]), thresholds=1)
    with pytest.raises(GeometryError, match="0 pixels of boundary and 2 of interior"):
        boundary_curve(counts, np.float32([0.5]))
