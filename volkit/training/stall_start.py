"""What the training of a fold starts from: its network, its clips, and the card it will have."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.models.inflation import load_inflated
from volkit.models.stall_networks import StallNetwork
from volkit.training.stall_config import StallTrainConfig
from volkit.training.stall_options import Stage
from volkit.training.stall_scores import StallScores
from volkit.training.stall_set import ClipSet


def first_network(config: StallTrainConfig) -> StallNetwork:
    """Build the network, with weights drawn from torch's generator or inflated.

    Raises
    ------
    ConfigError
        If the network's keys are none of `StallNetwork`.
    ModelError
        If weights to inflate are absent, or of another network.
    """
    try:
        network = StallNetwork(**config.network)
    except TypeError as error:
        raise ConfigError(
            f"network {dict(config.network)} cannot be built: {error}; correct its keys"
        ) from error
    if config.inflate is not None:
        load_inflated(network.backbone, config.inflate.weights, spread=config.inflate.spread)
    return network


def check_classes(rows: NDArray[np.int64], clips: ClipSet, stage: Stage, what: str) -> None:
    """Refuse clips of one class alone.

    Raises
    ------
    ConfigError
        Which says of what stage.
    """
    found = clips.stalled[rows]
    if found.all() or not found.any():
        sure = " of high confidence" if stage.tier1 else ""
        raise ConfigError(
            f"of {len(found)} clips{sure} that are {what}, {int(found.sum())} are stalled; both "
            "kinds are needed: give more clips, fewer folds, or no stage with tier1"
        )


def data_digest(clips: ClipSet, fold: NDArray[np.int64]) -> str:
    """Digest which clips there are, what they are labelled, and how they are divided."""
    columns = zip(clips.names, clips.stalled, clips.tier1, fold, strict=True)
    rows = [f"{name} {int(a)} {int(b)} {int(c)}" for name, a, b, c in columns]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def inflated_digest(config: StallTrainConfig) -> str:
    """Digest the file of weights to inflate; empty where there is none."""
    if config.inflate is None:
        return ""
    return hashlib.sha256(Path(config.inflate.weights).read_bytes()).hexdigest()


def network_card(config: StallTrainConfig, scores: StallScores) -> dict[str, Any]:
    """Give the keys of the card of a network, with the threshold that was best."""
    arguments = dict(config.network)
    return {
        "architecture": "stall_network",
        "arguments": arguments,
        "channels": [int(arguments.get("in_channels", 3)), 1],
        "window": list(config.window),
        "output": "whole",
        "scaling": {k: v for k, v in asdict(config.scaling).items() if v is not None},
        "activation": "sigmoid",
        "classes": ["stalled"],
        "thresholds": {"stalled": scores.threshold},
        **asdict(config.card),
    }
