"""Weights of timm: 2-D backbones trained on photographs, read from a local file.

timm itself is not needed: the backbones here name their weights as it does.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.weights import check_state, read_state

# What belongs to the classifier on top of a backbone, in timm's names.
_CLASSIFIER = ("head.", "fc.", "norm_pre.")
_COLOURS = 3


def load_timm(backbone: nn.Module, path: str | Path) -> None:
    """Give a backbone the weights of a file in timm's names, in place.

    Parameters
    ----------
    backbone : torch.nn.Module
        ``ConvNeXtUNet.backbone`` or ``ResNetRSUNet.backbone``.
    path : str or Path
        A ``.safetensors`` file, as Hugging Face has for ``timm/convnext_nano.in12k_ft_in1k`` and
        others.  The classifier in it is left out; the first convolution is fitted to the
        backbone's channels by `fitted_colours`.

    Raises
    ------
    ModelError
        If the file cannot be read, or is not of this backbone; names and shapes are said.
    """
    found = Path(path)
    if not found.is_file():
        raise ModelError(
            f"there are no weights at {found}; download model.safetensors of the backbone from "
            "the page of timm's model, and give its path"
        )
    state = read_state(found.read_bytes(), "safetensors", source=str(found))
    expected = backbone.state_dict()
    ready = timm_state(state, expected)
    check_state(ready, expected, source=str(found))
    backbone.load_state_dict(ready)


def timm_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fit weights in timm's names to a backbone.

    Parameters
    ----------
    state : mapping of str to Tensor
        As timm stores it.
    expected : mapping of str to Tensor
        ``backbone.state_dict()``.

    Returns
    -------
    dict of str to Tensor
        Without the classifier; layers on pixels as 1 x 1 convolutions, whichever way they were
        stored; the first convolution with as many channels as the backbone has.
    """
    ready = {}
    for name, value in state.items():
        if name.startswith(_CLASSIFIER):
            continue
        wanted = expected.get(name)
        if wanted is not None and value.shape != wanted.shape:
            if value.shape == wanted.shape[:2] and wanted.shape[2:] == (1, 1):
                value = value[..., None, None]
            elif value.ndim == 4 and value.shape[1] == _COLOURS:
                value = fitted_colours(value, wanted.shape[1])
        ready[name] = value
    return ready | {k: v for k, v in expected.items() if k.endswith("num_batches_tracked")}


def fitted_colours(weight: Tensor, channels: int) -> Tensor:
    """Fit a convolution on red, green and blue to another number of channels.

    Parameters
    ----------
    weight : Tensor, shape (C, 3, y, x)
        Trained on colours.
    channels : int
        1 adds the colours up; else they are repeated and divided so that the same grey in every
        channel is answered alike, as timm does.

    Returns
    -------
    Tensor, shape (C, channels, y, x)

    Examples
    --------
    >>> import torch
    >>> fitted_colours(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1), 4).flatten().tolist()
    [0.75, 1.5, 2.25, 0.75]
    """
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeats = -(-channels // _COLOURS)
    return weight.repeat(1, repeats, 1, 1)[:, :channels] * (_COLOURS / channels)
