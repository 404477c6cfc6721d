"""Losses of classes: one of several for every voxel."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def class_loss(
    logits: Tensor, target: Tensor, weights: Sequence[float], *, dice: float = 0.0
) -> Tensor:
    """Weighted cross-entropy, and the Dice loss of every class.

    Parameters
    ----------
    logits : Tensor of float32, shape (B, C, z, y, x)
        Answers before the softmax.
    target : Tensor of int64, shape (B, z, y, x)
        Numbers of classes.
    weights : sequence of float, length C
        Of a voxel of every class; the mean over voxels is taken as it is.
    dice : float
        Weight of the Dice loss, mean over the classes that are there.

    Returns
    -------
    Tensor of float32, shape ()
        Nats, and parts of 1.

    References
    ----------
    Milletari, Navab, Ahmadi, V-Net, 2016, doi:10.1109/3DV.2016.79.

    Examples
    --------
    >>> target = torch.tensor([[[[0, 0, 1, 1]]]])
    >>> round(float(class_loss(torch.zeros(1, 2, 1, 1, 4), target, (1, 1))), 4)
    0.6931
    >>> round(float(class_loss(torch.zeros(1, 2, 1, 1, 4), target, (1, 1), dice=1)), 4)
    1.1931
    """
    weight = torch.tensor(weights, dtype=logits.dtype, device=logits.device)
    loss = functional.cross_entropy(logits, target, weight, reduction="sum") / target.numel()
    if not dice:
        return loss
    prob = torch.softmax(logits, 1)
    truth = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).to(prob.dtype)
    axes = (0, *range(2, prob.ndim))
    overlap, total = (prob * truth).sum(axes), prob.sum(axes) + truth.sum(axes)
    # What the patches lack has a loss of 1 that no answer can change; it would only be noise.
    there = truth.sum(axes) > 0
    return loss + dice * (1 - 2 * overlap[there] / total[there]).mean()


def class_weights(voxels: Sequence[int], *, balance: float) -> tuple[float, ...]:
    """Weigh classes by how rare they are, so that the mean weight of a voxel is 1.

    Parameters
    ----------
    voxels : sequence of int
        Voxels of every class in all that is learnt from.
    balance : float
        0 weighs voxels alike, 1 classes.

    Returns
    -------
    tuple of float
        Classes without voxels get 1.

    Examples
    --------
    >>> class_weights([3, 1], balance=1.0)
    (0.6666666666666666, 2.0)
    >>> class_weights([3, 1], balance=0.0)
    (1.0, 1.0)
    """
    total = sum(voxels)
    raw = [(n / total) ** -balance if n else 0.0 for n in voxels]
    mean = sum(w * n for w, n in zip(raw, voxels, strict=True)) / total
    return tuple(w / mean if n else 1.0 for w, n in zip(raw, voxels, strict=True))
