from importlib.util import find_spec

import pytest
import torch

from volkit.errors import MissingExtraError, ModelError
from volkit.models import architectures
from volkit.models.architectures import build, names
from volkit.models.meshnet import MeshNet
from volkit.plugins import Plugin


def test_names_are_built() -> None:
    assert {"meshnet", "residual_unet3d"} <= set(names())
    assert isinstance(build("meshnet", out_channels=2, dilations=[1]), MeshNet)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        ModelError, match=r"'meshnot' is unknown \(did you mean 'meshnet'\?\); known are .*meshnet"
    ):
        build("meshnot")


@pytest.mark.parametrize("arguments", [{"chanels": 3}, {"dilations": []}, {"dilations": [0]}])
def test_wrong_arguments_are_named(arguments) -> None:
    with pytest.raises(ModelError, match="'meshnet' cannot be built with .*correct the arguments"):
        build("meshnet", **arguments)


def offer(monkeypatch, target: str) -> None:
    offered = (Plugin(architectures.ENTRY_POINTS, "theirs", target, "their-package", "1"),)
    for place in ("volkit.plugins.plugins", "volkit.models.architectures.plugins"):
        monkeypatch.setattr(place, lambda group: offered)


def test_packages_offer_architectures(monkeypatch) -> None:
    offer(monkeypatch, "volkit.testing.torch_networks:Ramp")
    assert "theirs" in names()
    assert build("theirs")(torch.zeros(1, 1, 2, 2, 2)).shape == (1, 2, 2, 2, 2)


def test_what_is_no_module_is_refused(monkeypatch) -> None:
    offer(monkeypatch, "builtins:dict")
    with pytest.raises(ModelError, match="'theirs' made dict, not a torch module"):
        build("theirs")


@pytest.mark.skipif(find_spec("monai") is not None, reason="MONAI is installed")
def test_monai_names_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"volkit\[models\]"):
        build("monai:UNet")


@pytest.mark.skipif(find_spec("monai") is None, reason="MONAI is not installed")
def test_monai_networks_are_built() -> None:
    options = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "features": [4] * 6}
    network = build("monai:BasicUNet", **options).eval()
    assert network(torch.zeros(1, 1, 32, 32, 32)).shape[1] == 2
    with pytest.raises(ModelError, match=r"no network 'BasicUNot' \(did you mean"):
        build("monai:BasicUNot")
