"""Published networks for boundaries in serial-section electron microscopy.

All are chains of valid convolutions and max-pooling, one answer per field of view: applied to a
larger input they answer every ``stride``-th position.  `volkit.models.dense` answers all of them.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.streams import SummedStreams

Nonlinearity = Literal["relu", "tanh"]

_Layers = tuple[tuple[str, int, tuple[int, int, int]], ...]
_PLANE: tuple[int, int, int] = (1, 2, 2)
_SCALE_1: _Layers = (
    ("conv1a", 24, (1, 3, 3)),
    ("conv1b", 24, (1, 3, 3)),
    ("conv1c", 24, (1, 2, 2)),  # makes the field of view odd, so that it has a centre
)
_SCALE_2: _Layers = (("conv2a", 36, (1, 3, 3)), ("conv2b", 36, (1, 3, 3)))
_SCALE_3: _Layers = (("conv3a", 48, (1, 3, 3)), ("conv3b", 48, (1, 3, 3)))
_SCALE_4: _Layers = (("conv4a", 60, (1, 3, 3)), ("conv4b", 60, (1, 3, 3)))
_DEEP_4: _Layers = (
    ("conv4a", 60, (2, 3, 3)),
    ("conv4b", 60, (2, 3, 3)),
    ("conv4c", 100, (2, 3, 3)),
)
_TWO_DIMENSIONAL = _SCALE_1 + _SCALE_2 + _SCALE_3


class ScaledTanh(nn.Module):
    """The hyperbolic tangent ``1.7159 tanh(0.6666 x)``, about 1 at 1.

    References
    ----------
    LeCun et al., Efficient BackProp, 1998, https://doi.org/10.1007/3-540-49430-8_2
    """

    def forward(self, batch: Tensor) -> Tensor:
        """Map every number of a batch, any shape."""
        return 1.7159 * torch.tanh(0.6666 * batch)


class N4(nn.Sequential):
    """N4: four scales of one convolution each; a field of view of 1 x 95 x 95, stride 16.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image, and of the answer (logits): interior and boundary as published.
    activation : {"relu", "tanh"}
        After the last convolution of every scale; "relu" elsewhere.

    Raises
    ------
    ValueError
        If the activation is unknown.

    References
    ----------
    Ciresan et al., Deep neural networks segment neuronal membranes in electron microscopy
    images, NIPS 2012.
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843

    Examples
    --------
    >>> sum(weights.numel() for weights in N4().parameters())
    219290
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = 2, *, activation: Nonlinearity = "relu"
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        maps = in_channels
        for number, side in enumerate((4, 5, 4, 4), 1):
            scale = ((f"conv{number}", 48, (1, side, side)),)
            layers.update(_scale(maps, scale, activation))
            layers[f"pool{number}"] = nn.MaxPool3d(_PLANE)
            maps = 48
        layers.update(_scale(maps, (("conv5", 200, (1, 3, 3)),)))
        layers["conv6"] = nn.Conv3d(200, out_channels, 1)
        super().__init__(layers)
        _start(self)


