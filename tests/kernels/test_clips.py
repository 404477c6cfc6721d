"""Clips: outlines found by hand-made frames, through compression, and where there are none."""

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box
from volkit.kernels.clips import (
    PUBLISHED_OUTLINE,
    Clip,
    OutlineRule,
    cut_clip,
    outline_mask,
    outlined_region,
)

ORANGE = np.array([220, 100, 30], np.uint8)


def frames(count: int = 10, shape: tuple[int, int] = (24, 30)) -> np.ndarray:
    """Grey frames with an orange rectangle from (6, 8) to (15, 20), both included."""
    made = np.full((3, count, *shape), 90, np.uint8)
    line = np.zeros(shape, bool)
    line[6:16, 8:21] = True
    line[8:14, 10:19] = False
    made[:, :, line] = ORANGE[:, None, None]
    return made


@pytest.mark.parametrize(
    ("colour", "inside"),
    [
        ((104, 13, 9), True),
        ((255, 143, 98), True),
        ((103, 13, 9), False),
        ((255, 144, 98), False),
        ((255, 143, 99), False),
        ((255, 165, 0), False),  # orange as web pages have it
        ((90, 90, 90), False),
    ],
)
def test_colours_are_in_the_published_box_or_not(colour, inside) -> None:
    made = np.array(colour, np.uint8).reshape(3, 1, 1, 1)
    assert outline_mask(made).item() is inside


def test_the_region_is_the_outline_and_a_margin() -> None:
    found = outlined_region(outline_mask(frames()), OutlineRule(margin=0))
    assert found == Box((0, 6, 8), (10, 16, 21))
    clip = cut_clip(frames(), OutlineRule(margin=2))
    assert clip.region == Box((0, 4, 6), (10, 18, 23))
    assert clip.voxels.shape == (3, 10, 14, 17)
    assert clip.flags == ()
    assert (clip.voxels[:, :, 2, 2] == ORANGE[:, None]).all()  # the outline stays in it


def test_a_margin_ends_with_the_picture() -> None:
    clip = cut_clip(frames(), OutlineRule(margin=9))
    assert clip.region == Box((0, 0, 0), (10, 24, 30))
    assert clip.flags == ("border",)


def test_stray_pixels_widen_the_published_union_and_not_the_vote() -> None:
    made = frames()
    made[:, 3, 2, 28] = ORANGE
    mask = outline_mask(made)
    assert outlined_region(mask, PUBLISHED_OUTLINE) == Box((0, 2, 8), (10, 16, 29))
    assert outlined_region(mask, OutlineRule(margin=0)) == Box((0, 6, 8), (10, 16, 21))
    made[:, :5, 2, 28] = ORANGE[:, None]  # in half of the frames, but alone
    mask = outline_mask(made)
    assert outlined_region(mask, OutlineRule(margin=0)) == Box((0, 6, 8), (10, 16, 21))


def test_an_outline_of_few_frames_counts_from_a_fifth_of_them_on() -> None:
    made, grey = frames(), np.full((3, 10, 24, 30), 90, np.uint8)
    grey[:, :2] = made[:, :2]
    assert outlined_region(outline_mask(grey), OutlineRule(margin=0)) is not None
    grey[:, 1] = 90
    assert outlined_region(outline_mask(grey), OutlineRule(margin=0)) is None


def test_films_without_an_outline_are_shown_whole_and_flagged() -> None:
    grey = np.full((3, 4, 5, 7), 90, np.uint8)
    clip = cut_clip(grey)
    assert clip.flags == ("no_contour",)
    assert clip.region == Box((0, 0, 0), (4, 5, 7))
    single = cut_clip(frames(count=1))
    assert single.flags == ("roi_too_small",)
    assert cut_clip(grey[:, :1]).flags == ("no_contour", "roi_too_small")


def test_a_window_is_interpolated_and_rounded() -> None:
    values = np.array([0, 100], np.uint8).reshape(1, 1, 2)
    clip = Clip(values, Box((0, 0, 0), (1, 1, 2)))
    assert clip.window((1, 1, 4)).tolist() == [[[[0, 25, 75, 100]]]]
    assert clip.window((2, 3, 2)).shape == (1, 2, 3, 2)


def test_what_is_no_clip_is_refused() -> None:
    with pytest.raises(ContractError, match="float64 .* expected uint8"):
        Clip(np.zeros((2, 2, 2)), Box((0, 0, 0), (2, 2, 2)))
    with pytest.raises(ContractError, match="with a voxel or more"):
        Clip(np.zeros((0, 2, 2), np.uint8), Box((0, 0, 0), (0, 2, 2)))
    with pytest.raises(ContractError, match="cannot be cut out of"):
        Clip(np.zeros((2, 2, 2), np.uint8), Box((0, 0, 0), (2, 2, 3)))
    with pytest.raises(ContractError, match=r"expected uint8, \(3, Z, Y, X\)"):
        cut_clip(np.zeros((1, 2, 2, 2), np.uint8))
    with pytest.raises(ConfigError, match="give a share of 0 to 1"):
        OutlineRule(votes=1.5)
