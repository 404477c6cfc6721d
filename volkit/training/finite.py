"""Finite numbers: a step whose loss or gradient is none is refused, before it ruins the weights.

In bfloat16 on a CPU some gradients come out NaN although the loss is finite, and not every time.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from volkit.errors import ModelError


def check_loss(loss: Tensor, *, step: int, seed: int) -> None:
    """Refuse a loss that is not finite.

    Parameters
    ----------
    loss : Tensor, shape ()
        Of a batch.
    step, seed : int
        Which batch: both together draw it.

    Raises
    ------
    ModelError
        Naming the batch.
    """
    if not bool(torch.isfinite(loss)):
        raise ModelError(
            f"the loss of step {step} is {loss.item()} (the batch that seed {seed} draws there); "
            "lower learning_rate, or train with precision float32"
        )


def cut_gradients(
    parameters: Iterable[nn.Parameter], *, most: float, loss: Tensor, step: int, seed: int
) -> None:
    """Cut gradients to a norm, in place, and refuse those that are not finite.

    Parameters
    ----------
    parameters : iterable of torch.nn.Parameter
        With their gradients.
    most : float
        Largest norm of all together; infinite cuts nothing.
    loss : Tensor, shape ()
        They are of, for the message.
    step, seed : int
        Which batch: both together draw it.

    Raises
    ------
    ModelError
        Naming the batch; the weights are those of the step before.

    Examples
    --------
    >>> weight = nn.Parameter(torch.zeros(1))
    >>> weight.grad = torch.tensor([3.0])
    >>> cut_gradients([weight], most=1.0, loss=torch.tensor(0.5), step=7, seed=1)
    >>> round(weight.grad.item(), 3)
    1.0
    """
    norm = nn.utils.clip_grad_norm_(parameters, most)
    if not bool(torch.isfinite(norm)):
        raise ModelError(
            f"gradients of step {step} are {norm.item()}, though its loss is {loss.item():.6g} "
            f"(the batch that seed {seed} draws there); train with precision float32. What is "
            "stored is of the last validation: the same run goes on from there"
        )
