"""Losses by hand."""

import math

import torch

from volkit.training.losses import balanced_bce, dice_loss


def flat(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, 1, -1)


def test_classes_weigh_alike_however_rare() -> None:
    """One of ten is boundary; forgetting it costs as much as inventing the other nine."""
    target = flat(1, *[0] * 9)
    none, all_ = flat(*[-20.0] * 10), flat(*[20.0] * 10)
    torch.testing.assert_close(balanced_bce(none, target), balanced_bce(all_, target))


def test_balance_by_hand() -> None:
    target, logits = flat(1, 0, 0, 0), flat(0, 0, 0, 0)
    assert math.isclose(float(balanced_bce(logits, target, balance=0.8)), math.log(2), rel_tol=1e-6)
    wrong = flat(-20, -20, -20, -20)  # a loss of 20 on the boundary class alone
    assert math.isclose(float(balanced_bce(wrong, target, balance=0.8)), 0.8 * 20, rel_tol=1e-5)


def test_batch_without_boundary_stays_finite() -> None:
    loss = balanced_bce(flat(3.0, 3.0), flat(0, 0))
    assert 0 < float(loss) < 10


def test_dice_by_hand() -> None:
    """Half of two voxels found: overlap 1, sizes 1 and 2, each sum smoothed by one."""
    loss = dice_loss(flat(50.0, -50.0), flat(1, 1))
    assert math.isclose(float(loss), 1 - (2 * 1 + 1) / (1 + 2 + 1), abs_tol=1e-6)
