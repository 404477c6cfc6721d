"""Losses: how far an answer is from its target."""

import torch
from torch import Tensor
from torch.nn import functional

# A patch without any boundary (or with nothing else) would get an infinite weight.
_RAREST = 0.02


def balanced_bce(
    logits: Tensor, target: Tensor, *, balance: float = 0.5, known: Tensor | None = None
) -> Tensor:
    """Cross-entropy in which both classes of a channel weigh as asked, however rare they are.

    Parameters
    ----------
    logits : Tensor of float32, shape (B, C, z, y, x)
        Answers before the sigmoid.
    target : Tensor of float32, same shape
        0 or 1.
    balance : float
        Share of the positive class in the loss, 0 to 1; 0.5 weighs both classes alike.
    known : Tensor of float32, same shape, optional
        1 where the target is known, 0 where the answer does not matter.

    Returns
    -------
    Tensor of float32, shape ()
        Mean weighted cross-entropy over all channels, nats.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, 2015, doi:10.48550/arXiv.1508.04843.

    Examples
    --------
    >>> target = torch.tensor([[[[[1.0, 0.0, 0.0, 0.0]]]]])
    >>> round(float(balanced_bce(torch.zeros_like(target), target)), 4)
    0.6931
    """
    axes = (0, 2, 3, 4)
    if known is None:
        share = target.mean(dim=axes, keepdim=True)
    else:
        count = known.sum(dim=axes, keepdim=True).clamp(min=1)
        share = (target * known).sum(dim=axes, keepdim=True) / count
    share = share.clamp(_RAREST, 1 - _RAREST)
    weight = torch.where(target > 0.5, balance / share, (1 - balance) / (1 - share))
    if known is None:
        return functional.binary_cross_entropy_with_logits(logits, target, weight)
    weight = weight * known
    total = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return total / known.sum().clamp(min=1)


def patch_loss(logits: Tensor, classes: Tensor, weights: tuple[float, float]) -> Tensor:
    """Softmax cross-entropy of two classes over a patch, divided by its number of voxels.

    Parameters
    ----------
    logits : Tensor of float32, shape (B, 2, z, y, x)
        Answers before the softmax.
    classes : Tensor of int64, shape (B, z, y, x)
        0 or 1.
    weights : tuple of float
        Of a voxel of either class.

    Returns
    -------
    Tensor of float32, shape ()
        Nats.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, 2015, doi:10.48550/arXiv.1508.04843.

    Examples
    --------
    >>> classes = torch.tensor([[[[0, 0, 0, 1]]]])
    >>> round(float(patch_loss(torch.zeros(1, 2, 1, 1, 4), classes, (2 / 3, 2.0))), 4)
    0.6931
    """
    weight = torch.tensor(weights, dtype=logits.dtype, device=logits.device)
    total = functional.cross_entropy(logits, classes, weight, reduction="sum")
    return total / classes.numel()


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice coefficient of the positive class.

    Parameters
    ----------
    logits : Tensor of float32, shape (B, C, z, y, x)
        Answers before the sigmoid.
    target : Tensor of float32, same shape
        0 or 1.

    Returns
    -------
    Tensor of float32, shape ()
        0 (equal) to 1 (disjoint); 0 where both are empty.

    References
    ----------
    Milletari, Navab, Ahmadi, V-Net, 2016, doi:10.1109/3DV.2016.79.

    Examples
    --------
    >>> target = torch.tensor([[[[[1.0, 0.0]]]]])
    >>> round(float(dice_loss(200 * target - 100, target)), 4)
    0.0
    """
    prob = torch.sigmoid(logits)
    overlap = 2 * (prob * target).sum()
    return 1 - (overlap + 1) / (prob.sum() + target.sum() + 1)
