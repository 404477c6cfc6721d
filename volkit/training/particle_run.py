"""Training on particles: draw, step, average, judge, keep the best."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ConfigError, ModelError
from volkit.models.architectures import build
from volkit.models.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from volkit.models.timm_weights import load_timm
from volkit.training.finite import check_loss, cut_gradients
from volkit.training.heatmap_losses import balanced_squares, weighted_squares
from volkit.training.mixup import Loss, draw_mix
from volkit.training.particle_config import ParticleTrainConfig
from volkit.training.particle_crops import Floats, draw_crops, open_labelled
from volkit.training.particle_validate import validated
from volkit.training.precision import computing_in
from volkit.training.schedule import RunningAverage, learning_rate
from volkit.training.state import State, fingerprint, load_state, save_state, state_path
from volkit.training.threshold_search import PickScores

_SHOWN = 20  # steps of which the loss is averaged for show
_LOSSES: dict[str, Loss] = {"weighted": weighted_squares, "balanced": balanced_squares}


@dataclass(frozen=True, slots=True)
class PickProgress:
    """What a run has to say after a step.

    Parameters
    ----------
    step, steps : int
        Steps done, and in all.
    loss : float
        Mean over the latest steps.
    seconds : float
        Since the run began or went on.
    scores : PickScores or None
        Where this step was followed by a validation.
    """

    step: int
    steps: int
    loss: float
    seconds: float
    scores: PickScores | None = None


@dataclass(frozen=True, slots=True)
class PickResult:
    """What a run ends with.

    Parameters
    ----------
    checkpoint : Checkpoint
        Of the step that scored best; of the last where nothing judges.
    best : PickScores or None
        Its scores.
    losses : tuple of float
        Of every step.
    scores : tuple of (int, PickScores)
        Of every validation, with the step it followed.
    """

    checkpoint: Checkpoint
    best: PickScores | None
    losses: tuple[float, ...]
    scores: tuple[tuple[int, PickScores], ...]


def train_particles(
    config: ParticleTrainConfig, *, on_progress: Callable[[PickProgress], None] | None = None
) -> PickResult:
    """Train a network to find particles, or go on where an interrupted run ended.

    What is validated and stored is the running average of the weights, after the step whose
    average scored best.  Each step draws from a generator of its own, so that a resumed run ends
    with the bytes of an uninterrupted one (on the same machine, with as many threads).

    Parameters
    ----------
    config : ParticleTrainConfig
        The run, whole.
    on_progress : callable or None
        Called after every step.

    Returns
    -------
    PickResult

    Raises
    ------
    ConfigError
        If an earlier state belongs to another configuration.
    ModelError
        If the loss or a gradient is no longer finite; the batch is named.
    """
    began = perf_counter()
    run = _Run(config)
    run.resume()
    steps = config.optimisation.steps
    while run.step < steps:
        run.advance()
        scores = run.judge() if run.is_due() else None
        if on_progress:
            loss = float(np.mean(run.losses[-_SHOWN:]))
            on_progress(PickProgress(run.step, steps, loss, perf_counter() - began, scores))
    return PickResult(
        read_checkpoint(config.checkpoint), run.best, tuple(run.losses), tuple(run.scores)
    )


class _Run:
    """A run in progress: the network, its average, the optimiser and what was measured."""

    def __init__(self, config: ParticleTrainConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.network = _network(config)
        self.device = _device(config.device)
        self.network.to(self.device)
        options = config.optimisation
        self.average = RunningAverage(self.network, decay=options.average)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        opened = partial(
            open_labelled, kinds=config.kinds, scaling=config.scaling, crops=config.crops
        )
        self.learnt = [opened(spec) for spec in config.learnt]
        self.unseen = [opened(spec) for spec in config.unseen]
        self.step = 0
        self.losses: list[float] = []
        self.scores: list[tuple[int, PickScores]] = []

    @property
    def best(self) -> PickScores | None:
        """Scores of what is stored; of equal ones the first."""
        return max((s for _, s in self.scores), key=lambda s: s.score, default=None)

    def advance(self) -> None:
        """Take one step."""
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
        most = options.clip or math.inf
        batch = {"step": self.step, "seed": self.config.seed}
        cut_gradients(self.network.parameters(), most=most, loss=loss, **batch)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        self.losses.append(loss.item())
        self.step += 1

    def _loss(self) -> Tensor:
        config, options = self.config, self.config.optimisation
        rng = np.random.default_rng([config.seed, self.step])
        drawn, maps = draw_crops(self.learnt, config.crops, config.augmentation, rng)
        images, target = (torch.from_numpy(a).to(self.device) for a in (drawn, maps))
        mix = draw_mix(rng, len(images), probability=options.mixup, alpha=options.mixup_alpha)
        answer = self._answer(self.network, mix.images(images) if mix else images)
        of = _LOSSES[options.loss]
        loss = mix.loss(of, answer, target) if mix else of(answer, target)
        check_loss(loss, step=self.step, seed=config.seed)
        return loss

    def _answer(self, network: nn.Module, images: Tensor) -> Tensor:
        with computing_in(self.config.precision, self.device):
            answer = network(images).float()
        return answer.sigmoid() if self.config.activation == "sigmoid" else answer

    def is_due(self) -> bool:
        """Tell whether the step just taken is followed by a validation."""
        last = self.step == self.config.optimisation.steps
        return last or self.step % self.config.validation.every == 0

    def judge(self) -> PickScores | None:
        """Score the average; store it where it is the best so far; store the state."""
        config, scores, before = self.config, None, self.best
        if self.unseen:
            scores = validated(
                self._predict,
                self.unseen,
                config.kinds,
                config.validation,
                window=config.crops.shape,
                target_offset=config.crops.target_offset,
            )
            self.scores.append((self.step, scores))
        if scores is None or before is None or scores.score > before.score:
            state = self.average.network.state_dict()
            save_checkpoint(state, config.checkpoint, _card(config, scores))
        save_state(self._state(), state_path(config))
        return scores

    def _predict(self, windows: Floats) -> Floats:
        with torch.inference_mode():
            answer = self._answer(self.average.network, torch.from_numpy(windows).to(self.device))
            return answer.cpu().numpy()

    def _state(self) -> State:
        return {
            "fingerprint": fingerprint(self.config),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "losses": self.losses,
            "scores": [[step, asdict(scores)] for step, scores in self.scores],
        }

    def resume(self) -> None:
        """Take over the state of an earlier run, if there is one."""
        state = load_state(state_path(self.config), fingerprint(self.config))
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        self.losses = list(state["losses"])
        self.scores = [(int(step), PickScores(**scores)) for step, scores in state["scores"]]


def _network(config: ParticleTrainConfig) -> nn.Module:
    network = build(config.architecture, **config.arguments, out_channels=len(config.kinds))
    if config.backbone:
        backbone = getattr(network, "backbone", None)
        if not isinstance(backbone, nn.Module):
            raise ConfigError(
                f"architecture {config.architecture!r} has no backbone for {config.backbone}; "
                "leave backbone out"
            )
        load_timm(backbone, config.backbone)
    return network


def _device(wanted: str) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ModelError("device 'cuda' is not here; use auto or cpu")
    return torch.device("cpu" if wanted == "cpu" or not there else "cuda")


def _card(config: ParticleTrainConfig, scores: PickScores | None) -> dict[str, Any]:
    """Make the card, which says the thresholds that were best."""
    names = [kind.name for kind in config.kinds]
    best = {} if scores is None else dict(zip(names, scores.thresholds, strict=True))
    return {
        "architecture": config.architecture,
        "arguments": {**config.arguments, "out_channels": len(config.kinds)},
        "channels": [1, len(config.kinds)],
        "window": list(config.crops.shape),
        "scaling": {k: v for k, v in asdict(config.scaling).items() if v is not None},
        "activation": config.activation,
        "classes": names,
        "thresholds": best,
        **asdict(config.card),
    }
