"""Boundaries by a residual U-Net, with questions at a distance asked while it trains."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ConfigError
from volkit.models.architectures import build
from volkit.models.residual_unet import ResidualUNet3D, folded
from volkit.training.config import TrainConfig
from volkit.training.lesson import Answer, Floats, Stored
from volkit.training.losses import balanced_bce, dice_loss
from volkit.training.patches import draw_batch, open_tissue
from volkit.training.schedule import learning_rate
from volkit.training.validate import Scores, validated


class BoundaryLesson:
    """The task of a `TrainConfig`; see `volkit.training.lesson.Lesson`.

    Parameters
    ----------
    config : TrainConfig
        The run.
    """

    verdict: ClassVar[Any] = Scores

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.facts: Mapping[str, str] = {}
        self.tissues = [open_tissue(spec, config.scaling) for spec in config.volumes]
        self.unseen = [open_tissue(spec, config.scaling) for spec in config.validation.volumes]

    def network(self) -> nn.Module:
        """Build the network, with a channel for every separation."""
        return build(self.config.architecture, **_arguments(self.config))

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make AdamW."""
        options = self.config.optimisation
        return torch.optim.AdamW(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )

    def rate(self, step: int) -> float:
        """Rise, then fall along a cosine."""
        options = self.config.optimisation
        return learning_rate(
            step, peak=options.learning_rate, warmup=options.warmup, steps=options.steps
        )

    def loss(self, answer: Answer, step: int) -> Tensor:
        """Cross-entropy of boundaries and of separations."""
        config, options = self.config, self.config.optimisation
        rng = np.random.default_rng([config.seed, step])
        images, targets = draw_batch(self.tissues, config.patches, config.augmentation, rng)
        logits = answer(images)
        target = torch.from_numpy(targets).to(logits.device)
        boundary, rest = (logits[:, :1], target[:, :1]), (logits[:, 1:], target[:, 1:])
        loss = balanced_bce(*boundary, balance=options.balance)
        if options.dice:
            loss = loss + options.dice * dice_loss(*boundary)
        if config.patches.separations:
            loss = loss + balanced_bce(*rest)
        return loss

    def judged(self, answer: Answer) -> Scores | None:
        """Segment and compare."""
        if not self.unseen:
            return None

        def predict(windows: Floats) -> Floats:
            return torch.sigmoid(answer(windows)[:, :1]).cpu().numpy()

        return validated(predict, self.unseen, self.config.validation)

    def stored(self, network: nn.Module) -> Stored:
        """Give the weights of the boundary alone, with normalisation folded in."""
        config = self.config
        weights, arguments = network.state_dict(), dict(config.arguments)
        if isinstance(network, ResidualUNet3D):
            weights, arguments = folded(network), {**arguments, "norm": "none"}
            for name in ("head.weight", "head.bias"):
                weights[name] = weights[name][:1]
        card: dict[str, Any] = {
            "architecture": config.architecture,
            "arguments": arguments,
            "channels": [1, 1],
            "window": list(config.window),
            "scaling": {k: v for k, v in asdict(config.scaling).items() if v is not None},
            "activation": "sigmoid",
            "classes": ["boundary"],
            **asdict(config.card),
        }
        return Stored(weights, card)


def _arguments(config: TrainConfig) -> dict[str, Any]:
    """Give the network that trains a channel for every separation."""
    if not config.patches.separations:
        return dict(config.arguments)
    if config.architecture != "residual_unet3d":
        raise ConfigError(
            f"separations need the architecture residual_unet3d, not {config.architecture}; "
            "leave them out"
        )
    return {**config.arguments, "out_channels": 1 + len(config.patches.separations)}
