"""The training loop: draw, step, average, judge, store."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ConfigError, ModelError
from volkit.models.architectures import build
from volkit.models.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from volkit.models.residual_unet import ResidualUNet3D, folded
from volkit.training.config import TrainConfig
from volkit.training.losses import balanced_bce, dice_loss
from volkit.training.patches import Floats, draw_batch, open_tissue
from volkit.training.schedule import RunningAverage, learning_rate
from volkit.training.state import State, fingerprint, load_state, save_state, state_path
from volkit.training.validate import Scores, validated

# Steps of which the loss is averaged for show; a single batch says little.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """What a training run has to say after a step.

    Parameters
    ----------
    step, steps : int
        Steps done, and in all.
    loss : float
        Mean over the latest steps.
    learning_rate : float
        Of this step.
    seconds : float
        Since the run began or went on.
    scores : Scores or None
        Where this step was followed by a validation.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    seconds: float
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run ends with.

    Parameters
    ----------
    checkpoint : Checkpoint
        As stored.
    losses : tuple of float
        Of every step.
    scores : tuple of (int, Scores)
        Of every validation, with the step it followed.
    seconds : float
        Of this call; a resumed run does not know of earlier ones.
    """

    checkpoint: Checkpoint
    losses: tuple[float, ...]
    scores: tuple[tuple[int, Scores], ...]
    seconds: float


def train(
    config: TrainConfig, *, on_progress: Callable[[Progress], None] | None = None
) -> TrainResult:
    """Train a network, or go on where an interrupted run of the same configuration ended.

    The running average of the weights is stored, with normalisation folded in where the
    architecture is ours.  Each step draws its patches from a generator of its own, seeded by
    ``config.seed`` and the step, so that a resumed run ends with the bytes of an uninterrupted
    one (on the same machine, with as many threads).

    Parameters
    ----------
    config : TrainConfig
        The run, whole.
    on_progress : callable or None
        Called after every step.

    Returns
    -------
    TrainResult
        Checkpoint, losses and scores.

    Raises
    ------
    ConfigError
        If an earlier state belongs to another configuration.
    ModelError
        If the loss is no longer finite.
    """
    began = perf_counter()
    run = _Run(config)
    run.resume()
    steps = config.optimisation.steps
    while run.step < steps:
        rate = run.advance()
        scores = run.judge() if run.is_due() else None
        if on_progress:
            loss = float(np.mean(run.losses[-_SHOWN:]))
            on_progress(Progress(run.step, steps, loss, rate, perf_counter() - began, scores))
    checkpoint = read_checkpoint(config.checkpoint)
    return TrainResult(checkpoint, tuple(run.losses), tuple(run.scores), perf_counter() - began)


class _Run:
    """A run in progress: the network, its average, the optimiser and what was measured."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.network = build(config.architecture, **_arguments(config))
        self.device = _device(config.device)
        self.network.to(  # type: ignore[call-overload]
            self.device, memory_format=torch.channels_last_3d
        )
        options = config.optimisation
        self.average = RunningAverage(self.network, decay=options.average)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.tissues = [open_tissue(spec, config.scaling) for spec in config.volumes]
        self.unseen = [open_tissue(spec, config.scaling) for spec in config.validation.volumes]
        self.step = 0
        self.losses: list[float] = []
        self.scores: list[tuple[int, Scores]] = []

    def advance(self) -> float:
        """Take one step; return its learning rate."""
        options = self.config.optimisation
        rate = learning_rate(
            self.step, peak=options.learning_rate, warmup=options.warmup, steps=options.steps
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        loss = self._loss()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), options.clip)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        self.losses.append(loss.item())
        self.step += 1
        return rate

    def _loss(self) -> Tensor:
        config, options = self.config, self.config.optimisation
        rng = np.random.default_rng([config.seed, self.step])
        images, targets = draw_batch(self.tissues, config.patches, config.augmentation, rng)
        with self._precision():
            logits = self.network(torch.from_numpy(images).to(self.device)).float()
        target = torch.from_numpy(targets).to(self.device)
        boundary, rest = (logits[:, :1], target[:, :1]), (logits[:, 1:], target[:, 1:])
        loss = balanced_bce(*boundary, balance=options.balance)
        if options.dice:
            loss = loss + options.dice * dice_loss(*boundary)
        if config.patches.separations:
            loss = loss + balanced_bce(*rest)
        if not bool(torch.isfinite(loss)):
            raise ModelError(
                f"the loss of step {self.step} is {loss.item()}; lower learning_rate, or train "
                "with precision float32"
            )
        return loss

    def is_due(self) -> bool:
        """Tell whether the step just taken is followed by a validation."""
        last = self.step == self.config.optimisation.steps
        return last or self.step % self.config.validation.every == 0

    def judge(self) -> Scores | None:
        """Store the network and the state, and score the network where there is a truth."""
        scores = None
        if self.unseen:
            scores = validated(self._predict, self.unseen, self.config.validation)
            self.scores.append((self.step, scores))
        self._save()
        return scores

    def _predict(self, windows: Floats) -> Floats:
        with torch.inference_mode(), self._precision():
            logits = self.average.network(torch.from_numpy(windows).to(self.device))
            return torch.sigmoid(logits[:, :1].float()).cpu().numpy()

    def _precision(self) -> Any:
        if self.config.precision == "bfloat16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def _save(self) -> None:
        """Write the checkpoint before the state: a state promises its checkpoint."""
        save_checkpoint(*_stored(self.average.network, self.config))
        state: State = {
            "fingerprint": fingerprint(self.config),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "losses": self.losses,
            "scores": [[step, asdict(scores)] for step, scores in self.scores],
        }
        save_state(state, state_path(self.config))

    def resume(self) -> None:
        """Take over the state of an earlier run, if there is one."""
        state = load_state(state_path(self.config), self.config)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        self.losses = list(state["losses"])
        self.scores = [(int(step), Scores(**scores)) for step, scores in state["scores"]]


def _device(wanted: str) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ModelError("device 'cuda' is not here; use auto or cpu")
    return torch.device("cpu" if wanted == "cpu" or not there else "cuda")


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


def _stored(
    network: nn.Module, config: TrainConfig
) -> tuple[Mapping[str, Tensor], str, dict[str, Any]]:
    """Give the weights, place and card of a checkpoint."""
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
    return weights, config.checkpoint, card
