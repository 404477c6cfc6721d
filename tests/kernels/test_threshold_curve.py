"""Threshold curves: every threshold equals labelling the section anew, for every cut into tiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from volkit.errors import GeometryError
from volkit.kernels.contingency import contingency
from volkit.kernels.counted import square_sums
from volkit.kernels.leaves import find_leaves, threshold_levels
from volkit.kernels.threshold_curve import add_curves, finish_curves, tile_curve
from volkit.testing.strategies import label_volumes, probability_maps

THRESHOLDS = np.float32([0.2, 0.5, 0.5001, 0.9])


def curve(prob, truth, tile):
    """Compute in tiles, added up in two steps."""
    depth, height, width = prob.shape
    parts = []
    for z in range(0, depth, tile[0]):
        for y in range(0, height, tile[1]):
            for x in range(0, width, tile[2]):
                cut = (slice(z, z + tile[0]), slice(y, y + tile[1]), slice(x, x + tile[2]))
                levels = threshold_levels(prob[cut], THRESHOLDS)
                parts.append(
                    tile_curve(
                        levels,
                        truth[cut],
                        thresholds=len(THRESHOLDS),
                        start=(z, y, x),
                        shape=(height, width),
                    )
                )
    halves = [add_curves(parts[::2]), *([add_curves(parts[1::2])] if parts[1:] else [])]
    whole = add_curves(halves[::-1])
    return finish_curves(whole, shape=(height, width), thresholds=len(THRESHOLDS))


def number(halves) -> int:
    return (int(halves[0]) << 64) + int(halves[1])


@pytest.mark.parametrize("shape", [(2, 7, 8), (2, 7, 1), (2, 1, 8)])
@settings(max_examples=20)
@given(st.data(), st.tuples(st.integers(1, 2), st.integers(1, 8), st.integers(1, 9)))
def test_every_threshold_is_the_components_of_every_section(shape, data, tile) -> None:
    prob = data.draw(probability_maps(shape=shape))
    truth = data.draw(label_volumes(shape=shape, dtype=np.uint32))
    found = curve(prob, truth, tile)
    assert found["sum_section"].tolist() == [0, 1]
    for z in range(2):
        assert found["sum_all"][z] == np.count_nonzero(truth[z])
        for k, threshold in enumerate(THRESHOLDS):
            pred, _ = ndimage.label(prob[z] < threshold)  # 4-connected
            seen = np.unique(pred[(truth[z] > 0) & (pred > 0)])
            assert found["sum_segments"][z, k] == len(seen)
            assert found["sum_voxels"][z, k] == np.count_nonzero((truth[z] > 0) & (pred > 0))
            if not len(seen):
                continue
            table = contingency(truth[z], pred)
            sums = square_sums(table, true_zero="ignore", pred_zero="ignore")
            for name in ("both", "pred", "true"):
                assert number(found[f"sum_{name}"][z, k]) == getattr(sums, name)
            with_rest = square_sums(table, true_zero="ignore", pred_zero="segment")
            rest = number(found["sum_rest"][z, k])
            assert sums.both + rest == with_rest.both
            assert number(found["sum_objects"][z]) == with_rest.true


def test_leaves_of_another_shape_are_refused() -> None:
    with pytest.raises(GeometryError, match="the map has shape"):
        find_leaves(np.zeros((1, 2, 3), np.int16), np.zeros((1, 2, 2), np.uint8), most=1)
