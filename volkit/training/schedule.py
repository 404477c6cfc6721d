"""Schedules: the learning rate of every step, and the running average of the weights."""

import copy
from math import cos, pi

import torch
from torch import nn


def learning_rate(step: int, *, peak: float, warmup: int, steps: int) -> float:
    """Rise linearly over the warm-up, then fall to zero along half a cosine.

    Parameters
    ----------
    step : int
        Step about to be taken, from 0.
    peak : float
        Rate at the end of the warm-up.
    warmup : int
        Steps of the rise.
    steps : int
        Steps in all.

    Returns
    -------
    float
        The rate, above 0 for every step below ``steps``.

    References
    ----------
    Loshchilov and Hutter, SGDR, 2017, doi:10.48550/arXiv.1608.03983.

    Examples
    --------
    >>> [round(learning_rate(s, peak=1.0, warmup=2, steps=6), 3) for s in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))


class RunningAverage:
    """An exponential moving average of a network's weights, and of its normalisation.

    Early averages reach back less, so that the start is forgotten.

    Parameters
    ----------
    network : torch.nn.Module
        What to follow; copied.
    decay : float
        Share of the old average that a step keeps in the end.

    References
    ----------
    Tarvainen and Valpola, Mean teachers are better role models, 2017,
    doi:10.48550/arXiv.1703.01780.
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards a network after its step ``step`` (from 0)."""
        keep = min(self.decay, (1 + step) / (10 + step))
        new = network.state_dict()
        for name, old in self.network.state_dict().items():
            if old.dtype.is_floating_point:
                old.lerp_(new[name], 1 - keep)
            else:  # the batch counter of a normalisation
                old.copy_(new[name])
