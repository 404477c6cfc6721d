"""Variants of an image."""

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.training.augment import misalignment, slipped, varied
from volkit.training.config import Augmentation

NOTHING = Augmentation(
    warp=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shading=0, sections=0
)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((6, 8, 10), dtype=np.float32)


def test_no_strength_is_no_change(image) -> None:
    np.testing.assert_array_equal(varied(image, np.random.default_rng(0), NOTHING), image)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("isotropic", [True, False])
def test_variants_are_finite_and_leave_the_input_alone(image, seed, isotropic) -> None:
    before = image.copy()
    options = Augmentation(isotropic=isotropic, sections=1.0)
    found = varied(image, np.random.default_rng(seed), options)
    assert found.dtype == np.float32
    assert found.shape == image.shape
    assert np.isfinite(found).all()
    assert not np.array_equal(found, image)
    np.testing.assert_array_equal(image, before)


def test_same_seed_same_variant(image) -> None:
    one, two = (varied(image, np.random.default_rng(3), Augmentation()) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_contrast_is_never_inverted(image) -> None:
    options = Augmentation(noise=0, blur=0, shading=0, sections=0)
    for seed in range(20):
        found = varied(image, np.random.default_rng(seed), options)
        clipped = np.clip(image, -3, 3)
        assert np.corrcoef(found.ravel(), clipped.ravel())[0, 1] > 0.5


def test_damage_is_to_sections(image) -> None:
    options = Augmentation(
        warp=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shading=0, sections=1
    )
    for seed in range(10):
        found = varied(image, np.random.default_rng(seed), options)
        changed = (found != image).any(axis=(1, 2)).sum()
        assert changed <= 3


def test_negative_strength_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"augmentation noise is -1"):
        Augmentation(noise=-1)


def test_sections_slip_alone_or_with_all_behind() -> None:
    options = Augmentation(misaligned=1.0, slip=3)
    kinds = set()
    for seed in range(40):
        shifts = misalignment(6, np.random.default_rng(seed), options)
        assert np.abs(shifts).max() <= 3
        assert not shifts[0].any()
        moved = np.flatnonzero(shifts.any(axis=1))
        if len(moved):
            assert (shifts[moved] == shifts[moved[0]]).all()
            kinds.add("one" if len(moved) == 1 else "rest")
            assert len(moved) in (1, 6 - moved[0])
    assert kinds == {"one", "rest"}


def test_nothing_slips_unless_asked() -> None:
    assert not misalignment(6, np.random.default_rng(0), Augmentation()).any()


def test_image_and_labels_slip_together() -> None:
    values = np.arange(3 * 7 * 8).reshape(3, 7, 8)
    shifts = np.array([[0, 0], [-2, 1], [2, -2]])
    found = slipped(values, shifts, 2)
    assert found.shape == (3, 3, 4)
    np.testing.assert_array_equal(found[0], values[0, 2:5, 2:6])
    np.testing.assert_array_equal(found[1], values[1, 0:3, 3:7])
    np.testing.assert_array_equal(found[2], values[2, 4:7, 0:4])
