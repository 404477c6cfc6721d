"""Where numbers stop being finite: the first tensor of a step that holds NaN or infinity."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def first_nonfinite(network: nn.Module, images: Tensor) -> str:
    """Name the first tensor on the way from images to the answer that is not finite.

    Parameters
    ----------
    network : torch.nn.Module
        Asked again, in the mode it is in; running statistics are left as they are.
    images : Tensor of float32, shape (B, C, z, y, x)
        What it saw.

    Returns
    -------
    str
        The images, a weight, a buffer that answers depend on, the answer of a layer, or a gradient;
        where all are finite, that says so.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    >>> _ = nn.init.constant_(net[0].bias, float("inf"))
    >>> first_nonfinite(net, torch.zeros(1, 1))
    'the weight 0.bias'
    """
    if not _finite(images):
        return f"image {_which(images)} of the batch"
    for name, weight in network.named_parameters():
        if not _finite(weight):
            return f"the weight {name}"
    for name, value in _used_buffers(network):
        if not _finite(value):
            return f"the buffer {name}"
    layer = _first_layer(network, images)
    if layer:
        return f"the answer of {layer}"
    for name, weight in network.named_parameters():
        if weight.grad is not None and not _finite(weight.grad):
            return f"the gradient of {name}"
    return "none of images, weights, answers and gradients, but the loss, or their norm"


def _used_buffers(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """List the buffers of parts that are not trained: running statistics of others follow answers.

    The step that failed has spoilt those already.
    """
    for name, part in network.named_modules():
        if not part.training:
            for own, value in part.named_buffers(recurse=False):
                yield f"{name}.{own}" if name else own, value


def _first_layer(network: nn.Module, images: Tensor) -> str:
    """Ask the network again, and name the first layer whose answer is not finite."""
    found: list[str] = []
    kept = {name: value.clone() for name, value in network.named_buffers()}

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, given: Any, answer: Any) -> None:
            if not found and isinstance(answer, Tensor) and not _finite(answer):
                found.append(name)

        return look

    handles = [
        part.register_forward_hook(hook(name)) for name, part in network.named_modules() if name
    ]
    try:
        with torch.no_grad():
            network(images)
            for name, value in network.named_buffers():
                value.copy_(kept[name])
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""


def _finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def _which(images: Tensor) -> int:
    """Find the first image of a batch that is not finite, from 0 on."""
    return int(torch.isfinite(images).flatten(1).all(1).logical_not().nonzero()[0])
