"""Networks of MONAI as volkit calls them: any answer is one map, and sections may be alone."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import missing_extra

_V_NET_POOLS = 16  # four times by half


class Planar(nn.Module):
    """A network of images, applied to every section by itself.

    Parameters
    ----------
    network : torch.nn.Module
        Takes (B, C, y, x).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Map windows (B, C, z, y, x) to logits (B, C', z, y, x)."""
        b, _, z = image.shape[:3]
        sections = image.transpose(1, 2).flatten(0, 1)
        return self.network(sections).unflatten(0, (b, z)).transpose(1, 2)


class Padded(nn.Module):
    """A network whose windows must divide, applied to any: what is beyond repeats the last voxel.

    Parameters
    ----------
    network : torch.nn.Module
        Takes (B, C, [z,] y, x).
    multiple : int
        Of which extents must be.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, image: Tensor) -> Tensor:
        """Map windows to logits of the same extent."""
        extent = image.shape[2:]
        beyond = [pad for n in reversed(extent) for pad in (0, -n % self.multiple)]
        if not any(beyond):
            return self.network(image)
        answer = self.network(functional.pad(image, beyond, mode="replicate"))
        for axis, n in enumerate(extent, 2):
            answer = answer.narrow(axis, 0, n)
        return answer


class LastAnswer(nn.Module):
    """A network that answers several maps, of which the last is meant.

    Parameters
    ----------
    network : torch.nn.Module
        Answers a list.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Give the last map."""
        return self.network(image)[-1]


def unet_plus_plus(
    in_channels: int = 1,
    out_channels: int = 4,
    *,
    widths: Sequence[int] = (32, 32, 64, 128, 256, 32),
    planar: bool = False,
) -> nn.Module:
    """Build U-Net++ with batch normalisation.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image and of the answer (logits).
    widths : sequence of int
        Five levels, finest first, and the last answer; windows are multiples of 16.
    planar : bool
        For sections: they do not see each other.

    Returns
    -------
    torch.nn.Module

    References
    ----------
    Zhou et al., UNet++, 2018, doi:10.1007/978-3-030-00889-5_1.
    """
    made = monai_class("BasicUNetPlusPlus")(
        spatial_dims=2 if planar else 3,
        in_channels=in_channels,
        out_channels=out_channels,
        features=tuple(widths),
        norm="batch",
    )
    return Planar(LastAnswer(made)) if planar else LastAnswer(made)


def v_net(in_channels: int = 1, out_channels: int = 4, *, planar: bool = False) -> nn.Module:
    """Build V-Net; windows that are no multiples of 16, to which it pools, are padded inside.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image (a divisor of 16) and of the answer (logits).
    planar : bool
        For sections: they do not see each other.

    Returns
    -------
    torch.nn.Module

    References
    ----------
    Milletari, Navab, Ahmadi, V-Net, 2016, doi:10.1109/3DV.2016.79.
    """
    made = monai_class("VNet")(
        spatial_dims=2 if planar else 3, in_channels=in_channels, out_channels=out_channels
    )
    padded = Padded(made, _V_NET_POOLS)
    return Planar(padded) if planar else padded


def high_res_net(in_channels: int = 1, out_channels: int = 4, *, planar: bool = False) -> nn.Module:
    """Build HighResNet: dilated convolutions without pooling, for windows of any extent.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the image and of the answer (logits).
    planar : bool
        For sections: they do not see each other.

    Returns
    -------
    torch.nn.Module

    References
    ----------
    Li et al., On the compactness, efficiency, and representation of 3D convolutional networks,
    2017, doi:10.1007/978-3-319-59050-9_28.
    """
    made = monai_class("HighResNet")(
        spatial_dims=2 if planar else 3, in_channels=in_channels, out_channels=out_channels
    )
    return Planar(made) if planar else made


def monai_class(name: str) -> Any:
    """Find a network of MONAI by the name of its class.

    Raises
    ------
    MissingExtraError
        If MONAI is not installed.
    """
    try:
        return getattr(import_module("monai.networks.nets"), name)
    except ImportError as error:
        raise missing_extra("monai", "models") from error
