"""Ensembles: several networks that answer the same windows, as one value."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.models.scaling import Scale

Combine = Literal["mean", "max"]
Model = Checkpoint | Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Networks whose answers are combined, window by window.

    Parameters
    ----------
    members : tuple of Checkpoint or callable
        In the order in which they answer.
    weights : tuple of float
        One for each member, greater than 0, in any unit; empty where all count the same.
    combine : {"mean", "max"}
        What becomes of the answers: the mean by ``weights``, or the largest.
    deviation : bool
        Whether as many channels follow that hold the standard deviation of the answers, over
        members and views, by ``weights``.

    Raises
    ------
    ConfigError
        If there is no member, weights do not fit, or members differ in what their channels mean.
    """

    members: tuple[Model, ...]
    weights: tuple[float, ...] = ()
    combine: Combine = "mean"
    deviation: bool = False

    def __post_init__(self) -> None:
        if not self.members:
            raise ConfigError("an ensemble without members answers nothing; give it checkpoints")
        _check_weights(self)
        _check_agreement(self.checkpoints)
        if self.combine == "max" and any(card.vectors for card in self.checkpoints):
            raise ConfigError(
                "combine 'max' takes the largest of every component, which is no vector; "
                "combine vectors by 'mean'"
            )

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those members that have a card."""
        return tuple(member for member in self.members if isinstance(member, Checkpoint))

    @property
    def shares(self) -> tuple[float, ...]:
        """Weight of every member."""
        return self.weights or (1.0,) * len(self.members)

    @property
    def sha256(self) -> str:
        """Digest of the digests of all weights, in order."""
        return hashlib.sha256(" ".join(c.sha256 for c in self.checkpoints).encode()).hexdigest()

    @property
    def identity(self) -> str:
        """Digest of all that decides the answer; callables are not known by it."""
        text = json.dumps(
            {
                "members": [card.identity for card in self.checkpoints],
                "weights": list(self.shares),
                "combine": self.combine,
                "deviation": self.deviation,
            }
        )
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Scales:
    """Numbers that scale the input, for every member of an ensemble.

    Parameters
    ----------
    members : tuple of Scale
        In the order of the members.
    """

    members: tuple[Scale, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleOptions:
    """The keys of a workflow that name an ensemble; see `Ensemble`.

    Parameters
    ----------
    members : tuple of str
        Cards: paths, URLs, or ``builtin:NAME``.
    weights : tuple of float
        One for each member, or none.
    combine : {"mean", "max"}
        What becomes of the answers.
    deviation : bool
        Whether the standard deviation follows in further channels.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    members: tuple[str, ...]
    weights: tuple[float, ...] = ()
    combine: Combine = "mean"
    deviation: bool = False


def read_model(
    given: str | Path | Sequence[str] | Mapping[str, Any] | EnsembleOptions,
) -> Checkpoint | Ensemble:
    """Read the card of a checkpoint, or those of an ensemble.

    Parameters
    ----------
    given : str, Path, sequence of str, mapping or EnsembleOptions
        Where a card lies; several are an ensemble whose answers are averaged; a mapping has the
        keys of `EnsembleOptions`.

    Returns
    -------
    Checkpoint or Ensemble
        A list of one card is that checkpoint.

    Raises
    ------
    ModelError
        If there is no card.
    ConfigError
        If it is not a card, or the members do not fit together.
    """
    if isinstance(given, (str, Path)):
        return read_checkpoint(given)
    if isinstance(given, Mapping):
        given = _options(given)
    if not isinstance(given, EnsembleOptions):
        given = EnsembleOptions(members=tuple(given))
    members = tuple(read_checkpoint(uri) for uri in given.members)
    if len(members) == 1 and not given.deviation and not given.weights:
        return members[0]
    return Ensemble(members, given.weights, given.combine, given.deviation)


def _options(given: Mapping[str, Any]) -> EnsembleOptions:
    try:
        return TypeAdapter(EnsembleOptions).validate_python(dict(given))
    except ValidationError as error:
        raise ConfigError(
            f"checkpoint {dict(given)} is no ensemble ({error.errors()[0]['msg']}); give members, "
            "and where wanted weights, combine and deviation"
        ) from error


def common_window(cards: Sequence[Checkpoint]) -> Coord:
    """Find the window that all members see.

    Raises
    ------
    ConfigError
        If there is no card, or cards differ; each is named.
    """
    windows = {card.window for card in cards}
    if not windows:
        raise ConfigError("a callable does not say what it sees; give its window, (z, y, x)")
    if len(windows) > 1:
        each = "; ".join(f"{named(card)} {card.window}" for card in cards)
        raise ConfigError(
            f"the members of an ensemble differ in their windows: {each}; give one that suits "
            "them all (infer: window)"
        )
    return windows.pop()


def widest_margin(cards: Sequence[Checkpoint]) -> Coord:
    """Find the margin with which no member is used where it is not to be; 0 without cards."""
    z, y, x = (max((card.margin[axis] for card in cards), default=0) for axis in range(3))
    return z, y, x


def named(card: Checkpoint) -> str:
    """Name a member in a message.

    Examples
    --------
    >>> from volkit.models.card import parse_card
    >>> named(parse_card({"weights": "a.pt", "sha256": "ab" * 32, "architecture": "meshnet",
    ...                   "channels": [1, 1], "window": [8, 8, 8]}, "nets/a.yaml"))
    'a.yaml'
    """
    return card.uri.rsplit("/", 1)[-1] or card.weights


def _check_weights(ensemble: Ensemble) -> None:
    weights, members = ensemble.weights, ensemble.members
    if ensemble.combine not in get_args(Combine):
        raise ConfigError(
            f"combine {ensemble.combine!r} is unknown; choose one of "
            f"{', '.join(get_args(Combine))} (weights make the mean a weighted one)"
        )
    if weights and len(weights) != len(members):
        raise ConfigError(
            f"there are {len(weights)} weights for {len(members)} members; give one to each"
        )
    if not all(math.isfinite(w) and w > 0 for w in weights):
        raise ConfigError(
            f"weights {list(weights)} are not all greater than 0; leave out members that do not "
            "count"
        )
    if weights and ensemble.combine == "max":
        raise ConfigError("combine 'max' knows no weights; leave them out, or choose 'mean'")


def _check_agreement(cards: Sequence[Checkpoint]) -> None:
    for what, values in (
        ("channels", [card.channels for card in cards]),
        ("classes", [card.classes for card in cards]),
        ("offsets", [card.offsets for card in cards]),
        ("vectors", [card.vectors for card in cards]),
    ):
        if len(set(values)) > 1:
            each = "; ".join(
                f"{named(card)} {list(value) or 'none'}"
                for card, value in zip(cards, values, strict=True)
            )
            raise ConfigError(
                f"the members of an ensemble differ in {what}: {each}; choose members whose "
                "channels mean the same, and say so in their cards"
            )
