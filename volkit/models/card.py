"""The card of a checkpoint: what a model is, readable without loading it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from math import isfinite, prod
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.markup import shown
from volkit.models import location
from volkit.models.roles import Components, Roles
from volkit.models.scaling import Scaling

Format = Literal["safetensors", "state_dict", "export", "onnx", "torchscript"]
Activation = Literal["sigmoid", "softmax", "none"]
Output = Literal["same", "valid", "whole"]

EXPORTED = "exported"
PROGRAMS = ("export", "onnx", "torchscript")
"""Formats that hold the network with its weights."""

_ANSWER = ("sha256", "format", "architecture", "arguments", "channels", "scaling", "activation")
_SHAPE = {"output": "same", "stride": [1, 1, 1], "planes": False}  # unsaid where it is so
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a model is; the keys of its card, and where the card lies.

    Parameters
    ----------
    weights : str
        Name of the file of weights, beside the card.
    sha256 : str
        Digest of that file, 64 hexadecimal digits.
    architecture : str
        Name in the registry of architectures; ``exported`` for the format ``export``.
    channels : tuple of int
        Channels in and out.
    window : tuple of int
        Voxels the network sees at once, (z, y, x).
    arguments : mapping
        What the architecture is built with.
    format : {"safetensors", "state_dict", "export", "onnx", "torchscript"}
        How the weights are stored; ``export`` is a program of ``torch.export``.  TorchScript is run
        only where the address of the card begins with ``trusted:``.
    margin : tuple of int
        Voxels at a window's faces whose answer is not to be used; 0 where windows are blended.
    output : {"same", "valid", "whole"}
        What the network answers of a window: every voxel; fewer, at most ``margin`` less at each
        face; or one value in each channel for the window as a whole.
    stride : tuple of int
        Voxels between the answers of a network with pooling, (z, y, x); where it is more than 1
        the network is evaluated at every voxel, `volkit.models.dense`, and ``output`` is "valid".
    planes : bool
        Whether the network is one of pictures, which sees planes of one voxel along z by
        themselves.
    scaling : Scaling
        How the input is scaled.
    activation : {"sigmoid", "softmax", "none"}
        What turns the network's answer into probabilities.
    classes : tuple of str
        Names of the output channels; none, or one for each.
    offsets : tuple of tuple of int, or None
        For each output channel the offset of its affinity, (z, y, x), voxels: the value of voxel
        ``v`` is that of the edge from ``v`` to ``v + offset``; None where it holds none.  Empty
        where there are no affinities.
    vectors : tuple of tuple of int or None
        For each vector the channels of its components along (z, y, x); None where it has none.
    thresholds : mapping of str to float
        For each class what a particle scores at least, where the network finds some; none, or one
        for each.  They do not decide the answer.
    voxel_size_nm : tuple of float or None
        Voxels it was trained on, (z, y, x), nanometres.
    description, version, licence, attribution, training_data : str
        For people.
    uri : str
        Where the card lies; not a key of it.

    Raises
    ------
    ConfigError
        If values do not fit together.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    weights: str
    sha256: str
    architecture: str
    channels: tuple[int, int]
    window: tuple[int, int, int]
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    format: Format = "safetensors"
    margin: tuple[int, int, int] = (0, 0, 0)
    output: Output = "same"
    stride: tuple[int, int, int] = (1, 1, 1)
    planes: bool = False
    scaling: Scaling = field(default_factory=Scaling)
    activation: Activation = "none"
    classes: tuple[str, ...] = ()
    offsets: tuple[Coord | None, ...] = ()
    vectors: tuple[Components, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict, hash=False)
    voxel_size_nm: tuple[float, float, float] | None = None
    description: str = ""
    version: str = "1"
    licence: str = "unknown"
    attribution: str = ""
    training_data: str = "unknown"
    uri: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_names(self)
        _check_sizes(self)
        _check_output(self)
        self.roles.check(self.channels[1])

    @property
    def roles(self) -> Roles:
        """Which output channels point somewhere."""
        return Roles(self.offsets, self.vectors)

    @property
    def weights_uri(self) -> str:
        """Where the weights lie."""
        return location.beside(self.uri, self.weights)

    @property
    def identity(self) -> str:
        """Digest of all that decides the answer: weights and the keys that change their use."""
        card = as_card(self)
        decides = {key: card.get(key) for key in _ANSWER}
        decides |= {key: card[key] for key in _SHAPE if key in card}
        if self.output == "valid":
            decides["margin"] = card["margin"]  # a network that loses more is refused
        text = json.dumps(decides, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        from volkit.models.card_facts import card_facts

        return shown("Checkpoint", card_facts(self))


def _check_names(card: Checkpoint) -> None:
    if not card.weights or any(mark in card.weights for mark in ("/", "\\", "..", ":")):
        raise ConfigError(
            f"weights {card.weights!r} is not the name of a file beside the card; "
            "put the weights into the folder of the card and give the bare name"
        )
    if len(card.sha256) != _SHA256_DIGITS or set(card.sha256) - set("0123456789abcdef"):
        raise ConfigError(
            f"sha256 {card.sha256!r} is not 64 lower-case hexadecimal digits; "
            f"take them from `sha256sum {card.weights}`"
        )
    if (card.format in PROGRAMS) != (card.architecture == EXPORTED):
        raise ConfigError(
            f"format {card.format!r} and architecture {card.architecture!r} do not go together; "
            f"the architecture is {EXPORTED!r} for {', '.join(PROGRAMS)} and for no other format"
        )


def _check_sizes(card: Checkpoint) -> None:
    if min(card.channels) < 1 or min(card.window) < 1 or min(card.margin) < 0:
        raise ConfigError(
            f"channels {card.channels}, window {card.window} and margin {card.margin} cannot be; "
            "channels and window are at least 1, a margin at least 0"
        )
    if prod(max(w - 2 * m, 0) for w, m in zip(card.window, card.margin, strict=True)) == 0:
        raise ConfigError(
            f"a margin of {card.margin} leaves nothing of a window of {card.window}; "
            "choose a window of more than twice the margin on every axis"
        )
    if card.classes and len(card.classes) != card.channels[1]:
        raise ConfigError(
            f"classes {list(card.classes)} name {len(card.classes)} output channels, "
            f"channels says {card.channels[1]}; name each of them, or none"
        )
    if card.thresholds and set(card.thresholds) != set(card.classes):
        raise ConfigError(
            f"thresholds are of {', '.join(card.thresholds)}, the classes are "
            f"{', '.join(card.classes) or 'none'}; give one for each class and for no other, or "
            "leave them out"
        )
    if not all(isfinite(value) for value in card.thresholds.values()):
        raise ConfigError(f"thresholds are {dict(card.thresholds)}; give finite numbers")
    if card.vectors and card.activation != "none":
        raise ConfigError(
            f"vectors {list(card.vectors)} under the activation {card.activation!r} cannot point "
            "backwards; say activation: none, and let the network itself bound them"
        )
    if card.voxel_size_nm is not None and min(card.voxel_size_nm) <= 0:
        raise ConfigError(
            f"voxel_size_nm {card.voxel_size_nm} is not positive; give nanometres as (z, y, x)"
        )


def _check_output(card: Checkpoint) -> None:
    if min(card.stride) < 1:
        raise ConfigError(f"stride {card.stride} cannot be; it is at least 1 on every axis")
    if card.planes and (card.margin[0] or card.output == "whole"):
        raise ConfigError(
            f"a network of planes has no margin along z ({card.margin}) and answers voxels"
        )
    if max(card.stride) == 1:
        return
    if card.output != "valid":
        raise ConfigError(
            f"a network of stride {card.stride} does not answer every voxel of its window; "
            "say output: valid, and as margin half its field of view"
        )
    if card.format in PROGRAMS:
        raise ConfigError(
            f"a program cannot be evaluated between its answers of stride {card.stride}; "
            "export volkit.models.dense.DenseNetwork around the network, and leave stride out"
        )


@cache
def _adapter() -> TypeAdapter[Checkpoint]:
    return TypeAdapter(Checkpoint)


def parse_card(card: Mapping[str, Any], uri: str = "") -> Checkpoint:
    """Check a mapping and make a checkpoint of it.

    Parameters
    ----------
    card : mapping
        Keys of `Checkpoint` but ``uri``.
    uri : str
        Where the card lies.

    Returns
    -------
    Checkpoint
        Complete and checked.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or of the wrong kind; the message names its path.
    """
    if not isinstance(card, Mapping) or "uri" in card:
        what = "the key uri, which is not one" if isinstance(card, Mapping) else repr(card)[:60]
        raise ConfigError(f"card {uri}: found {what}; expected a mapping with the keys of a card")
    try:
        return _adapter().validate_python({**card, "uri": uri})
    except ValidationError as error:
        raise ConfigError(f"card {uri}: " + "; ".join(_lines(error))) from error


def _lines(error: ValidationError) -> list[str]:
    reasons = {
        "unexpected_keyword_argument": "unknown key",
        "missing": "missing",
        "missing_argument": "missing",
    }
    lines = []
    for item in error.errors(include_url=False):
        path = ".".join(map(str, item["loc"])) or "card"
        reason = reasons.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        lines.append(f"{path}: {reason}")
    return lines


def as_card(checkpoint: Checkpoint) -> dict[str, Any]:
    """Write a checkpoint as the plain mapping of its card.

    Parameters
    ----------
    checkpoint : Checkpoint
        Any.

    Returns
    -------
    dict
        JSON-able, without ``uri``; `parse_card` reads it back.
    """
    card = json.loads(json.dumps(asdict(checkpoint), default=dict))
    del card["uri"]
    card["scaling"] = {k: v for k, v in card["scaling"].items() if v is not None}
    unsaid = {**_SHAPE, "thresholds": {}}
    return {
        key: value for key, value in card.items() if value is not None and unsaid.get(key) != value
    }
