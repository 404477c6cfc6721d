"""What training on scans starts from: a network with its weights, and the card it will have."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from volkit.errors import ConfigError, ModelError
from volkit.models.architectures import build
from volkit.models.card import Format
from volkit.models.partly_frozen import PartlyFrozen
from volkit.models.video_resnet import VideoResNet, from_films
from volkit.models.weights import check_state, read_state
from volkit.training.config import CardText
from volkit.training.scan_options import ScanNetwork, ScanTraining
from volkit.training.scan_set import ScanSet

_FORMATS: Mapping[str, Format] = {
    ".safetensors": "safetensors",
    ".pt": "state_dict",
    ".pth": "state_dict",
}


def starting_network(training: ScanTraining, *, classes: int) -> nn.Module:
    """Build a network, with weights drawn from torch's generator or read, and freeze its parts.

    Parameters
    ----------
    training : ScanTraining
        Network and window.
    classes : int
        Answers.

    Returns
    -------
    torch.nn.Module
        On the CPU.

    Raises
    ------
    ConfigError
        If parts are to be frozen of a network that has none.
    ModelError
        If it cannot be built, there is no such part, or weights are absent or do not fit.
    """
    told = training.network
    network = build(told.architecture, in_channels=1, classes=classes, **_arguments(training))
    if told.weights is not None:
        network.load_state_dict(_converted(_read(told.weights), network, told.weights))
    if told.train_from is not None:
        if not isinstance(network, PartlyFrozen):
            raise ConfigError(
                f"network.train_from: {told.architecture} has no parts that could be frozen; leave "
                "it out, or choose a network that has"
            )
        network.freeze_below(told.train_from)
    return network


def start_digest(network: ScanNetwork) -> str:
    """Digest the file of weights to start from; empty where there is none."""
    if network.weights is None:
        return ""
    return hashlib.sha256(_bytes(network.weights)).hexdigest()


def network_card(
    training: ScanTraining, scans: ScanSet, text: CardText, number: int
) -> dict[str, Any]:
    """Give the keys of the card of a network."""
    told = asdict(text)
    manifest = scans.manifest
    if not told["description"]:
        told["description"] = (
            f"tells {' and '.join(scans.classes)} scans apart; takes a preprocessed scan of mean 0 "
            "and deviation 1"
        )
    told["training_data"] = (
        f"{told['training_data']}; fold {number} of manifest {manifest.digest}, preprocessing "
        f"{manifest.rows[0].preprocessing or 'none'}"
    )
    return {
        "architecture": training.network.architecture,
        "arguments": {"in_channels": 1, "classes": 2, **_arguments(training)},
        "channels": [1, 2],
        "window": list(training.window),
        "output": "whole",
        "activation": "softmax",
        "classes": list(scans.classes),
        **told,
    }


def _arguments(training: ScanTraining) -> dict[str, Any]:
    """Give the arguments of the network; a transformer is made for its window."""
    found = dict(training.network.arguments)
    if training.network.architecture == "scan_transformer":
        found.setdefault("window", list(training.window))
    return found


def _converted(
    found: Mapping[str, Tensor], network: nn.Module, source: str
) -> Mapping[str, Tensor]:
    if isinstance(network, VideoResNet):
        return from_films(found, network)
    check_state(found, network.state_dict(), source=source)
    return found


def _read(path: str) -> Mapping[str, Tensor]:
    suffix = Path(path).suffix
    if suffix not in _FORMATS:
        raise ModelError(
            f"weights {path} end in {suffix or 'nothing'}; give a file of {', '.join(_FORMATS)}"
        )
    return read_state(_bytes(path), _FORMATS[suffix], source=path)


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(
            f"weights {path} cannot be read ({error}); download them to this machine, and give "
            "their path"
        ) from error
