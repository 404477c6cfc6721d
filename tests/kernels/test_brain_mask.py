"""Brain masks: pieces, holes, cut heads, signal and z-scores, by hand."""

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.brain_mask import brain_signal, cut_share, one_piece, z_scores


def ball(size: int = 20, radius: float = 7.0) -> np.ndarray:
    at = np.indices((size,) * 3) - (size - 1) / 2
    return (at**2).sum(0) <= radius**2


def test_crumbs_go_and_holes_are_filled() -> None:
    mask = ball()
    whole = mask.copy()
    mask[9:11, 9:11, 9:11] = False
    mask[0, 0, 0] = mask[19, 19, 18:] = True
    np.testing.assert_array_equal(one_piece(mask), whole)
    with pytest.raises(ContractError, match="the brain mask is empty"):
        one_piece(np.zeros((3, 3, 3), bool))


def test_a_cut_head_is_known_by_its_face() -> None:
    mask = ball()
    assert cut_share(mask) == 0
    assert cut_share(mask[10:]) == 1.0
    widest = mask.sum((1, 2)).max()
    for cut in (4, 5, 6):
        assert cut_share(mask[cut:]) == mask[cut].sum() / widest
    assert cut_share(np.zeros((3, 3, 3), bool)) == 0


def test_signal_and_noise_by_hand() -> None:
    rng = np.random.default_rng(0)
    mask = ball(24)
    values = np.where(mask, 200.0, 0) + np.where(mask, 0, rng.normal(0, 5, mask.shape))
    found = brain_signal(values, mask)
    assert (found.mean, found.deviation, found.bright_share) == (200, 0, 0)
    assert found.noise == pytest.approx(5, rel=0.1)
    assert found.snr == pytest.approx(200 / found.noise)


def test_bright_vessels_show() -> None:
    mask = ball()
    values = np.where(mask, 100.0, 0)
    inside = np.flatnonzero(mask)
    values.flat[inside[: len(inside) // 50]] = 170
    share = (len(inside) // 50) / len(inside)
    for head in (values, (values - 100) / 50):  # as it was acquired, and normalised
        assert brain_signal(head, mask).bright_share == share
    values[values == 170] = 150
    for head in (values, (values - 100) / 50):
        assert brain_signal(head, mask).bright_share == 0


def test_vessels_do_not_show_in_a_brain_normalised_alone() -> None:
    mask = ball(24)
    brain = np.random.default_rng(0).normal(100, 15, mask.shape)
    values = np.where(mask, (brain - brain[mask].mean()) / brain[mask].std(), 0)
    assert brain_signal(values, mask).bright_share < 0.01


def test_z_scores_over_the_brain_and_over_all() -> None:
    values = np.random.default_rng(1).normal(40, 9, (6, 7, 8)).astype(np.float32)
    mask = np.zeros(values.shape, bool)
    mask[2:5] = True
    found, mean, deviation = z_scores(values, mask)
    assert (mean, deviation) == (
        pytest.approx(values[mask].mean(dtype=np.float64)),
        pytest.approx(values[mask].std(dtype=np.float64)),
    )
    assert found[mask].mean(dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert found[mask].std(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found, (values - mean) / deviation, atol=1e-4)
    whole, _, _ = z_scores(values, None)
    assert whole.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("mask", [None, np.zeros((2, 2, 2), bool)])
def test_nothing_to_normalise_is_refused(mask) -> None:
    with pytest.raises(ContractError, match="cannot be normalised"):
        z_scores(np.ones((2, 2, 2), np.float32), mask)
