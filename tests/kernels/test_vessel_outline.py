"""Outlines and voxels of a segment: against the clips of specimens, and numbers known by hand."""

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.geometry import Box
from volkit.kernels.clips import outline_mask, outlined_region
from volkit.kernels.vessel_outline import (
    ORANGE,
    filled_outline,
    outlined,
    segment_signal,
    segment_voxels,
)
from volkit.testing.stall_clips import ORANGE as ANNOTATED
from volkit.testing.stall_clips import clip_frames
from volkit.testing.stalls import stall_specimen


def test_the_outline_is_that_of_annotated_clips() -> None:
    specimen = stall_specimen((64, 96, 96), seed=4, segments=9)
    frames, _ = clip_frames(specimen, 2)
    assert ORANGE == ANNOTATED
    truth = specimen.truth()
    low = [max(int(truth[f"{a}0"][1]) - m, 0) for a, m in zip("zyx", (2, 10, 10), strict=True)]
    box = Box(tuple(low), tuple(a + n for a, n in zip(low, frames.shape[:3], strict=True)))
    inside = specimen.tree.labels(box) == 2
    mine = outlined(specimen.image(box), inside)
    np.testing.assert_array_equal(mine.transpose(1, 2, 3, 0), frames)
    region = outlined_region(outline_mask(mine))
    assert region is not None
    assert region.shape[0] == len(frames)


def test_one_channel_is_grey_two_have_the_line_and_others_are_refused() -> None:
    grey = np.arange(50, dtype=np.uint8).reshape(2, 1, 25)
    inside = np.zeros((2, 1, 25), bool)
    inside[1, 0, 12] = True
    assert (outlined(grey, inside, channels=1) == grey).all()
    two = outlined(grey, inside, channels=2)
    assert (two[0] == grey).all()
    assert np.flatnonzero(two[1, 0, 0]).tolist() == [8, 9, 15, 16]
    with pytest.raises(ContractError, match="and 1, 2 or 3 channels"):
        outlined(grey, inside, channels=4)


def test_voxels_go_to_the_nearest_centre_line_and_hang_together() -> None:
    mask = np.zeros((1, 3, 20), bool)
    mask[0, :, :9] = mask[0, 1, 9:14] = mask[0, 0, 17:] = True
    labels = np.zeros((1, 3, 20), np.uint64)
    labels[0, 1, 1:6], labels[0, 1, 8:13] = 7, 9
    mine = segment_voxels(mask, labels, 7, spacing=(1, 1, 1))
    other = segment_voxels(mask, labels, 9, spacing=(1, 1, 1))
    assert mine[0, 1].nonzero()[0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert other[0, 1].nonzero()[0].tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert not (mine & other).any()
    assert not other[0, 0, 17:].any()  # nearest to it, but apart
    assert not segment_voxels(mask, labels, 3, spacing=(1, 1, 1)).any()


def test_signals_without_surroundings_are_unknown_and_stillness_is_no_motion() -> None:
    values = np.full((3, 2, 2), 5.0)
    whole = np.ones(values.shape, bool)
    found = segment_signal(values, whole, ~whole)
    assert found["mean_intensity"] == 5
    assert np.isnan([found["snr"], found["motion_score"]]).all()
    values[:, 1] = np.arange(3)[:, None]
    half = np.broadcast_to([[True], [False]], values.shape)
    assert segment_signal(values, half, ~half)["motion_score"] == 0


def test_an_open_outline_holds_nothing() -> None:
    line = np.zeros((9, 9), bool)
    line[0, :] = line[:, 0] = True
    inside, outside = filled_outline(line)
    assert not inside.any()
    assert outside.sum() == 49
