"""Sections: any cut adds up to the whole, and objects lie where scipy says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.kernels.contingency import contingency
from volkit.kernels.counted import SquareSums, square_sums
from volkit.kernels.object_errors import object_errors, segment_errors
from volkit.kernels.scores import rand_of_sums, rand_scores
from volkit.kernels.sections import (
    add_sections,
    section_contingency,
    split_sections,
    stack_table,
    volume_table,
)
from volkit.testing.strategies import label_volumes

SHAPE = (4, 6, 7)
labels = label_volumes(SHAPE, cells=5, dtype=np.uint64)
block_shapes = st.tuples(*(st.integers(1, n) for n in SHAPE))


def same(one, two) -> bool:
    return all(np.array_equal(one[name], two[name]) for name in one) and list(one) == list(two)


@settings(max_examples=25)
@given(labels, label_volumes(SHAPE, dtype=np.int16), block_shapes)
def test_parts_add_up_however_the_volume_is_cut(true, pred, block_shape) -> None:
    whole = section_contingency(true, pred, start=(3, -2, 5))
    parts = [
        section_contingency(
            true[block.write.slices], pred[block.write.slices],
            start=tuple(a + b for a, b in zip(block.write.start, (3, -2, 5), strict=True)),
        )
        for block in Grid(Box.from_shape(SHAPE), block_shape)
    ]  # fmt: skip
    halves = [add_sections(parts[i::2]) for i in range(min(2, len(parts)))]
    added = add_sections(halves[::-1])
    assert all(np.array_equal(added[name], whole[name]) for name in whole)
    assert same(volume_table(whole), contingency(true, pred))


@settings(max_examples=25)
@given(labels, label_volumes(SHAPE, dtype=np.uint8), st.sampled_from(["ignore", "segment"]))
def test_a_stack_is_the_sum_of_its_sections(true, pred, true_zero) -> None:
    true[0, 0, 0] = max(1, true[0, 0, 0])
    table = section_contingency(true, pred)
    zeros = (true_zero == "segment", True)
    stack = rand_scores(stack_table(table, zeros=zeros), true_zero=true_zero, pred_zero="segment")
    total = SquareSums(0, 0, 0, 0)
    for z, part in split_sections(table):
        alone = contingency(true[z], pred[z])
        assert same(part, alone)
        if true_zero == "segment" or true[z].any():
            total += square_sums(alone, true_zero=true_zero, pred_zero="segment")
    assert rand_of_sums(total, true_zero=true_zero, pred_zero="segment") == stack


@settings(max_examples=25)
@given(label_volumes(SHAPE, dtype=np.uint8), label_volumes(SHAPE, dtype=np.uint8))
def test_objects_lie_where_scipy_finds_them_and_no_voxel_is_lost(true, pred) -> None:
    table = section_contingency(true, pred)
    for found, own, other, words in (
        (object_errors(table), true, pred, ("kept", "split", "missed")),
        (segment_errors(table), pred, true, ("kept", "merged", "beyond")),
    ):
        boxes = ndimage.find_objects(own.astype(int))
        assert found["id"].tolist() == np.unique(own[own > 0]).tolist()
        for row, i in enumerate(found["id"].tolist()):
            for axis, name in enumerate("zyx"):
                assert found[f"{name}_start"][row] == boxes[i - 1][axis].start
                assert found[f"{name}_stop"][row] == boxes[i - 1][axis].stop
            inside = np.bincount(other[own == i], minlength=2)
            kept, others, none = (found[word][row] for word in words)
            assert kept == inside[1:].max()
            assert none == inside[0]
            assert kept + others + none == found["voxels"][row] == inside.sum()
            assert found["pieces"][row] == np.count_nonzero(inside[1:])
            if kept:
                assert inside[found["best"][row]] == kept


def test_small_pieces_can_be_left_out_of_the_count() -> None:
    table = section_contingency(np.ones((1, 1, 5), int), np.array([[[5, 5, 5, 6, 7]]]))
    assert object_errors(table)["pieces"].tolist() == [3]
    assert object_errors(table, least=2)["pieces"].tolist() == [1]
    assert object_errors(table, least=2)["split"].tolist() == [2]


def test_ids_of_64_bits_and_rows_that_outgrow_the_table() -> None:
    true = np.full((1, 3, 5000), 2**64 - 1, np.uint64)
    pred = np.arange(15000, dtype=np.int64).reshape(true.shape)
    table = section_contingency(true, pred)
    assert table["pred"].tolist() == list(range(15000))
    assert set(table["true"].tolist()) == {2**64 - 1}
    assert table["x_start"][5003] == 3
    assert table["y_stop"][5003] == 2


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        (np.ones((1, 1, 2)), np.ones((1, 1, 2), int), "true labels are float64"),
        (np.ones((1, 1, 2), int), -np.ones((1, 1, 2), int), "predicted labels .* negative id -1"),
        (np.ones((1, 1, 2), int), np.ones((1, 2, 1), int), "have shape"),
    ],
)
def test_what_are_no_labels_is_refused(true, pred, message) -> None:
    with pytest.raises(GeometryError, match=message):
        section_contingency(true, pred)
