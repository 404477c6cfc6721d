"""Classes: every voxel of a patch is one of a few kinds of tissue."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.kernels.class_confusion import confusion_matrix, pooled_scores
from volkit.kernels.class_merge import Classes, merged_classes
from volkit.kernels.contingency import contingency
from volkit.models.architectures import build
from volkit.models.residual_unet import ResidualUNet3D, folded
from volkit.training.class_config import ClassConfig
from volkit.training.class_losses import class_loss, class_weights
from volkit.training.class_patches import count_classes, draw_anywhere, draw_tiles
from volkit.training.lesson import Answer, Floats, Stored
from volkit.training.patches import Tissue, open_tissue
from volkit.training.schedule import learning_rate
from volkit.training.whole_map import mirrored, tiles


@dataclass(frozen=True, slots=True)
class ClassVerdict:
    """How well a network tells classes apart, pooled over the voxels that judge.

    Parameters
    ----------
    classes : tuple of str
        Their names.
    f1, iou : tuple of float
        Of every class; NaN where it is neither there nor predicted.
    """

    classes: tuple[str, ...]
    f1: tuple[float, ...]
    iou: tuple[float, ...]

    def told(self) -> str:
        """Say it in one line."""
        pairs = zip(self.classes, self.iou, strict=True)
        each = ", ".join(f"{name} {iou:.3f}" for name, iou in pairs)
        return f"mean IoU {np.mean(self.iou):.4f} ({each}); mean F1 {np.mean(self.f1):.4f}"


class ClassLesson:
    """The task of a `ClassConfig`; see `volkit.training.lesson.Lesson`.

    Parameters
    ----------
    config : ClassConfig
        The run.
    """

    verdict: ClassVar[Any] = ClassVerdict

    def __init__(self, config: ClassConfig) -> None:
        self.config = config
        # Their order is that of the channels; a digest of a mapping would not tell it.
        self.facts: Mapping[str, str] = {"classes": ", ".join(config.classes)}
        self.tissues = [open_tissue(spec, config.scaling) for spec in config.volumes]
        self.unseen = [open_tissue(spec, config.scaling) for spec in config.validation.volumes]
        voxels = count_classes(self.tissues, config.classes)
        options = config.optimisation
        self.weights = class_weights(voxels, balance=options.balance)
        # What the weights add to the answer where cross-entropy is least, and is taken out again.
        self.bias = np.log(self.weights) if options.adjust else np.zeros(len(self.weights))

    def network(self) -> nn.Module:
        """Build the network, with a channel for every class."""
        network = build(self.config.architecture, **self._arguments())
        if self.bias.any() and "head.bias" not in network.state_dict():
            raise ConfigError(
                f"{self.config.architecture} has no head with a bias, from which the weights of "
                "classes can be taken out again; say optimisation.adjust: false, or balance: 0"
            )
        return network

    def _arguments(self) -> dict[str, Any]:
        return {**self.config.arguments, "out_channels": len(self.config.classes)}

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make AdamW or gradient descent."""
        options = self.config.optimisation
        if options.optimiser == "sgd":
            return torch.optim.SGD(
                network.parameters(),
                lr=options.learning_rate,
                momentum=options.momentum,
                weight_decay=options.weight_decay,
            )
        return torch.optim.AdamW(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )

    def rate(self, step: int) -> float:
        """Rise, then fall along a cosine; of gradient descent, keep the rate."""
        options = self.config.optimisation
        if options.optimiser == "sgd":
            return options.learning_rate
        return learning_rate(
            step, peak=options.learning_rate, warmup=options.warmup, steps=options.steps
        )

    def loss(self, answer: Answer, step: int) -> Tensor:
        """Cross-entropy and Dice loss over patches."""
        config = self.config
        if config.patches.draw == "tiles":
            images, numbers = draw_tiles(
                self.tissues, config.classes, config.patches, step=step, seed=config.seed
            )
        else:
            rng = np.random.default_rng([config.seed, step])
            images, numbers = draw_anywhere(
                self.tissues, config.classes, config.patches, config.augmentation, rng
            )
        logits = answer(images)
        target = torch.from_numpy(numbers).to(logits.device)
        return class_loss(logits, target, self.weights, dice=config.optimisation.dice)

    def judged(self, answer: Answer) -> ClassVerdict | None:
        """Count what is told rightly."""
        if not self.unseen:
            return None
        config = self.config
        bias = torch.from_numpy(self.bias).float()[:, None, None, None]

        def adjusted(images: Floats) -> Tensor:
            logits = answer(images)
            return logits - bias.to(logits.device)

        found = [
            _confusion(adjusted, tissue, config.classes, config.validation.window)
            for tissue in self.unseen
        ]
        scores = pooled_scores(found)
        return ClassVerdict(
            tuple(config.classes), tuple(scores.f1.tolist()), tuple(scores.iou.tolist())
        )

    def stored(self, network: nn.Module) -> Stored:
        """Give the weights, with normalisation folded in where the network is ours."""
        config, weights, arguments = self.config, network.state_dict(), self._arguments()
        if isinstance(network, ResidualUNet3D):
            weights, arguments = folded(network), {**arguments, "norm": "none"}
        if self.bias.any():
            old = weights["head.bias"]
            weights = {**weights, "head.bias": old - torch.from_numpy(self.bias).to(old)}
        card: dict[str, Any] = {
            "architecture": config.architecture,
            "arguments": arguments,
            "channels": [1, len(config.classes)],
            "window": list(config.window),
            "scaling": {k: v for k, v in asdict(config.scaling).items() if v is not None},
            "activation": "softmax",
            "classes": list(config.classes),
            **asdict(config.card),
        }
        return Stored(weights, card)


def _confusion(answer: Answer, tissue: Tissue, classes: Classes, window: Coord) -> Any:
    """Count pairs of true and answered classes, windows side by side."""
    total = np.zeros((len(classes), len(classes)), np.int64)
    for box in tiles(tissue.box, window):
        seen = mirrored(tissue.scaled, tissue.box, Box.from_shape(window, box.start))
        found = answer(np.ascontiguousarray(seen[None, None])).argmax(1)[0].cpu().numpy()
        z, y, x = box.shape
        truth = merged_classes(tissue.labels.read(box), classes)
        total += confusion_matrix(contingency(truth, found[:z, :y, :x]), len(classes))
    return total
