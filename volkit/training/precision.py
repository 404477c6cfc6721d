"""Precision of training: in what convolutions compute, where the device can."""

import logging
from functools import cache
from typing import Literal

import torch

from volkit.models.half_precision import is_emulated

logger = logging.getLogger(__name__)


def computing_in(precision: Literal["bfloat16", "float32"], device: torch.device) -> torch.autocast:
    """Compute in a precision; in float32, and say so once, where bfloat16 would be emulated.

    Parameters
    ----------
    precision : {"bfloat16", "float32"}
        What the configuration asks for.
    device : torch.device
        That trains.

    Returns
    -------
    torch.autocast
        To be entered around a forward pass.

    Examples
    --------
    >>> with computing_in("float32", torch.device("cpu")):
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.float32
    """
    half = precision == "bfloat16"
    if half and is_emulated("bfloat16", device.type):
        _say_once()
        half = False
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


@cache
def _say_once() -> None:
    logger.warning(
        "this processor has no instructions for bfloat16 and would emulate it, dozens of times "
        "more slowly: training computes in float32 (precision: float32 says so in the file)"
    )