class VD2D(nn.Sequential):
    """VD2D, "very deep 2D": four scales; a field of view of 1 x 109 x 109, stride 16.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image, and of the answer (logits): interior and boundary as published.
    activation : {"relu", "tanh"}
        After the last convolution of every scale; "relu" elsewhere.

    Raises
    ------
    ValueError
        If the activation is unknown.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843

    Examples
    --------
    >>> VD2D().eval()(torch.zeros(1, 1, 1, 109, 125)).shape
    torch.Size([1, 2, 1, 1, 2])
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = 2, *, activation: Nonlinearity = "relu"
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        maps = in_channels
        for number, scale in enumerate((_SCALE_1, _SCALE_2, _SCALE_3, _SCALE_4), 1):
            layers.update(_scale(maps, scale, activation))
            layers[f"pool{number}"] = nn.MaxPool3d(_PLANE)
            maps = scale[-1][1]
        layers.update(_scale(maps, (("conv5", 200, (1, 3, 3)),)))
        layers["dropout"] = nn.Dropout(0.5)
        layers["convx"] = nn.Conv3d(200, out_channels, 1)
        super().__init__(layers)
        _start(self)


class VD2D3D(nn.Sequential):
    """VD2D3D: two scales in the plane, then space; a field of view of 5 x 85 x 85, stride 8.

    With ``recursive``, the last input channel is the boundary map of a 2-D network.  It has a
    stream of its own, whose third convolution is added to the image's before one bias and
    activation; from there on there is one stream.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image without the map, and of the answer (logits).
    activation : {"relu", "tanh"}
        After the last convolution of every 2-D scale; "relu" elsewhere.
    recursive : bool
        Whether the map is seen: the network then takes ``in_channels + 1`` channels.

    Raises
    ------
    ValueError
        If the activation is unknown.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843

    Examples
    --------
    >>> VD2D3D().eval()(torch.zeros(1, 2, 5, 85, 93)).shape
    torch.Size([1, 2, 1, 1, 2])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        *,
        activation: Nonlinearity = "relu",
        recursive: bool = True,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        first = OrderedDict(_scale(in_channels, _SCALE_1, activation))
        if recursive:
            joined = first.popitem()
            layers["streams"] = SummedStreams(
                [nn.Sequential(first), nn.Sequential(_map_stream())], [in_channels, 1]
            )
            layers.update([joined])
        else:
            layers.update(first)
        layers["pool1"] = nn.MaxPool3d(_PLANE)
        layers.update(_scale(24, _SCALE_2, activation))
        layers["pool2"] = nn.MaxPool3d(_PLANE)
        layers.update(_scale(36, _SCALE_3, activation))
        layers["pool3"] = nn.MaxPool3d((2, 2, 2), stride=_PLANE)
        layers.update(_scale(48, _DEEP_4))
        layers["dropout"] = nn.Dropout(0.5)
        layers["convx"] = nn.Conv3d(100, out_channels, 1)
        super().__init__(layers)
        _start(self)


def start_from_vd2d(network: VD2D3D, state: Mapping[str, Tensor]) -> None:
    """Give the 2-D layers of a VD2D3D the weights of a trained VD2D, in place.

    Parameters
    ----------
    network : VD2D3D
        Its stream of the map and its 3-D layers keep their weights.
    state : mapping of str to Tensor
        ``state_dict()`` of a `VD2D` with as many input channels.

    Raises
    ------
    ModelError
        If a layer is absent or of another shape.
    """
    convolutions = {
        name.rpartition(".")[2]: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv3d)
    }
    for layer, _, _ in _TWO_DIMENSIONAL:
        for name, weights in convolutions[layer].named_parameters():
            found = state.get(f"{layer}.{name}")
            if found is None or found.shape != weights.shape:
                what = "nothing" if found is None else f"shape {tuple(found.shape)}"
                raise ModelError(
                    f"{layer}.{name} of the VD2D is {what}, expected {tuple(weights.shape)}; "
                    "give the state_dict of a VD2D with the same input channels"
                )
            with torch.no_grad():
                weights.copy_(found)


def _scale(
    into: int, layers: _Layers, last: Nonlinearity = "relu"
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the convolutions of a scale, each with its activation."""
    if last not in ("relu", "tanh"):
        raise ValueError(f"activation {last!r} is unknown; choose 'relu' or 'tanh'")
    for name, maps, kernel in layers:
        yield name, nn.Conv3d(into, maps, kernel)
        rectified = last == "relu" or name != layers[-1][0]
        yield f"{name}_act", nn.ReLU(inplace=True) if rectified else ScaledTanh()
        into = maps


def _map_stream() -> OrderedDict[str, nn.Module]:
    """Make the stream of the map, whose last convolution shares the image's bias."""
    (a, maps, side), (b, _, _), (c, _, last) = _SCALE_1
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, into in ((a, 1), (b, maps)):
        layers[f"{name}_r"] = nn.Conv3d(into, maps, side)
        layers[f"{name}_r_act"] = nn.ReLU(inplace=True)
    layers[f"{c}_r"] = nn.Conv3d(maps, maps, last, bias=False)
    return layers


def _start(network: nn.Module) -> None:
    """Draw weights that keep the variance of rectified maps (He et al., 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
