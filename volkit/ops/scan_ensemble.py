"""Ensembles of networks for scans: the folds of a training, asked about scans they never met."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, NonFiniteError
from volkit.geometry import Coord
from volkit.kernels.scan_greys import prepared_scan, standardised
from volkit.models.card import Checkpoint
from volkit.models.ensemble import named
from volkit.ops.stall_ensemble import fingerprint_of

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScanEnsemble:
    """The networks of all folds.

    Parameters
    ----------
    checkpoints : tuple of Checkpoint
        One for each fold, each of a network that answers a scan as a whole.
    positive : str
        The class whose probability is given.
    device : str
        ``auto``, ``cpu`` or ``cuda``; does not belong to the ensemble's identity.

    Raises
    ------
    ConfigError
        If there is no network, they differ in what they see or say, or none knows the class.
    """

    checkpoints: tuple[Checkpoint, ...]
    positive: str
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        cards = self.checkpoints
        wrong = [
            named(card)
            for card in cards
            if (card.output, card.activation, card.channels[0]) != ("whole", "softmax", 1)
        ]
        if not cards or wrong:
            raise ConfigError(
                f"{', '.join(wrong) or 'no card'} does not say which class a scan is of; give "
                "cards that train_scans wrote (output: whole, activation: softmax)"
            )
        if len({(card.window, card.classes) for card in cards}) > 1:
            each = "; ".join(f"{named(c)} {c.window} {', '.join(c.classes)}" for c in cards)
            raise ConfigError(f"folds differ in window or classes: {each}; give folds of one run")
        if self.positive not in cards[0].classes:
            raise ConfigError(
                f"{self.positive} is none of the classes {', '.join(cards[0].classes)}; name one"
            )

    @property
    def window(self) -> Coord:
        """What a scan is resized to, (z, y, x)."""
        return self.checkpoints[0].window

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.checkpoints[0].classes

    @property
    def negative(self) -> str:
        """The other class."""
        (other,) = (name for name in self.classes if name != self.positive)
        return other

    @property
    def answer(self) -> int:
        """Place of the class that is looked for."""
        return self.classes.index(self.positive)

    @property
    def fingerprint(self) -> str:
        """Digest of the networks, whatever their order: what a calibrator is of."""
        return fingerprint_of([card.identity for card in self.checkpoints])

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the answers, as JSON."""
        return {
            "folds": [card.identity for card in self.checkpoints],
            "positive": self.positive,
        }

    def prepared(self, values: NDArray[Any], *, name: str) -> Floats:
        """Give what the networks see of a preprocessed scan, shape ``window``.

        Raises
        ------
        ContractError
            If it is empty or not finite.
        """
        return standardised(prepared_scan(values, self.window, name=name))

    def network(self, fold: int) -> "nn.Module":
        """Load the network of a fold, once per process."""
        from volkit.models.whole_networks import whole_network

        return whole_network(self.checkpoints[fold], self.device)

    def probabilities(self, window: Floats, folds: Sequence[int]) -> NDArray[np.float64]:
        """Ask folds about a scan.

        Parameters
        ----------
        window : ndarray of float32, shape ``window``
            From `prepared`.  One scan at a time: processors add up in an order that depends on how
            many there are.
        folds : sequence of int
            Which to ask: those that have not met its subject.

        Returns
        -------
        ndarray of float64, shape (K,)
            Probability of the class that is looked for.

        Raises
        ------
        NonFiniteError
            If a network answers NaN or infinity.
        """
        import torch

        found = []
        for fold in folds:
            network = self.network(fold)
            where = next(network.parameters()).device
            given = torch.from_numpy(window)[None, None].to(where)
            with torch.inference_mode():
                logits = network(given.contiguous(memory_format=torch.channels_last_3d))
            found.append(float(logits.double().softmax(1)[0, self.answer]))
        answers = np.array(found, np.float64)
        if not np.isfinite(answers).all():
            raise NonFiniteError(
                "a network answered NaN or infinity; check its weights, or leave its fold out"
            )
        return answers
