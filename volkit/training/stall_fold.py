"""A fold in training: its network, how its weights move, and what survives an interruption."""

import copy
from dataclasses import asdict, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.checkpoint import save_checkpoint
from volkit.models.stall_networks import StallNetwork
from volkit.training.precision import computing_in
from volkit.training.schedule import RunningAverage
from volkit.training.stall_batches import (
    Floats,
    drawn_batch,
    drawn_rows,
    judged_batches,
    judged_rows,
)
from volkit.training.stall_config import StallTrainConfig
from volkit.training.stall_options import Stage, StallAugmentation
from volkit.training.stall_scores import StallScores, scored
from volkit.training.stall_set import ClipSet
from volkit.training.stall_start import (
    check_classes,
    data_digest,
    first_network,
    inflated_digest,
    network_card,
)
from volkit.training.state import State, fingerprint, load_state, save_state, state_path

_JUDGED_AT_ONCE = 8  # clips that go through the network together
_NEVER = float("-inf")


class FoldRun:
    """A fold in progress.

    Parameters
    ----------
    config : StallTrainConfig
        Of this fold alone.
    clips : ClipSet
        All of them.
    fold : ndarray of int64, shape (N,)
        Of each clip.
    number : int
        The fold that judges.
    """

    def __init__(
        self, config: StallTrainConfig, clips: ClipSet, fold: NDArray[np.int64], number: int
    ) -> None:
        self.config, self.fold = config, number
        self.learnt, self.unseen = clips.chosen(fold != number), clips.chosen(fold == number)
        for stage in config.stages:
            check_classes(self._rows(stage, judging=False), self.learnt, stage, "learnt from")
            check_classes(self._rows(stage, judging=True), self.unseen, stage, "judged")
        torch.manual_seed(_seed(config.seed, number))
        self.device = _device(config.device)
        self.network = first_network(config)
        self.network.to(  # type: ignore[call-overload]
            self.device, memory_format=torch.channels_last_3d
        )
        self.scale = config.scaling.resolve()
        self.facts = {"clips": data_digest(clips, fold), "inflate": inflated_digest(config)}
        self.scores: list[StallScores] = []
        self.resumed_finished = False
        self.stage = 0
        self._begin()

    def _begin(self) -> None:
        """Begin a stage: with the weights there are, a new optimiser and no score."""
        options = self.config.optimisation
        self.average = RunningAverage(self.network, decay=options.average)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=options.learning_rate)
        self.epochs, self.steps, self.rate = 0, 0, options.learning_rate
        self.best, self.since_best, self.since_change = _NEVER, 0, 0
        self.best_state: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """Whether all stages are done."""
        return self.stage >= len(self.config.stages)

    @property
    def best_scores(self) -> StallScores:
        """Scores of what is stored: the best of the last stage, of equal ones the first."""
        last = max(s.stage for s in self.scores)
        metric = self.config.stages[last].metric
        return max((s for s in self.scores if s.stage == last), key=lambda s: s.by(metric))

    def epoch(self) -> StallScores:
        """Learn for an epoch, judge, keep the best weights, and store the state."""
        stage = self.config.stages[self.stage]
        loss = self._learn(stage)
        self.epochs += 1
        rows = self._rows(stage, judging=True)
        said = self.probabilities(self.unseen.chosen(rows))
        scores = scored(
            said,
            self.unseen.stalled[rows],
            stage=self.stage,
            epoch=self.epochs,
            loss=loss,
            learning_rate=self.rate,
        )
        self.scores.append(scores)
        self._judge(scores, stage)
        if self.epochs >= stage.epochs or self.since_best >= stage.patience:
            self.network.load_state_dict(self.best_state)
            self.stage += 1
            self._begin()
        save_state(self._state(), state_path(self.config))
        return scores

    def _learn(self, stage: Stage) -> float:
        """Take the steps of an epoch; return the mean loss."""
        options, total = self.config.optimisation, 0.0
        rows = self._rows(stage, judging=False)
        clips = self.learnt.chosen(rows)
        augmentation = self.config.augmentation
        if not stage.drop_planes:
            augmentation = replace(augmentation, drop_planes=0.0)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        for first in range(0, options.batches, options.accumulate):
            group_size = min(options.accumulate, options.batches - first)
            self.optimiser.zero_grad()
            for batch in range(first, first + group_size):
                loss = self._loss(clips, augmentation, batch)
                (loss / group_size).backward()
                total += float(loss.detach())
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), float("inf"))
            if not bool(torch.isfinite(norm)):
                raise self._not_finite("a gradient")
            self.optimiser.step()
            self.average.update(self.network, self.steps)
            self.steps += 1
        return total / options.batches

    def _loss(self, clips: ClipSet, augmentation: StallAugmentation, batch: int) -> Tensor:
        config, options = self.config, self.config.optimisation
        words = [abs(config.seed), self.fold, self.stage, self.epochs, batch]
        rng = np.random.default_rng(words)
        torch.manual_seed(_seed(*words))  # dropout
        rows = drawn_rows(clips.stalled, options.batch, rng, positive=options.positive)
        images, stalled = drawn_batch(
            clips,
            rows,
            config.window,
            rng,
            scale=self.scale,
            channels=self._channels,
            options=augmentation,
        )
        logits = self._answer(self.network, images)
        target = torch.from_numpy(stalled).to(self.device)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        if not bool(torch.isfinite(loss)):
            raise self._not_finite("the loss")
        return loss

    def _not_finite(self, what: str) -> ModelError:
        return ModelError(
            f"{what} of fold {self.fold}, stage {self.stage}, epoch {self.epochs} is not finite; "
            "lower learning_rate, or train with precision float32"
        )

    def _answer(self, network: StallNetwork, images: Floats) -> Tensor:
        with computing_in(self.config.precision, self.device):
            features = network.features(torch.from_numpy(images).to(self.device))
        return network.head(features.float())[:, 0]  # logits of 8 bits would be full of ties

    def probabilities(self, clips: ClipSet) -> NDArray[np.float64]:
        """Say how probably clips are stalled, float64, shape (N,)."""
        network = cast(StallNetwork, self.average.network)
        batches = judged_batches(
            clips,
            self.config.window,
            scale=self.scale,
            channels=self._channels,
            batch=_JUDGED_AT_ONCE,
        )
        with torch.inference_mode():
            said = [self._answer(network, images).double().sigmoid().cpu() for images in batches]
        return torch.cat(said).numpy()

    @property
    def _channels(self) -> int:
        return int(self.config.network.get("in_channels", 3))

    def _rows(self, stage: Stage, *, judging: bool) -> NDArray[np.int64]:
        clips = self.unseen if judging else self.learnt
        negatives = stage.negatives if judging else 0.0
        return judged_rows(
            clips.stalled,
            clips.tier1,
            negatives=negatives,
            sure=stage.tier1,
            seed=self.config.seed,
        )

    def _judge(self, scores: StallScores, stage: Stage) -> None:
        """Keep the best weights; lower the rate where nothing gets better."""
        options = self.config.optimisation
        self.since_best, self.since_change = self.since_best + 1, self.since_change + 1
        if scores.by(stage.metric) > self.best:
            self.best, self.since_best, self.since_change = scores.by(stage.metric), 0, 0
            self.best_state = copy.deepcopy(self.average.network.state_dict())
            card = network_card(self.config, scores)
            save_checkpoint(self.best_state, self.config.checkpoint, card)
        elif self.since_change > options.patience:
            self.rate, self.since_change = max(self.rate * options.factor, options.least_rate), 0

    def _state(self) -> State:
        return {
            "fingerprint": fingerprint(self.config, self.facts),
            "stage": self.stage,
            "counts": [self.epochs, self.steps, self.since_best, self.since_change],
            "numbers": [self.rate, self.best],
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "best": self.best_state,
            "optimiser": self.optimiser.state_dict(),
            "scores": [asdict(scores) for scores in self.scores],
        }

    def resume(self) -> None:
        """Take over the state of an earlier run of this fold, if there is one."""
        state = load_state(state_path(self.config), fingerprint(self.config, self.facts))
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.stage, self.best_state = int(state["stage"]), dict(state["best"])
        self.epochs, self.steps, self.since_best, self.since_change = map(int, state["counts"])
        self.rate, self.best = map(float, state["numbers"])
        self.scores = [StallScores(**scores) for scores in state["scores"]]
        self.resumed_finished = self.finished


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence([abs(word) for word in words]).generate_state(1)[0])


def _device(wanted: str) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ModelError("device 'cuda' is not here; use auto or cpu")
    return torch.device("cpu" if wanted == "cpu" or not there else "cuda")
