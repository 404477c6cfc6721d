"""Passes of stall networks: features of every view once, heads as often as dropout is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.card import Checkpoint
from volkit.models.stall_networks import StallNetwork
from volkit.models.turns import turn
from volkit.models.whole_networks import whole_network

if TYPE_CHECKING:
    from volkit.ops.stall_ensemble import StallEnsemble

Floats = NDArray[np.float32]


def loaded(checkpoint: Checkpoint, device: str) -> StallNetwork:
    """Load a stall network, once per process and device.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its card.
    device : str
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    StallNetwork
        In evaluation mode, on the device.

    Raises
    ------
    ModelError
        If the weights cannot be read, or it is another network.
    """
    module = whole_network(checkpoint, device)
    if not isinstance(module, StallNetwork):
        raise ModelError(
            f"{checkpoint.uri} is a {type(module).__name__}; give the card of a stall_network"
        )
    return module


def asked(
    ensemble: "StallEnsemble", fold: int, windows: Sequence[NDArray[Any]], keys: Sequence[int]
) -> tuple[Floats, Floats]:
    """Ask one fold about windows.

    Parameters
    ----------
    ensemble : StallEnsemble
        How.
    fold : int
        Which network.
    windows : sequence of ndarray of real, shape (C, z, y, x)
        From `StallEnsemble.prepared`.
    keys : sequence of int
        Ids of the windows.

    Returns
    -------
    logits : ndarray of float32, shape (V, N)
        Of every view.
    dropped : ndarray of float32, shape (P, N)
        Probability, averaged over views, of every pass with dropout.
    """
    network, scale, views = ensemble.network(fold), ensemble.scale(fold), ensemble.views
    where = next(network.parameters()).device
    features: list[Tensor] = []
    rows = [(window, view) for window in windows for view in views]
    with torch.inference_mode():
        for first in range(0, len(rows), ensemble.rows):
            part = rows[first : first + ensemble.rows]
            stack = np.stack([scale.apply(view.apply(window)) for window, view in part])
            batch = torch.zeros((ensemble.rows, *stack.shape[1:]))
            batch[: len(part)] = torch.from_numpy(stack)
            with turn(str(where)):
                features.append(network.features(_laid_out(batch, where))[: len(part)])
        found = torch.cat(features).reshape(len(windows), len(views), -1)
        logits = [network.head(each)[:, 0] for each in found]
        dropped = [
            _passes(network.head, each, ensemble, (int(key), fold))
            for each, key in zip(found, keys, strict=True)
        ]
    return torch.stack(logits, 1).cpu().numpy(), torch.stack(dropped, 1).cpu().numpy()


def dropout_masks(
    shape: tuple[int, int], share: float, *, seed: int, key: tuple[int, int]
) -> Floats:
    """Draw which units stay, times what makes up for the others.

    Parameters
    ----------
    shape : tuple of int
        Passes and units.
    share : float
        Of the units left out.
    seed : int
        Of all draws.
    key : tuple of int
        Clip and fold: each has draws of its own, the same in whatever company.

    Returns
    -------
    ndarray of float32

    Examples
    --------
    >>> masks = dropout_masks((1, 4), 0.5, seed=0, key=(7, 0))
    >>> sorted({*masks.ravel().tolist()} | {0.0, 2.0})
    [0.0, 2.0]
    """
    kept = np.random.default_rng([seed, *key]).random(shape) >= share
    return (kept / np.float32(1 - share)).astype(np.float32)


def _passes(
    head: nn.Sequential, features: Tensor, ensemble: "StallEnsemble", key: tuple[int, int]
) -> Tensor:
    """Ask a head with dropout about the views of a clip, shape (V, F): (P,)."""
    place, share = next((n, d.p) for n, d in enumerate(head) if isinstance(d, nn.Dropout))
    units = head[:place](features)
    shape = (ensemble.passes, units.shape[1])
    masks = dropout_masks(shape, share, seed=ensemble.seed, key=key)
    drawn = torch.from_numpy(masks).to(units.device)[:, None] * units[None]
    return head[place + 1 :](drawn)[..., 0].sigmoid().mean(1)


def _laid_out(batch: Tensor, where: torch.device) -> Tensor:
    moved = batch.to(where)
    return moved if where.type == "mps" else moved.contiguous(memory_format=torch.channels_last_3d)
