"""Lessons: what a training loop needs to know of a task, and nothing of how it loops."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float32]
Answer = Callable[[Floats], Tensor]
"""Scaled images (B, C, z, y, x) to logits in float32, on the device that trains."""


class Stored(NamedTuple):
    """What a checkpoint holds.

    Parameters
    ----------
    weights : mapping of str to Tensor
        By name.
    card : mapping
        Keys of its card without those that follow from the weights.
    """

    weights: Mapping[str, Tensor]
    card: Mapping[str, Any]


class Verdict(Protocol):
    """What a validation found; a frozen dataclass of numbers."""

    def told(self) -> str:
        """Say it in one line."""


class Lesson(Protocol):
    """A task: its network, its patches and loss, its scores and its card.

    Nothing in it changes while it is learnt: all that must survive an interruption is the loop's.
    """

    verdict: ClassVar[Any]
    """The dataclass of its verdicts."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What decides the weights and is not in the configuration, such as other checkpoints."""

    def network(self) -> nn.Module:
        """Build the network with the weights it starts from."""

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make what moves the weights."""

    def rate(self, step: int) -> float:
        """Give the learning rate of a step, from 0."""

    def loss(self, answer: Answer, step: int) -> Tensor:
        """Draw the patches of a step and say how wrong the answer is."""

    def judged(self, answer: Answer) -> Verdict | None:
        """Score the network on what it does not learn from; None where there is nothing."""

    def stored(self, network: nn.Module) -> Stored:
        """Give what to store of a network."""
