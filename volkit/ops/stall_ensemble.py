"""Ensembles of stall networks: every fold and every view of a clip, with and without dropout.

A clip is read and resized once; each fold looks at all of its views, and its features are kept
while the head is asked again and again with dropout.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ModelError
from volkit.geometry import Coord
from volkit.kernels.clips import Clip
from volkit.models import location
from volkit.models.card import Checkpoint
from volkit.models.checkpoint import read_checkpoint
from volkit.models.ensemble import named
from volkit.models.scaling import Scale
from volkit.models.views import FLIPS, View

if TYPE_CHECKING:
    from volkit.models.stall_networks import StallNetwork

Floats = NDArray[np.float32]
Answers = dict[str, NDArray[np.float32]]
_FOLD = re.compile(r"-fold(\d+)\.ya?ml$")


@dataclass(frozen=True, slots=True)
class StallEnsemble:
    """The networks of all folds, and how they are asked.

    Parameters
    ----------
    checkpoints : tuple of Checkpoint
        One for each fold, each of a network that answers a clip as a whole.
    views : tuple of View
        How each clip is turned; flips, which keep its extent.
    passes : int
        Of every head with dropout; 0 for none.
    seed : int
        Of the units that are left out.
    rows : int
        Windows that go through a network together, always as many: processors add up in an order
        that depends on it, so that it belongs to the result.
    device : str
        ``auto``, ``cpu``, ``cuda``; does not belong to the result's identity.

    Raises
    ------
    ConfigError
        If there is no network, they differ in what they see, or a number makes no sense.
    """

    checkpoints: tuple[Checkpoint, ...]
    views: tuple[View, ...] = FLIPS
    passes: int = 50
    seed: int = 0
    rows: int = 8
    device: str = field(default="auto", compare=False)

    def __post_init__(self) -> None:
        cards = self.checkpoints
        whole = [named(card) for card in cards if card.output != "whole" or card.channels[1] != 1]
        if not cards or whole:
            raise ConfigError(
                f"{', '.join(whole) or 'no card'} does not answer a clip with one value; give "
                "cards of stall networks (output: whole, one channel)"
            )
        if len({(card.window, card.channels) for card in cards}) > 1:
            each = "; ".join(f"{named(c)} {c.window} of {c.channels[0]}" for c in cards)
            raise ConfigError(f"folds differ in window or channels: {each}; give folds of one run")
        if len({card.sha256 for card in cards}) < len(cards):
            raise ConfigError(
                f"of {len(cards)} folds some have the same weights; give each fold once"
            )
        if any(view.swapped for view in self.views) or self.passes < 0 or self.rows < 1:
            raise ConfigError(
                f"views {[view.name for view in self.views]}, {self.passes} passes and {self.rows} "
                "rows; give flips without turns, no fewer than 0 passes, and 1 row or more"
            )

    @property
    def window(self) -> Coord:
        """What a clip is resized to, (z, y, x)."""
        return self.checkpoints[0].window

    @property
    def channels(self) -> int:
        """Channels of a clip."""
        return self.checkpoints[0].channels[0]

    @property
    def fingerprint(self) -> str:
        """Digest of the networks, whatever their order: what a calibrator is of."""
        return fingerprint_of([card.identity for card in self.checkpoints])

    @property
    def weights_sha256(self) -> str:
        """Digest of the weights of all folds."""
        return sha256(" ".join(card.sha256 for card in self.checkpoints).encode()).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the answers, as JSON."""
        return {
            "folds": [card.identity for card in self.checkpoints],
            "views": [view.name for view in self.views],
            "passes": self.passes,
            "seed": self.seed,
            "rows": self.rows,
        }

    def logits(self, clips: Sequence[Clip], keys: Sequence[int]) -> Answers:
        """Ask all folds about clips.

        Parameters
        ----------
        clips : sequence of Clip
            N of them, of any extent.
        keys : sequence of int
            Ids of the clips, of which the units that are left out depend: a clip gets the same
            answer in whatever company.

        Returns
        -------
        dict of ndarray of float32
            ``logits``, shape (K, V, N): folds and views; ``dropped``, shape (P, K, N): mean
            probability over views of each pass with dropout.

        Raises
        ------
        ModelError
            If a network answers NaN or infinity, or its weights cannot be read.
        """
        from volkit.ops.stall_heads import asked

        windows = [self.prepared(clip) for clip in clips]
        found = [asked(self, fold, windows, keys) for fold in range(len(self.checkpoints))]
        answers = {
            "logits": np.stack([each[0] for each in found]),
            "dropped": np.stack([each[1] for each in found], axis=1),
        }
        if not np.isfinite(answers["logits"]).all():
            raise ModelError(
                "a network answered NaN or infinity; check its weights, and the scaling of its card"
            )
        return answers

    def prepared(self, clip: Clip) -> NDArray[Any]:
        """Resize a clip, and give it the channels of the networks.

        Raises
        ------
        ConfigError
            If it has not these channels.
        """
        window = clip.window(self.window)
        if len(window) == self.channels:
            return window
        if self.channels == 1 and len(window) == 3:  # as networks for grey clips are trained
            return np.asarray(window.mean(0, keepdims=True, dtype=np.float32))
        raise ConfigError(
            f"a clip has {len(window)} channels, the networks take {self.channels}; draw the "
            "outline as the networks were trained (outline: painted or channel)"
        )

    def scale(self, fold: int) -> Scale:
        """Give the numbers by which a fold scales its input."""
        return self.checkpoints[fold].scaling.resolve()

    def network(self, fold: int) -> "StallNetwork":
        """Load the network of a fold, once per process."""
        from volkit.ops.stall_heads import loaded

        return loaded(self.checkpoints[fold], self.device)


