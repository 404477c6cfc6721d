"""A network for scans in training: how its weights move, and what survives an interruption."""

import copy
from dataclasses import asdict, replace
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from volkit.errors import ConfigError, ModelError
from volkit.models.checkpoint import save_checkpoint
from volkit.models.module_loading import lay_out
from volkit.models.running import Running
from volkit.training.nonfinite import first_nonfinite
from volkit.training.precision import computing_in
from volkit.training.scan_batches import plain_batches, shuffled_batches, varied_batches
from volkit.training.scan_epoch import EpochScores, epoch_scores
from volkit.training.scan_options import ScanFold
from volkit.training.scan_roles import Numbers, ScanRoles
from volkit.training.scan_set import Floats, ScanSet
from volkit.training.scan_start import network_card, start_digest, starting_network
from volkit.training.schedule import learning_rate
from volkit.training.state import State, fingerprint, load_state, save_state, state_path
from volkit.training.tracking import TrackingKeys

_NEVER = -inf


class FoldRun:
    """A training in progress.

    Parameters
    ----------
    fold : ScanFold
        What is trained.
    scans : ScanSet
        All scans.
    roles : ScanRoles
        Which of them do what.
    """

    def __init__(self, fold: ScanFold, scans: ScanSet, roles: ScanRoles) -> None:
        choose = fold.training.optimisation.choose
        roles.check(scans.manifest.rows, which=f"fold {fold.number}", choose=choose)
        self.fold, self.scans, self.roles = fold, scans, roles
        training = fold.training
        torch.manual_seed(_seed(training.seed, fold.number))
        self.device = torch.device(Running(fold.device).resolved().device)
        self.network = starting_network(training, classes=2).to(self.device)
        lay_out(self.network)
        moving = [p for p in self.network.parameters() if p.requires_grad]
        options = training.optimisation
        self.optimiser = torch.optim.AdamW(
            moving, lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.per_epoch = -(-len(roles.learnt) // options.batch)
        self.number = scans.number
        self.weight = self._class_weights()
        self.scores: list[EpochScores] = []
        self.best, self.best_epoch = _NEVER, 0
        self.best_state: dict[str, Tensor] = {}
        self.facts = {
            "scans": roles.digest(scans.manifest.rows),
            "preprocessing": scans.manifest.rows[0].preprocessing,
            "positive": scans.positive,
            "start": start_digest(training.network),
        }

    @property
    def identity(self) -> str:
        """Digest of what decides the weights."""
        told = self.fold.training.network
        # Where weights lie does not matter: what they are is among the facts.
        network = replace(told, weights=None if told.weights is None else "")
        training = replace(self.fold.training, network=network)
        plain = replace(self.fold, training=training, threads=1, tracking=TrackingKeys())
        return fingerprint(plain, self.facts)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.scores) >= self.fold.training.optimisation.epochs

    def epoch(self) -> EpochScores:
        """Learn for an epoch, choose, and store the state."""
        loss = self._learn()
        rate = self.optimiser.param_groups[0]["lr"]
        said = self.probabilities(self.roles.choosing)
        truth = self.scans.is_positive[self.roles.choosing]
        self.scores.append(
            epoch_scores(said, truth, epoch=len(self.scores) + 1, loss=loss, rate=rate)
        )
        self._choose(self.scores[-1])
        if self.finished:
            self._store()
        save_state(self._state(), state_path(self.fold))
        return self.scores[-1]

    def _learn(self) -> float:
        """Take the steps of an epoch; return the mean loss of its scans."""
        fold, options = self.fold, self.fold.training.optimisation
        words = [abs(fold.training.seed), fold.number, len(self.scores)]
        rng = np.random.default_rng(words)
        batches = shuffled_batches(self.roles.learnt, options.batch, rng)
        torch.manual_seed(_seed(*words))  # dropout
        self.network.train()
        images = varied_batches(
            self.scans, batches, words, fold.training.augmentation, threads=fold.threads
        )
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for place, (rows, given) in enumerate(zip(batches, images, strict=True)):
            step = len(self.scores) * self.per_epoch + place
            total += self._step(given, rows, step) * len(rows)
        return float(total) / len(self.roles.learnt)

    def _step(self, images: Floats, rows: Numbers, step: int) -> Tensor:
        """Move the weights by one batch; return its loss."""
        options = self.fold.training.optimisation
        rate = learning_rate(
            step,
            peak=options.learning_rate,
            warmup=options.warmup * self.per_epoch,
            steps=options.epochs * self.per_epoch,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        target = torch.from_numpy(self.number[rows]).to(self.device)
        given = torch.from_numpy(images).to(self.device)
        self.optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self._answer(given), target, weight=self.weight)
        loss.backward()
        grads = (p.grad for p in self.network.parameters() if p.grad is not None)
        told = torch.stack([loss.detach(), *(torch.linalg.vector_norm(grad) for grad in grads)])
        if not bool(torch.isfinite(told).all()):
            raise self._not_finite(given, rows, step, float(loss.detach()))
        self.optimiser.step()
        return loss.detach().double()

    def _not_finite(self, given: Tensor, rows: Numbers, step: int, loss: float) -> ModelError:
        what = first_nonfinite(self.network, given)
        return ModelError(
            f"fold {self.fold.number}, step {step}: the loss is {loss}, and the first tensor with "
            f"NaN or infinity is {what} (the batch of scans {self.scans.names(rows)}); lower "
            "learning_rate, or train with precision float32"
        )

    def _answer(self, images: Tensor) -> Tensor:
        with computing_in(self.fold.training.precision, self.device):
            return self.network(images.contiguous(memory_format=torch.channels_last_3d)).float()

    def probabilities(self, rows: Numbers) -> NDArray[np.float64]:
        """Say how probably scans are of the class that is looked for, float64, shape (N,)."""
        if not len(rows):
            return np.zeros(0)
        size = self.fold.training.optimisation.batch
        batches = [rows[first : first + size] for first in range(0, len(rows), size)]
        self.network.eval()
        place = self.scans.classes.index(self.scans.positive)
        found = []
        with torch.inference_mode():
            for images in plain_batches(self.scans, batches, threads=self.fold.threads):
                logits = self._answer(torch.from_numpy(images).to(self.device))
                found.append(logits.double().softmax(1)[:, place].cpu())
        return torch.cat(found).numpy()

    def _choose(self, scores: EpochScores) -> None:
        """Keep weights that are better than those before; the last ones where nobody chooses."""
        metric = self.fold.training.optimisation.choose
        value = scores.by(metric)
        if metric == "last" or np.isnan(value) or value > self.best:
            self.best, self.best_epoch = value, scores.epoch
            self.best_state = copy.deepcopy(self.network.state_dict())

    def _store(self) -> None:
        self.network.load_state_dict(self.best_state)
        card = network_card(self.fold.training, self.scans, self.fold.card, self.fold.number)
        save_checkpoint(self.best_state, self.fold.checkpoint, card)

    def _class_weights(self) -> Tensor | None:
        if not self.fold.training.optimisation.balance:
            return None
        count = np.bincount(self.number[self.roles.learnt], minlength=2)
        weight = count.sum() / (2 * count)
        return torch.from_numpy(weight).to(self.device, torch.float32)

    def _state(self) -> State:
        return {
            "fingerprint": self.identity,
            "network": self.network.state_dict(),
            "best": self.best_state,
            "optimiser": self.optimiser.state_dict(),
            "numbers": [self.best, float(self.best_epoch)],
            "scores": [asdict(scores) for scores in self.scores],
        }

    def resume(self, *, anew: bool = False) -> None:
        """Take over the state of an earlier run of this training, if there is one.

        Parameters
        ----------
        anew : bool
            Begin anew where the state is of another training, instead of refusing.

        Raises
        ------
        ConfigError
            If it is of another training.
        """
        try:
            state = load_state(state_path(self.fold), self.identity)
        except ConfigError:
            if not anew:
                raise
            return
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best, self.best_epoch = float(state["numbers"][0]), int(state["numbers"][1])
        self.best_state = dict(state["best"])
        self.scores = [EpochScores(**scores) for scores in state["scores"]]


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence([abs(word) for word in words]).generate_state(1)[0])
