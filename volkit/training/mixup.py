"""Mixup: batches blended with themselves in another order."""

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Mix:
    """How a batch is blended.

    Parameters
    ----------
    share : float
        Of the batch as it is, 0 to 1.
    order : tuple of int
        Which of the batch is blended with each.

    References
    ----------
    Zhang et al., mixup: beyond empirical risk minimization, 2018, doi:10.48550/arXiv.1710.09412.

    Examples
    --------
    >>> import torch
    >>> mix = Mix(0.75, (1, 0))
    >>> mix.images(torch.tensor([0.0, 4.0])).tolist()
    [1.0, 3.0]
    """

    share: float
    order: tuple[int, ...]

    def images(self, images: Tensor) -> Tensor:
        """Blend images, shape (B, ...)."""
        return self.share * images + (1 - self.share) * images[list(self.order)]

    def loss(self, loss: Loss, answer: Tensor, target: Tensor) -> Tensor:
        """Blend the losses to both targets, as published: targets themselves are not blended."""
        own, other = loss(answer, target), loss(answer, target[list(self.order)])
        return self.share * own + (1 - self.share) * other


def draw_mix(rng: Generator, batch: int, *, probability: float, alpha: float) -> Mix | None:
    """Draw how a batch is blended.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    batch : int
        Images in it.
    probability : float
        That it is blended at all; 0.5 as published.
    alpha : float
        Both parameters of the beta distribution of the share; 1 is uniform.

    Returns
    -------
    Mix or None
        None where the batch stays as it is.
    """
    if rng.random() >= probability:
        return None
    return Mix(float(rng.beta(alpha, alpha)), tuple(int(n) for n in rng.permutation(batch)))