def fingerprint_of(identities: Sequence[str]) -> str:
    """Digest the identities of all folds, whatever their order.

    Examples
    --------
    >>> fingerprint_of(["a", "b"]) == fingerprint_of(["b", "a"])
    True
    """
    return sha256(" ".join(sorted(identities)).encode()).hexdigest()


def read_folds(
    given: str | Path | Sequence[str] | Mapping[str, Any], *, folds: int | None = None
) -> tuple[Checkpoint, ...]:
    """Read the cards of all folds.

    Parameters
    ----------
    given : str, Path or sequence of str
        One card; several; or the name from which training made ``NAME-fold0.yaml`` and so on.
    folds : int, optional
        How many there must be.

    Returns
    -------
    tuple of Checkpoint
        In order.

    Raises
    ------
    ModelError
        If there is no card, or folds are missing.
    ConfigError
        If one is no card.
    """
    if isinstance(given, (str, Path)):
        cards = _of_name(str(given))
    else:
        cards = tuple(read_checkpoint(uri) for uri in given)
    if folds is not None and len(cards) != folds:
        raise ModelError(
            f"{len(cards)} of {folds} folds are there: {', '.join(map(named, cards))}; train or "
            "copy the others, or say how many are meant (folds)"
        )
    return cards


def _of_name(name: str) -> tuple[Checkpoint, ...]:
    """Read one card, or the cards that training wrote beside one another under a name."""
    path = Path(location.absolute(name))
    beside = sorted(path.parent.glob(f"{path.stem}-fold*.yaml")) if "://" not in name else []
    if path.exists() or not beside:
        return (read_checkpoint(name),)
    numbers = {int(match[1]): p for p in beside if (match := _FOLD.search(p.name))}
    missing = [n for n in range(max(numbers) + 1) if n not in numbers]
    if missing:
        raise ModelError(
            f"folds {', '.join(map(str, missing))} of {name} are missing, there are "
            f"{', '.join(p.name for p in beside)}; train or copy them, or list the cards to use"
        )
    return tuple(read_checkpoint(numbers[n]) for n in sorted(numbers))
