"""Affinities by a residual U-Net: near edges that segment, and far ones that teach."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from volkit.models.architectures import build
from volkit.models.checkpoint import read_checkpoint
from volkit.models.residual_unet import ResidualUNet3D, folded
from volkit.training.affinity_config import AffinityConfig
from volkit.training.lesson import Answer, Floats, Stored
from volkit.training.losses import balanced_bce
from volkit.training.patches import draw_affinities, open_tissue
from volkit.training.schedule import learning_rate
from volkit.training.start import take_over
from volkit.training.targets import boundary_of
from volkit.training.validate import Scores, validated

_ARCHITECTURE = "residual_unet3d"


class AffinityLesson:
    """The task of an `AffinityConfig`; see `volkit.training.lesson.Lesson`.

    Parameters
    ----------
    config : AffinityConfig
        The run.
    """

    verdict: ClassVar[Any] = Scores

    def __init__(self, config: AffinityConfig) -> None:
        self.config = config
        self.facts: Mapping[str, str] = {}
        if config.start_from:
            self.facts = {"start_from": read_checkpoint(config.start_from).identity}
        self.tissues = [open_tissue(spec, config.scaling) for spec in config.volumes]
        self.unseen = [open_tissue(spec, config.scaling) for spec in config.validation.volumes]

    def network(self) -> nn.Module:
        """Build the network, with a channel for every offset."""
        network = build(_ARCHITECTURE, **self._arguments())
        if self.config.start_from:
            take_over(network, self.config.start_from)
        return network

    def _arguments(self) -> dict[str, Any]:
        return {**self.config.arguments, "out_channels": len(self.config.patches.offsets)}

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
        """Cross-entropy of all edges that are known, both kinds of each offset alike."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        images, targets, known = draw_affinities(
            self.tissues, config.patches, config.augmentation, rng
        )
        logits = answer(images)
        return balanced_bce(
            logits,
            torch.from_numpy(targets).to(logits.device),
            balance=config.optimisation.balance,
            known=torch.from_numpy(known).to(logits.device),
        )

    def judged(self, answer: Answer) -> Scores | None:
        """Segment what the nearest affinities say of boundaries, and compare."""
        if not self.unseen:
            return None
        nearest = self.config.patches.nearest

        def predict(windows: Floats) -> Floats:
            affinities = torch.sigmoid(answer(windows)[:, : len(nearest)]).cpu().numpy()
            return np.stack([boundary_of(one, nearest)[None] for one in affinities])

        return validated(predict, self.unseen, self.config.validation)

    def stored(self, network: nn.Module) -> Stored:
        """Give the weights with normalisation folded in; the card states the offsets."""
        config, weights, arguments = self.config, network.state_dict(), self._arguments()
        if isinstance(network, ResidualUNet3D):
            weights, arguments = folded(network), {**arguments, "norm": "none"}
        offsets = [list(offset) for offset in config.patches.offsets]
        card: dict[str, Any] = {
            "architecture": _ARCHITECTURE,
            "arguments": arguments,
            "channels": [1, len(offsets)],
            "window": list(config.window),
            "scaling": {k: v for k, v in asdict(config.scaling).items() if v is not None},
            "activation": "sigmoid",
            "offsets": offsets,
            **asdict(config.card),
        }
        return Stored(weights, card)
