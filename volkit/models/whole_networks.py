"""Networks that answer a window as a whole, loaded once per process."""

import threading

from torch import nn

from volkit.errors import ModelError
from volkit.models.card import Checkpoint
from volkit.models.module_loading import read_module, ready_module
from volkit.models.running import Running

_LOADED: dict[tuple[str, str], nn.Module] = {}
_LOADING = threading.Lock()


def whole_network(checkpoint: Checkpoint, device: str) -> nn.Module:
    """Load a network, once per process and device.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its card, with ``output: whole``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on the device; the same one for the same weights.

    Raises
    ------
    ModelError
        If the weights cannot be read, or it answers voxel by voxel.
    """
    if checkpoint.output != "whole":
        raise ModelError(
            f"{checkpoint.uri} answers {checkpoint.output!r}, not a window as a whole; give the "
            "card of a classifier (output: whole)"
        )
    running = Running(device).resolved()
    key = (checkpoint.identity, running.device)
    with _LOADING:
        if key not in _LOADED:
            _LOADED[key] = ready_module(read_module(checkpoint), running)
        return _LOADED[key]
