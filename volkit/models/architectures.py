"""Architectures by name: what a card may ask for."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from torch import nn

from volkit.errors import ModelError, missing_extra
from volkit.plugins import callable_fault, find_plugin, plugins, skipped

ENTRY_POINTS = "volkit.architectures"
MONAI = "monai:"

_OWN: Mapping[str, tuple[str, str]] = {
    "attention_unet": ("volkit.models.attention_unet", "AttentionUNet"),
    "convnext_unet": ("volkit.models.convnext_unet", "ConvNeXtUNet"),
    "feature_pyramid": ("volkit.models.pyramid_unet", "FeaturePyramid"),
    "high_res_net": ("volkit.models.monai_networks", "high_res_net"),
    "meshnet": ("volkit.models.meshnet", "MeshNet"),
    "n4": ("volkit.models.em_networks", "N4"),
    "residual_unet3d": ("volkit.models.residual_unet", "ResidualUNet3D"),
    "resnet_rs_unet": ("volkit.models.resnet_rs_unet", "ResNetRSUNet"),
    "scan_densenet": ("volkit.models.scan_networks", "ScanDenseNet"),
    "scan_resnet": ("volkit.models.scan_networks", "ScanResNet"),
    "scan_transformer": ("volkit.models.scan_networks", "ScanTransformer"),
    "section_net": ("volkit.models.scan_networks", "SectionNet"),
    "stall_network": ("volkit.models.stall_networks", "StallNetwork"),
    "tile_resnet": ("volkit.models.tile_resnet", "TileResNet"),
    "unet": ("volkit.models.unet", "UNet"),
    "unet_plus_plus": ("volkit.models.monai_networks", "unet_plus_plus"),
    "v_net": ("volkit.models.monai_networks", "v_net"),
    "vd2d": ("volkit.models.em_networks", "VD2D"),
    "vd2d3d": ("volkit.models.em_networks", "VD2D3D"),
    "video_resnet": ("volkit.models.video_resnet", "VideoResNet"),
}


def names() -> list[str]:
    """List the architectures known here; those of MONAI are not counted."""
    return sorted({*_OWN, *(plugin.name for plugin in plugins(ENTRY_POINTS) if plugin.name)})


def own_architectures() -> Mapping[str, str]:
    """List those of volkit itself: ``module:callable`` by name."""
    return {name: f"{module}:{made}" for name, (module, made) in _OWN.items()}


def build(name: str, **arguments: Any) -> nn.Module:
    """Build an architecture, with weights that are not trained.

    Parameters
    ----------
    name : str
        One of `names`, ``monai:CLASS`` for a network of MONAI, or one that an installed package
        offers as entry point of the group ``volkit.architectures``.
    **arguments
        Passed on.

    Returns
    -------
    torch.nn.Module
        Takes a batch of shape (B, C, z, y, x).

    Raises
    ------
    ModelError
        If the name is unknown or the arguments do not fit it.
    MissingExtraError
        If it is one of MONAI's, which is not installed.
    """
    make = _found(name)
    try:
        module = make(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"architecture {name!r} cannot be built with {arguments}: {error}; "
            "correct the arguments in the card"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"architecture {name!r} made {type(module).__name__}, not a torch module")
    return module


def _found(name: str) -> Any:
    if name.startswith(MONAI):
        return _monai(name.removeprefix(MONAI))
    if name in _OWN:
        module, attribute = _OWN[name]
        return getattr(import_module(module), attribute)
    found = find_plugin(ENTRY_POINTS, name, callable_fault)
    if found is not None:
        return found
    wrong = skipped(ENTRY_POINTS, name, callable_fault)
    known = [other for other in names() if other != name]
    raise ModelError(
        f"architecture {name!r} is unknown{'' if wrong else _nearest(name, known)}; known are "
        f"{', '.join(known)} and monai:CLASS{f'; {wrong}' if wrong else ''}"
    )


def _monai(name: str) -> Any:
    try:
        networks = import_module("monai.networks.nets")
    except ImportError as error:
        raise missing_extra("monai", "models") from error
    found = getattr(networks, name, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(
            f"MONAI has no network {name!r}{_nearest(name, dir(networks))}; "
            "give the class name as in monai.networks.nets"
        )
    return found


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
