"""The training loop: draw, step, average, judge, store; what is learnt is a `Lesson`'s."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from volkit.models.module_loading import lay_out
from volkit.training.affinity_config import AffinityConfig
from volkit.training.affinity_lesson import AffinityLesson
from volkit.training.boundary_lesson import BoundaryLesson
from volkit.training.class_config import ClassConfig
from volkit.training.class_lesson import ClassLesson
from volkit.training.config import TrainConfig
from volkit.training.dense_config import DenseConfig
from volkit.training.dense_lesson import DenseLesson
from volkit.training.finite import check_loss, cut_gradients
from volkit.training.lesson import Answer, Floats, Lesson, Verdict
from volkit.training.precision import computing_in
from volkit.training.schedule import RunningAverage
from volkit.training.state import State, fingerprint, load_state, save_state, state_path

AnyConfig = TrainConfig | DenseConfig | AffinityConfig | ClassConfig

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
    scores : Verdict or None
        Where this step was followed by a validation.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    seconds: float
    scores: Verdict | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training run ends with.

    Parameters
    ----------
    checkpoint : Checkpoint
        As stored.
    losses : tuple of float
        Of every step.
    scores : tuple of (int, Verdict)
        Of every validation, with the step it followed.
    seconds : float
        Of this call; a resumed run does not know of earlier ones.
    """

    checkpoint: Checkpoint
    losses: tuple[float, ...]
    scores: tuple[tuple[int, Verdict], ...]
    seconds: float


def train(
    config: AnyConfig, *, on_progress: Callable[[Progress], None] | None = None
) -> TrainResult:
    """Train a network, or go on where an interrupted run of the same configuration ended.

    The running average of the weights is stored, with normalisation folded in where the
    architecture is ours.  Each step draws its patches from a generator of its own, seeded by
    ``config.seed`` and the step, so that a resumed run ends with the bytes of an uninterrupted
    one (on the same machine, with as many threads).

    Parameters
    ----------
    config : TrainConfig, DenseConfig, AffinityConfig or ClassConfig
        The run, whole: boundaries by a U-Net, the published networks with pooling, affinities, or
        classes of tissue.
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
        If the loss or a gradient is no longer finite; the batch is named.
    """
    began = perf_counter()
    run = _Run(config, _lesson(config))
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


def _lesson(config: AnyConfig) -> Lesson:
    if isinstance(config, DenseConfig):
        return DenseLesson(config)
    if isinstance(config, AffinityConfig):
        return AffinityLesson(config)
    if isinstance(config, ClassConfig):
        return ClassLesson(config)
    return BoundaryLesson(config)


class _Run:
    """A run in progress: the network, its average, the optimiser and what was measured."""

    def __init__(self, config: AnyConfig, lesson: Lesson) -> None:
        self.config = config
        self.lesson = lesson
        torch.manual_seed(config.seed)
        self.network = lesson.network()
        self.device = _device(config.device)
        lay_out(self.network.to(self.device))
        self.average = RunningAverage(self.network, decay=config.optimisation.average)
        self.optimiser = lesson.optimiser(self.network)
        self.step = 0
        self.losses: list[float] = []
        self.scores: list[tuple[int, Verdict]] = []

    def advance(self) -> float:
        """Take one step; return its learning rate."""
        rate = self.lesson.rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        # Dropout draws from torch: a seed for every step makes a resumed run draw alike.
        torch.manual_seed(_step_seed(self.config.seed, self.step))
        loss = self.lesson.loss(self._answer(self.network), self.step)
        batch = {"step": self.step, "seed": self.config.seed}
        check_loss(loss, **batch)
        self.optimiser.zero_grad()
        loss.backward()
        most = self.config.optimisation.clip
        cut_gradients(self.network.parameters(), most=most, loss=loss, **batch)
        self.optimiser.step()
        self.average.update(self.network, self.step)
        self.losses.append(loss.item())
        self.step += 1
        return rate

    def _answer(self, network: nn.Module) -> Answer:
        def answer(images: Floats) -> Tensor:
            with computing_in(self.config.precision, self.device):
                return network(torch.from_numpy(images).to(self.device)).float()

        return answer

    def is_due(self) -> bool:
        """Tell whether the step just taken is followed by a validation."""
        last = self.step == self.config.optimisation.steps
        return last or self.step % self.config.validation.every == 0

    def judge(self) -> Verdict | None:
        """Score the network where there is a truth, and store it and the state."""
        with torch.inference_mode():
            scores = self.lesson.judged(self._answer(self.average.network))
        if scores is not None:
            self.scores.append((self.step, scores))
        self._save()
        return scores

    def _save(self) -> None:
        """Write the checkpoint before the state: a state promises its checkpoint."""
        stored = self.lesson.stored(self.average.network)
        save_checkpoint(stored.weights, self.config.checkpoint, stored.card)
        state: State = {
            "fingerprint": fingerprint(self.config, self.lesson.facts),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "losses": self.losses,
            "scores": [[n, asdict(found)] for n, found in self.scores],  # type: ignore[call-overload]
        }
        save_state(state, state_path(self.config))

    def resume(self) -> None:
        """Take over the state of an earlier run, if there is one."""
        wanted = fingerprint(self.config, self.lesson.facts)
        state = load_state(state_path(self.config), wanted)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        self.losses = list(state["losses"])
        made = self.lesson.verdict
        self.scores = [(int(step), made(**found)) for step, found in state["scores"]]


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([abs(seed), step]).generate_state(1)[0])


def _device(wanted: str) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ModelError("device 'cuda' is not here; use auto or cpu")
    return torch.device("cpu" if wanted == "cpu" or not there else "cuda")
