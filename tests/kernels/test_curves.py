"""Curves: each point equals relabelling and scoring anew, for every convention."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volkit.errors import ContractError, GeometryError
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contingency import contingency
from volkit.kernels.counted import SquareSums, square_sums
from volkit.kernels.curves import merge_curve, section_curves
from volkit.kernels.leaves import threshold_levels
from volkit.kernels.relabel import renamed
from volkit.kernels.scores import rand_of_sums, rand_scores, voi_scores
from volkit.kernels.threshold_curve import finish_curves, tile_curve
from volkit.testing.strategies import label_volumes, probability_maps

ZEROS = st.sampled_from(["singletons", "segment", "ignore"])
THRESHOLDS = np.float32([0.1, 0.4, 0.6, 1.0])


@settings(max_examples=20)
@given(
    label_volumes(cells=6, dtype=np.uint16),
    label_volumes(cells=6, dtype=np.uint8),
    st.integers(0, 2**32 - 1),
    ZEROS,
    st.booleans(),
)
def test_a_merge_tree_scores_as_if_every_threshold_were_relabelled(
    true, fragments, seed, pred_zero, descending
) -> None:
    true = true + (true == 0)  # something counts
    ids = np.unique(fragments[fragments > 0])
    if not len(ids):
        return
    rng = np.random.default_rng(seed)
    a, b = rng.choice(ids, (2, 7)).astype(np.uint64)
    values = rng.choice([0.05, 0.1, 0.3, 0.6, 0.9], 7)
    table = contingency(true, fragments)
    options = {"descending": descending, "pred_zero": pred_zero}
    found = merge_curve(table, a, b, values, np.array([0.1, 0.4, 0.6]), **options)
    for k, threshold in enumerate(found.thresholds):
        joined = values >= threshold if descending else values < threshold
        group = {int(i): int(i) for i in ids}
        for one, two in zip(a[joined].tolist(), b[joined].tolist(), strict=True):
            old, new = group[two], group[one]
            group = {i: new if g == old else g for i, g in group.items()}
        pred = np.vectorize(lambda i, group=group: group.get(i, 0))(fragments)
        anew = contingency(true, pred)
        if pred_zero == "ignore" and not pred.any():
            continue
        assert found.scores[k] == rand_scores(anew, pred_zero=pred_zero)
        information = voi_scores(anew, pred_zero=pred_zero)
        assert found.voi_split[k] == pytest.approx(information.split, abs=1e-12)
        assert found.voi_merge[k] == pytest.approx(information.merge, abs=1e-12)
        assert found.segments[k] == len(np.unique(pred[pred > 0]))


@settings(max_examples=20)
@given(probability_maps(shape=(3, 6, 7)), label_volumes(shape=(3, 6, 7), dtype=np.uint8), ZEROS)
def test_sections_score_alone_and_add_up_to_their_stack(prob, truth, pred_zero) -> None:
    truth[0] = 0  # a section without truth
    truth[1, 0, 0] = 1
    levels = threshold_levels(prob, THRESHOLDS)
    sums = tile_curve(levels, truth, thresholds=4, start=(0, 0, 0), shape=(6, 7))
    sums = finish_curves(sums, shape=(6, 7), thresholds=4)
    stack, sections = section_curves(sums, THRESHOLDS, pred_zero=pred_zero)
    assert 0 not in sections
    for k, threshold in enumerate(THRESHOLDS):
        total = SquareSums(0, 0, 0, 0)
        for z in sections:
            pred, _ = ndimage.label(prob[z] < threshold)
            table = contingency(truth[z], pred)
            if pred_zero != "ignore" or pred[truth[z] > 0].any():
                total += square_sums(table, true_zero="ignore", pred_zero=pred_zero)
                assert sections[z].scores[k] == rand_scores(table, pred_zero=pred_zero)
        assert stack.scores[k] == rand_of_sums(total, pred_zero=pred_zero)
    assert stack.scores[stack.best].f_score == max(s.f_score for s in stack.scores)


def test_merges_that_make_no_sense_are_refused() -> None:
    table = contingency(np.array([1, 2]), np.array([3, 4]))
    one = np.array([1], np.uint64)
    with pytest.raises(ContractError, match="names fragment 0"):
        merge_curve(table, 0 * one, one, np.array([0.1]), np.array([0.5]))
    with pytest.raises(ContractError, match="do not ascend"):
        merge_curve(table, one, one, np.array([0.1]), np.array([0.5, 0.5]))
    nothing = contingency(np.array([0, 0]), np.array([3, 4]))
    with pytest.raises(GeometryError, match="holds no object"):
        merge_curve(nothing, one, one, np.array([0.1]), np.array([0.5]))


def test_an_agglomeration_is_followed_through_all_its_thresholds() -> None:
    """The merges of a higher threshold contain those of a lower one, so one tree tells them all."""
    rng = np.random.default_rng(6)
    u, v = np.uint64([1, 2, 3, 4, 1]), np.uint64([2, 3, 4, 5, 5])
    sums, faces = rng.integers(1, 2**30, 5), np.ones(5, np.int64)
    fragments, true = rng.integers(1, 6, 200), rng.integers(0, 3, 200)
    thresholds = np.sort(rng.random(4))
    a, b, values, before = [], [], [], np.arange(6)
    for t in np.linspace(0, 1, 201):
        old, new = agglomerate_mean(u, v, sums, faces, threshold=t)
        after = renamed(np.arange(6, dtype=np.uint64), old, new)
        for i in np.flatnonzero(after != before):
            a, b, values = [*a, i], [*b, int(after[i])], [*values, t - 1 / 400]
        before = after
    found = merge_curve(
        contingency(true, fragments), np.uint64(a), np.uint64(b), np.array(values), thresholds
    )
    for k, t in enumerate(thresholds):
        step = np.floor(t * 200 + 0.5) / 200
        old, new = agglomerate_mean(u, v, sums, faces, threshold=step)
        pred = renamed(fragments.astype(np.uint64), old, new)
        assert found.scores[k] == rand_scores(contingency(true, pred))
