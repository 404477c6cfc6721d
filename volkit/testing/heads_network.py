"""A tissue network that anybody can check: a MeshNet that compares voxels with thresholds."""

from pathlib import Path

from volkit.models.architectures import build
from volkit.models.checkpoint import save_checkpoint

GREY, WHITE = 0.42, 0.8
"""Where grey and white matter begin, of the brightness that 98 of 100 voxels stay below."""

_SHARP = 1e4  # so that probabilities are 0 or 1 but at a threshold


def threshold_meshnet(path: str | Path, *, grey: float = GREY, white: float = WHITE) -> Path:
    """Write a MeshNet that calls what is brighter than ``grey`` grey, than ``white`` white matter.

    Parameters
    ----------
    path : str or Path
        The card.
    grey, white : float
        Thresholds, of voxels whose quantiles at 2 and 98 % are 0 and 1.

    Returns
    -------
    Path
        The card.  Its classes are those of brainchop: background, white and grey matter.
    """
    import torch

    arguments = {"in_channels": 1, "out_channels": 3, "channels": 1, "dilations": [1]}
    network = build("meshnet", **arguments)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    state["layers.0.weight"][0, 0, 1, 1, 1] = 1
    # Scores are lines 0, x - grey and 2 x - grey - white: the highest changes at the thresholds.
    state["output.weight"][:, 0, 0, 0, 0] = _SHARP * torch.tensor([0.0, 2.0, 1.0])
    state["output.bias"][:] = _SHARP * torch.tensor([0.0, -grey - white, -grey])
    save_checkpoint(
        state,
        path,
        {
            "architecture": "meshnet",
            "arguments": arguments,
            "channels": [1, 3],
            "window": [32, 32, 32],
            "margin": [1, 1, 1],
            "scaling": {"kind": "quantile", "low": 0.02, "high": 0.98, "clip": True},
            "activation": "softmax",
            "classes": ["background", "white_matter", "grey_matter"],
            "description": "compares voxels with thresholds",
        },
    )
    return Path(path)
