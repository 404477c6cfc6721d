"""Scores of classes: by hand, against scikit-learn, and added up over any blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as reference
from sklearn.metrics import f1_score, jaccard_score

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.class_confusion import (
    balanced_accuracy,
    confusion_matrix,
    per_image_scores,
    pooled_scores,
    section_matrices,
)
from volkit.kernels.sections import add_sections, section_contingency, volume_table

CLASSES = 4


@st.composite
def pairs(draw):
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return rng.integers(0, CLASSES, shape), rng.integers(0, CLASSES, shape)


@given(pairs(), st.tuples(*[st.integers(1, 6)] * 3))
def test_counts_of_blocks_add_up_to_those_of_the_whole(pair, block) -> None:
    true, pred = pair
    parts = [
        section_contingency(true[b.write.slices], pred[b.write.slices], start=b.write.start)
        for b in Grid(Box.from_shape(true.shape), block)
    ]
    table = add_sections(parts)
    matrix = confusion_matrix(volume_table(table), CLASSES)
    np.testing.assert_array_equal(
        matrix, reference(true.ravel(), pred.ravel(), labels=range(CLASSES))
    )
    sections = section_matrices(table, CLASSES)
    np.testing.assert_array_equal(sections.sum(axis=0), matrix)
    for z, found in enumerate(sections):
        expected = reference(true[z].ravel(), pred[z].ravel(), labels=range(CLASSES))
        np.testing.assert_array_equal(found, expected)


@given(pairs())
def test_pooled_scores_are_those_of_scikit_learn_and_keep_the_identity(pair) -> None:
    true, pred = (part.ravel() for part in pair)
    matrix = reference(true, pred, labels=range(CLASSES))
    scores = pooled_scores([matrix])
    there = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
    arguments = {"labels": range(CLASSES), "average": None, "zero_division": 0.0}
    np.testing.assert_allclose(scores.f1[there], f1_score(true, pred, **arguments)[there])
    np.testing.assert_allclose(scores.iou[there], jaccard_score(true, pred, **arguments)[there])
    np.testing.assert_allclose(scores.iou, scores.f1 / (2 - scores.f1))
    assert np.isnan(scores.f1[~there]).all()
    assert np.isnan(scores.iou[~there]).all()


def test_each_number_by_hand() -> None:
    """Class 1: 3 right, 2 too many, 1 missed, 4 rightly outside."""
    scores = pooled_scores([np.array([[4, 2], [1, 3]])])
    assert scores.precision[1] == 3 / 5
    assert scores.recall[1] == 3 / 4
    assert scores.f1[1] == pytest.approx(6 / 9)
    assert scores.iou[1] == 3 / 6
    assert scores.accuracy[1] == 7 / 10
    assert scores.mean_iou == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert scores.mean_f1 == pytest.approx((6 / 9 + 8 / 11) / 2)
    assert balanced_accuracy([np.array([[4, 2], [1, 3]])]) == pytest.approx((3 / 4 + 4 / 6) / 2)


def test_the_two_aggregations_differ_and_the_identity_holds_for_one() -> None:
    """The published table mixes them: 0.97 and 0.89 cannot be F1 and IoU of one aggregation."""
    images = [np.array([[8, 0], [0, 2]]), np.array([[4, 4], [1, 1]])]
    pooled, each = pooled_scores(images), per_image_scores(images)
    assert pooled.iou[1] == 3 / 8
    assert each.iou[1] == pytest.approx((1 + 1 / 6) / 2)
    assert each.f1[1] == pytest.approx((1 + 2 / 7) / 2)
    assert each.iou[1] != pytest.approx(each.f1[1] / (2 - each.f1[1]))
    assert pytest.approx(0.942, abs=5e-4) == 0.97 / (2 - 0.97)


@pytest.mark.parametrize(("absent", "expected"), [(1.0, 0.75), (0.0, 0.25), (float("nan"), 0.5)])
def test_images_without_a_class(absent, expected) -> None:
    images = [np.array([[9, 0], [0, 0]]), np.array([[8, 1], [0, 1]])]
    assert per_image_scores(images, absent=absent).iou[1] == expected


def test_what_cannot_be_scored_is_refused() -> None:
    table = section_contingency(np.array([[[0, 7]]]), np.array([[[0, 1]]]))
    with pytest.raises(ContractError, match="has class 7, but there are 4"):
        confusion_matrix(volume_table(table), 4)
    with pytest.raises(ContractError, match="give one square matrix"):
        pooled_scores(np.zeros((0, 2, 2), np.int64))
