"""Inflation: kernels by hand, and networks that answer constant stacks as their 2-D twins."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.models.inflation import inflated, inflated_state, load_inflated
from volkit.models.stall_networks import StallNetwork

SIZES = {
    "densenet121": {"stem": 4, "growth": 2, "blocks": (2, 1)},
    "resnet18": {"widths": (4, 8), "blocks": (1, 1)},
    "resnext50": {"widths": (8, 16), "blocks": (1, 1), "groups": 2, "group_width": 32},
}


def twin(backbone: str, dims: int, channels: int = 3) -> StallNetwork:
    torch.manual_seed(dims)
    made = StallNetwork(
        backbone, dims=dims, size=SIZES[backbone], in_channels=channels, units=4
    ).eval()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return made


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spread", ["mean", "centre"])
def test_a_kernel_answers_constant_stacks_as_the_flat_one(axis, spread) -> None:
    torch.manual_seed(0)
    flat, image = torch.rand(2, 3, 3, 5), torch.rand(1, 3, 12, 14)
    kernel = inflated(flat, 7, spread=spread, axis=axis)
    assert kernel.shape == (2, 3, *[(7, 3, 5), (3, 7, 5), (3, 5, 7)][axis])
    stack = image.unsqueeze(2 + axis).expand(*[-1] * (2 + axis), 9, *[-1] * (2 - axis))
    answer = functional.conv3d(stack, kernel)
    expected = functional.conv2d(image, flat)
    assert answer.shape[2 + axis] == 3
    for plane in answer.unbind(2 + axis):
        assert torch.allclose(plane, expected, atol=1e-5)


def test_the_worked_example_by_hand() -> None:
    """Three frames answered 42, 45 and 57: the centre gives 45, the mean 48."""
    frames = torch.tensor([42.0, 45.0, 57.0]).view(1, 1, 3, 1, 1)
    one = torch.ones(1, 1, 1, 1)
    centre = functional.conv3d(frames, inflated(one, 3, spread="centre"))
    mean = functional.conv3d(frames, inflated(one, 3, spread="mean"))
    assert centre.item() == 45.0
    assert mean.item() == pytest.approx(48.0)


@pytest.mark.parametrize("spread", ["mean", "centre"])
@pytest.mark.parametrize("backbone", sorted(SIZES))
def test_a_network_answers_constant_stacks_as_its_twin_away_from_borders(backbone, spread) -> None:
    flat, deep = twin(backbone, 2), twin(backbone, 3)
    state = inflated_state(flat.backbone.state_dict(), deep.backbone.state_dict(), spread=spread)
    deep.backbone.load_state_dict(state)
    image = torch.rand(1, 3, 40, 48)
    stack = image[:, :, None].expand(-1, -1, 96, -1, -1)
    with torch.inference_mode():
        expected, maps = flat.maps(image), deep.maps(stack)
    middle = maps.shape[2] // 2
    scale = float(expected.abs().max())
    assert scale > 0.1
    for z in (middle - 1, middle, middle + 1):
        assert torch.allclose(maps[:, :, z], expected, atol=1e-5 * scale)
    at_border = float((maps[:, :, 0] - expected).abs().max()) / scale
    if spread == "mean":  # zeros beyond the first plane are not what the flat network saw
        assert at_border > 1e-2
    else:  # the middle plane never looks there
        assert at_border < 1e-5


def test_a_file_with_a_classifier_is_taken(tmp_path) -> None:
    flat = twin("densenet121", 2)
    stored = dict(flat.backbone.state_dict())
    stored |= {"classifier.weight": torch.rand(10, 7), "classifier.bias": torch.rand(10)}
    del stored["features.norm0.num_batches_tracked"]
    save_file(stored, tmp_path / "model.safetensors")
    deep = twin("densenet121", 3)
    load_inflated(deep.backbone, tmp_path / "model.safetensors", spread="centre")
    kernel = deep.backbone.features.conv0.weight
    assert torch.equal(kernel[:, :, 3], flat.backbone.features.conv0.weight)
    assert not kernel[:, :, [0, 1, 2, 4, 5, 6]].any()
    assert torch.equal(deep.backbone.features.norm5.bias, flat.backbone.features.norm5.bias)


def test_colours_become_grey_and_more(tmp_path) -> None:
    flat = twin("resnet18", 2)
    save_file(flat.state_dict(), tmp_path / "whole.safetensors")  # with backbone. before the names
    grey, four = twin("resnet18", 3, channels=1), twin("resnet18", 3, channels=4)
    for network in (grey, four):
        load_inflated(network.backbone, tmp_path / "whole.safetensors")
    colours = flat.backbone.conv1.weight
    assert torch.allclose(
        grey.backbone.conv1.weight.sum(2), colours.sum(1, keepdim=True), atol=1e-5
    )
    same = four.backbone.conv1.weight.sum(2).sum(1)
    assert torch.allclose(same, colours[:, [0, 1, 2, 0]].sum(1) * 3 / 4, atol=1e-5)


def test_what_does_not_fit_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"no weights at .*absent\.safetensors; download"):
        load_inflated(twin("resnet18", 3).backbone, tmp_path / "absent.safetensors")
    save_file(dict(twin("resnet18", 2).backbone.state_dict()), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"misses features\.conv0\.weight"):
        load_inflated(twin("densenet121", 3).backbone, tmp_path / "model.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not safe")
    with pytest.raises(ModelError, match=r"broken\.safetensors"):
        load_inflated(twin("resnet18", 3).backbone, tmp_path / "broken.safetensors")
    with pytest.raises(ModelError, match="'centre' of a kernel of 4 planes is not defined"):
        inflated(torch.rand(1, 1, 3, 3), 4, spread="centre")
    with pytest.raises(ModelError, match="along axis 3; give one of shape"):
        inflated(torch.rand(1, 1, 3, 3), 3, axis=3)
