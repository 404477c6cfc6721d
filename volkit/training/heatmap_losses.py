"""Losses of heat maps: squared errors that weigh the few voxels of particles up.

Both are published by team yu4u & tattaka of the CZII challenge; particles fill about a hundredth
of a tomogram, so that a plain mean would be content with nothing.
"""

from typing import Literal

from torch import Tensor

HeatMapLoss = Literal["weighted", "balanced"]


def weighted_squares(answer: Tensor, target: Tensor, *, floor: float = 0.1) -> Tensor:
    """Mean of ``(p - t)² (t + floor)``: the loss of model A, as in its code.

    Parameters
    ----------
    answer, target : Tensor of float32, shape (B, C, z, y, x)
        Heat maps.
    floor : float
        Weight where the target is 0.

    Returns
    -------
    Tensor of float32, shape ()

    Examples
    --------
    >>> import torch
    >>> round(float(weighted_squares(torch.tensor([1.0, 0.5]), torch.tensor([0.0, 1.0]))), 4)
    0.1875
    """
    return ((answer - target).square() * (target + floor)).mean()


def balanced_squares(
    answer: Tensor, target: Tensor, *, foreground: float = 1.0, background: float = 1.0
) -> Tensor:
    """Weigh the mean over particles and the mean over what is around them.

    ``a Σ t (p - t)² / Σ t + b Σ (1 - t) (p - t)² / Σ (1 - t)``, reconstructed from the words that
    describe the loss of model B; its weights are not known.

    Parameters
    ----------
    answer, target : Tensor of float32, shape (B, C, z, y, x)
        Heat maps.
    foreground, background : float
        Weights a and b.

    Returns
    -------
    Tensor of float32, shape ()

    Examples
    --------
    >>> import torch
    >>> round(float(balanced_squares(torch.tensor([1.0, 0.5]), torch.tensor([0.0, 1.0]))), 4)
    1.25
    """
    squares, rest = (answer - target).square(), 1 - target
    near = (target * squares).sum() / (target.sum() + 1e-6)
    far = (rest * squares).sum() / (rest.sum() + 1e-6)
    return foreground * near + background * far
