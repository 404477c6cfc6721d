"""Variations of clips: each alone, with its number from the published list."""

from dataclasses import fields, replace

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.kernels.resize import resized
from volkit.training.stall_augment import (
    bent,
    bent_greys,
    cropped,
    flipped,
    holed,
    noisy,
    rotated,
    thinned,
    turned,
    varied_clip,
)
from volkit.training.stall_options import StallAugmentation

PUBLISHED = StallAugmentation()
STEPS = (
    "rotate",
    "elastic",
    "crop",
    "drop_planes",
    "grid_dropout",
    "flip",
    "turn",
    "noise",
    "gamma",
)
STILL = replace(PUBLISHED, **dict.fromkeys(STEPS, 0.0))


def clip(shape=(3, 12, 20, 30), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def rng(seed=0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_defaults_are_those_published() -> None:
    assert {f.name: getattr(PUBLISHED, f.name) for f in fields(PUBLISHED)} == {
        "rotate": 0.3,
        "angle": 10.0,
        "elastic": 0.1,
        "deformation": 0.25,
        "crop": 0.4,
        "crop_share": 0.15,
        "drop_planes": 0.3,
        "drop_share": 0.1,
        "grid_dropout": 0.1,
        "flip": 0.5,
        "turn": 0.5,
        "noise": 0.2,
        "noise_deviation": 5.0,
        "gamma": 0.2,
        "gamma_range": 0.5,
    }


def test_nothing_but_the_resizing_is_left_without_chances() -> None:
    made = varied_clip(clip(), (8, 16, 16), rng(), STILL)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, np.rint(resized(clip(), (8, 16, 16))))


@pytest.mark.parametrize("seed", range(6))
def test_variants_have_the_shape_and_range_of_the_window(seed) -> None:
    options = replace(PUBLISHED, **{**dict.fromkeys(STEPS, 1.0), "flip": 0.5})
    given = clip(seed=seed)
    before = given.copy()
    made = varied_clip(given, (8, 16, 16), rng(seed), options)
    assert made.shape == (3, 8, 16, 16)
    assert made.min() >= 0
    assert made.max() <= 255
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(made, varied_clip(given, (8, 16, 16), rng(seed), options))


def test_chances_do_not_depend_on_each_other() -> None:
    """Another variation that is turned off changes nothing in those that are on."""
    only = replace(STILL, noise=1.0)
    both = replace(STILL, noise=1.0, gamma=0.0, crop=1e-12)
    a = varied_clip(clip(), (8, 16, 16), rng(1), only)
    np.testing.assert_array_equal(a, varied_clip(clip(), (8, 16, 16), rng(1), both))


def test_crops_take_up_to_their_share_off_each_side() -> None:
    given = np.arange(40 * 40 * 40, dtype=np.int64).reshape(1, 40, 40, 40)
    cuts = []
    for seed in range(200):
        made = cropped(given, rng(seed), PUBLISHED)
        first, last = made[0, 0, 0, 0], made[0, -1, -1, -1]
        corners = [*np.unravel_index(first, (40,) * 3), *np.unravel_index(last, (40,) * 3)]
        cuts.append([*corners[:3], *(39 - n for n in corners[3:])])
    assert np.min(cuts) == 0
    assert np.max(cuts) == 5  # 15 % of 40 is drawn with probability 0
    assert (np.ptp(cuts, axis=0) == 5).all()


def test_a_tenth_of_the_planes_of_one_axis_is_dropped() -> None:
    given = clip((1, 20, 30, 40))
    shapes = {thinned(given, rng(seed), PUBLISHED).shape[1:] for seed in range(30)}
    assert shapes == {(18, 30, 40), (20, 27, 40), (20, 30, 36)}
    made = thinned(np.arange(20).reshape(1, 20, 1, 1), rng(3), replace(PUBLISHED, drop_share=0.5))
    assert (np.diff(made.ravel()) > 0).all()  # what is left stays in order
    alone = thinned(clip((1, 1, 1, 1)), rng(), replace(PUBLISHED, drop_share=0.9))
    assert alone.shape == (1, 1, 1, 1)


def test_holes_are_cubes_of_an_eighth_of_the_voxels() -> None:
    given = np.full((2, 24, 24, 24), 7, np.uint8)
    shares = [float((holed(given, rng(s), PUBLISHED) == 0).mean()) for s in range(40)]
    assert 0.07 < np.mean(shares) < 0.15
    made = holed(given, rng(1), PUBLISHED)
    np.testing.assert_array_equal(made[0], made[1])  # of all colours together
    dark = made[0] == 0
    parts = dark.any((1, 2)), dark.any((0, 2)), dark.any((0, 1))
    np.testing.assert_array_equal(dark, np.einsum("i,j,k->ijk", *parts))


def test_flips_are_drawn_for_each_axis() -> None:
    given = clip((1, 3, 4, 5))
    seen = {}
    for seed in range(60):
        made = flipped(given, rng(seed), PUBLISHED)
        axes = (1, 2, 3)
        kinds = [
            tuple(a for a, on in zip(axes, bits, strict=True) if on)
            for bits in np.ndindex(2, 2, 2)
            if np.array_equal(
                made, np.flip(given, tuple(a for a, on in zip(axes, bits, strict=True) if on))
            )
        ]
        assert len(kinds) == 1
        seen[kinds[0]] = seen.get(kinds[0], 0) + 1
    assert len(seen) == 8


def test_turns_are_quarters_where_planes_are_square_and_halves_elsewhere() -> None:
    square, wide = clip((1, 2, 4, 4)), clip((1, 2, 4, 6))
    quarters = {turned(square, rng(s), PUBLISHED).tobytes() for s in range(30)}
    assert quarters == {np.rot90(square, k, (2, 3)).tobytes() for k in range(4)}
    halves = {turned(wide, rng(s), PUBLISHED).tobytes() for s in range(30)}
    assert halves == {np.rot90(wide, k, (2, 3)).tobytes() for k in (0, 2)}


def test_rotations_stay_within_ten_degrees_and_within_planes() -> None:
    given = np.zeros((1, 2, 81, 81), np.uint8)
    given[0, 0, 40, 40:] = 255  # a ray from the middle
    angles = []
    for seed in range(40):
        made = rotated(given, rng(seed), PUBLISHED)
        assert not made[0, 1].any()
        y, x = np.nonzero(made[0, 0] > 60)
        far = x > 60
        angles.append(np.degrees(np.arctan2(40 - y[far].mean(), x[far].mean() - 40)))
    assert -10.6 < np.min(angles) < -7
    assert 7 < np.max(angles) < 10.6


def test_bending_is_smooth_and_reaches_as_far_as_published() -> None:
    z = np.broadcast_to(np.arange(24.0)[:, None, None], (24, 24, 24))
    ramp = np.stack([z, z.transpose(1, 0, 2), z.transpose(1, 2, 0)]) * 10
    for seed in range(6):
        made = bent(ramp, rng(seed), PUBLISHED)
        inside = (slice(None), *[slice(6, 18)] * 3)
        shift = (made - ramp)[inside] / 10
        assert np.abs(shift).max() <= 0.25 * 24 / 2 + 0.3  # alpha is at most half of sigma
        assert np.abs(np.diff(shift, axis=1)).max() < 1


def test_noise_is_a_deviation_in_grey_levels() -> None:
    given = np.full((3, 20, 20, 20), 100, np.float32)
    deviations = [float(noisy(given, rng(seed), PUBLISHED).std()) for seed in range(60)]
    assert 0 <= min(deviations) < 1
    assert 4 < max(deviations) < 5.1


def test_gamma_bends_greys_between_their_extremes() -> None:
    given = np.array([50, 100, 150], np.float32).reshape(1, 1, 1, 3)
    powers = []
    for seed in range(60):
        low, middle, high = bent_greys(given, rng(seed), PUBLISHED).ravel()
        assert low == 0
        assert high == pytest.approx(255, abs=0.01)
        powers.append(np.log(middle / 255) / np.log(0.5))
    assert 0.5 <= min(powers) < 0.6
    assert 1.4 < max(powers) <= 1.5
    flat = bent_greys(np.full((1, 1, 1, 2), 9, np.float32), rng(), PUBLISHED)
    assert np.isfinite(flat).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotate": 1.1}, "augmentation rotate is 1.1; give 0 to 1"),
        ({"crop_share": 0.5}, "crop_share is 0.5, which leaves nothing"),
        ({"drop_share": 1.0}, "drop_share is 1.0, which leaves nothing"),
        ({"angle": -1.0}, "angle -1.0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        StallAugmentation(**options)
