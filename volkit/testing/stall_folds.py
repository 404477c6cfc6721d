"""Folds of stall networks that are tiny and untrained: what they say is nonsense, and repeats."""

from pathlib import Path
from typing import Any

from volkit.geometry import Coord

_SIZE = {"stem": 4, "growth": 4, "blocks": [1, 1]}


def write_folds(
    folder: Path,
    *,
    count: int = 2,
    window: Coord = (16, 24, 24),
    channels: int = 3,
    **arguments: Any,
) -> list[str]:
    """Write the cards of untrained networks.

    Parameters
    ----------
    folder : Path
        Gets ``net-fold0.yaml`` and so on.
    count : int
        Folds.
    window : tuple of int
        What they see, (z, y, x).
    channels : int
        Of a clip.
    **arguments
        Of `volkit.models.stall_networks.StallNetwork`, instead of tiny ones.

    Returns
    -------
    list of str
        The cards.
    """
    import torch

    from volkit.models.checkpoint import save_checkpoint
    from volkit.models.stall_networks import StallNetwork

    how: dict[str, Any] = {"size": _SIZE, "units": 16, **arguments}
    cards = []
    for fold in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(fold)
            network = StallNetwork(in_channels=channels, **how)
        card = {
            "architecture": "stall_network",
            "arguments": {"in_channels": channels, **how},
            "channels": [channels, 1],
            "window": list(window),
            "output": "whole",
            "scaling": {"kind": "fixed", "shift": 114.5, "divide": 57.4},
            "description": "untrained",
        }
        path = folder / f"net-fold{fold}.yaml"
        save_checkpoint(network.state_dict(), path, card)
        cards.append(str(path))
    return cards
