"""Boundaries as published: every voxel of a patch of answers, by networks with pooling."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.checkpoint import read_checkpoint
from volkit.models.dense import DenseNetwork
from volkit.models.dense_layers import Reach
from volkit.training.config import LabelledVolume
from volkit.training.dense_config import DenseConfig
from volkit.training.dense_patches import MappedTissue, class_weights, draw_answers
from volkit.training.lesson import Answer, Floats, Stored
from volkit.training.losses import patch_loss
from volkit.training.patches import open_tissue
from volkit.training.preliminary import preliminary_map
from volkit.training.start import start_from
from volkit.training.validate import Scores, judged_maps
from volkit.training.whole_map import whole_map

_CLASSES = ("interior", "boundary")
_ANNEALED = 100  # updates after which the rate is multiplied


class DenseLesson:
    """The task of a `DenseConfig`; see `volkit.training.lesson.Lesson`.

    Parameters
    ----------
    config : DenseConfig
        The run.
    """

    verdict: ClassVar[Any] = Scores

    def __init__(self, config: DenseConfig) -> None:
        self.config = config
        self.facts: Mapping[str, str] = {}
        if config.recursion:
            self.facts = {"recursion": read_checkpoint(config.recursion.checkpoint).identity}
        # Found here, once: to build a network draws from the generator that dropout draws from.
        self.reach: Reach = DenseNetwork(build(config.architecture, **config.arguments)).reach
        self.tissues = [self._open(spec) for spec in config.volumes]
        self.unseen = [self._open(spec) for spec in config.validation.volumes]
        self.weights = (1.0, 1.0)
        if config.optimisation.balance == "global":
            self.weights = class_weights(self.tissues, config.patches)

    def _open(self, spec: LabelledVolume) -> MappedTissue:
        scaling, recursion = self.config.scaling, self.config.recursion
        if recursion is None:
            return MappedTissue(open_tissue(spec, scaling))
        found = preliminary_map(spec, self.config, recursion)
        alike = scaling.kind == "none"
        if alike:  # as `volkit.ops.map_stack` scales it where the card scales nothing
            scaling = read_checkpoint(recursion.checkpoint).scaling
        return MappedTissue(open_tissue(spec, scaling), found, recursion.levels, scaled=alike)

    def network(self) -> nn.Module:
        """Build the network, to be evaluated at every voxel."""
        network = build(self.config.architecture, **self.config.arguments)
        if self.config.recursion and self.config.recursion.start:
            start_from(network, self.config.recursion)
        # By fragments, nothing is dilated, which torch differentiates at full speed.
        return DenseNetwork(network, method="fragments")

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make gradient descent with momentum."""
        options = self.config.optimisation
        return torch.optim.SGD(
            network.parameters(), lr=options.learning_rate, momentum=options.momentum
        )

    def rate(self, step: int) -> float:
        """Keep the rate, or anneal it."""
        options = self.config.optimisation
        return options.learning_rate * options.anneal ** (step // _ANNEALED)

    def loss(self, answer: Answer, step: int) -> Tensor:
        """Cross-entropy over a patch of answers."""
        rng = np.random.default_rng([self.config.seed, step])
        images, classes = draw_answers(self.tissues, self.config.patches, self.reach.margin, rng)
        logits = answer(images)
        if logits.shape[1] != len(_CLASSES):
            raise ModelError(
                f"the network answers {logits.shape[1]} channels, expected {len(_CLASSES)}, "
                f"{' and '.join(_CLASSES)}; leave out_channels out of the arguments"
            )
        return patch_loss(logits, torch.from_numpy(classes).to(logits.device), self.weights)

    def judged(self, answer: Answer) -> Scores | None:
        """Score the map of boundaries, and what it segments into."""
        if not self.unseen:
            return None
        options = self.config.validation

        def predict(windows: Floats) -> Floats:
            return torch.softmax(answer(windows), 1)[0, 1].cpu().numpy()

        maps = [
            whole_map(
                predict, each.seen, each.tissue.box, margin=self.reach.margin, tile=options.window
            )
            for each in self.unseen
        ]
        edges = [each.boundary(each.tissue.box, self.config.patches) for each in self.unseen]
        truths = [each.tissue.labels.read(each.tissue.box) for each in self.unseen]
        return judged_maps(maps, truths, options, edges=edges)

    def stored(self, network: nn.Module) -> Stored:
        """Give the weights of the network itself."""
        config, reach = self.config, self.reach
        seen = 1 + (config.recursion is not None)
        card: dict[str, Any] = {
            "architecture": config.architecture,
            "arguments": dict(config.arguments),
            "channels": [seen, len(_CLASSES)],
            "window": list(config.window),
            "margin": list(reach.margin),
            "output": "valid",
            "stride": list(reach.stride),
            "scaling": {k: v for k, v in asdict(config.scaling).items() if v is not None},
            "activation": "softmax",
            "classes": list(_CLASSES),
            **asdict(config.card),
        }
        inner = network.network if isinstance(network, DenseNetwork) else network
        return Stored(inner.state_dict(), card)
