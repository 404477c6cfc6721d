import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.dense_layers import reach_of
from volkit.models.em_networks import N4, VD2D, VD2D3D, ScaledTanh, start_from_vd2d


def count(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


@pytest.mark.parametrize(
    ("name", "arguments", "parameters", "field", "stride"),
    [
        ("n4", {}, 219_290, (1, 95, 95), (1, 16, 16)),
        ("n4", {"activation": "tanh"}, 219_290, (1, 95, 95), (1, 16, 16)),
        ("vd2d", {}, 230_714, (1, 109, 109), (1, 16, 16)),
        ("vd2d", {"activation": "tanh"}, 230_714, (1, 109, 109), (1, 16, 16)),
        ("vd2d", {"out_channels": 1}, 230_513, (1, 109, 109), (1, 16, 16)),
        ("vd2d3d", {}, 296_486, (5, 85, 85), (1, 8, 8)),
        ("vd2d3d", {"activation": "tanh"}, 296_486, (5, 85, 85), (1, 8, 8)),
        ("vd2d3d", {"recursive": False}, 288_734, (5, 85, 85), (1, 8, 8)),
    ],
)
def test_published_sizes(name, arguments, parameters, field, stride) -> None:
    network = build(name, **arguments)
    reach = reach_of(network)
    assert (count(network), reach.field, reach.stride) == (parameters, field, stride)
    assert reach.margin == tuple(n // 2 for n in field)


@pytest.mark.parametrize(("kind", "tanh"), [(N4, 4), (VD2D, 4), (VD2D3D, 3)])
def test_tanh_ends_every_pooled_scale(kind, tanh) -> None:
    network = kind(activation="tanh")
    layers = list(network.named_modules())
    places = [name for name, layer in layers if isinstance(layer, ScaledTanh)]
    pools = [name for name, layer in layers if isinstance(layer, nn.MaxPool3d)]
    names = [name for name, _ in network.named_children()]
    assert len(places) == len(pools) == tanh
    for place, pool in zip(places, pools, strict=True):
        assert names.index(pool) == names.index(place) + 1
    assert not any(isinstance(layer, ScaledTanh) for layer in kind().modules())


def test_tanh_by_hand() -> None:
    answer = ScaledTanh()(torch.tensor([0.0, 1.0, -1.0, 100.0]))
    torch.testing.assert_close(answer, torch.tensor([0.0, 1.0, -1.0, 1.7159]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", [N4, VD2D, VD2D3D])
def test_an_unknown_activation_is_refused(kind) -> None:
    with pytest.raises(ValueError, match="activation 'gelu' is unknown; choose 'relu' or 'tanh'"):
        kind(activation="gelu")


def test_field_of_view_by_impulse() -> None:
    """Exactly the voxels of the field of view have a gradient, and the last is one of them."""
    torch.manual_seed(0)
    network = VD2D3D(activation="tanh").eval()
    window = torch.zeros(1, 2, 6, 86, 86, requires_grad=True)
    network(torch.nn.functional.softplus(window + torch.rand_like(window)))[
        0, 0, 0, 0, 0
    ].backward()
    seen = window.grad.abs().sum((0, 1)) > 0
    assert seen[5].sum() == seen[:, 85].sum() == seen[:, :, 85].sum() == 0
    assert all(line.any() for axis in range(3) for line in seen.movedim(axis, 0).split(1)[:5])


def test_streams_are_added_before_one_bias_and_activation() -> None:
    torch.manual_seed(1)
    network = VD2D3D().eval()
    image, chart = torch.rand(1, 1, 5, 20, 20), torch.rand(1, 1, 5, 20, 20)
    first, second = network.streams.streams
    assert first.conv1c.bias is not None
    assert second.conv1c_r.bias is None
    with torch.inference_mode():
        nn.init.constant_(first.conv1c.bias, 0.25)
        alone = first[:4](image), second[:4](chart)  # what enters the third convolutions
        both = torch.cat([first.conv1c.weight, second.conv1c_r.weight], 1)
        expected = nn.functional.conv3d(torch.cat(alone, 1), both, first.conv1c.bias)
        answer = network.streams(torch.cat([image, chart], 1))
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)
    assert (answer < 0).any()
    assert [name for name, _ in network.named_children()][:3] == ["streams", "conv1c_act", "pool1"]


def test_the_map_changes_the_answer() -> None:
    torch.manual_seed(2)
    network = VD2D3D().eval()
    window = torch.rand(1, 2, 5, 85, 85)
    with torch.inference_mode():
        before = network(window)
        window[:, 1] += 1
        assert not torch.allclose(network(window), before, atol=1e-3)


def test_vd2d_starts_vd2d3d() -> None:
    torch.manual_seed(3)
    flat, deep = VD2D(), VD2D3D()
    kept = {name: value.clone() for name, value in deep.state_dict().items()}
    start_from_vd2d(deep, flat.state_dict())
    changed = {name for name, value in deep.state_dict().items() if not value.equal(kept[name])}
    layers = {name.split(".")[-2] for name in changed}
    assert layers == {"conv1a", "conv1b", "conv1c", "conv2a", "conv2b", "conv3a", "conv3b"}
    assert deep.streams.streams[0].conv1c.weight.equal(flat.conv1c.weight)
    assert deep.conv3b.weight.equal(flat.conv3b.weight)


def test_a_start_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match=r"conv1a\.weight of the VD2D is shape \(24, 3, 1, 3, 3\)"):
        start_from_vd2d(VD2D3D(), VD2D(3).state_dict())
    with pytest.raises(ModelError, match=r"conv1a\.weight of the VD2D is nothing, expected"):
        start_from_vd2d(VD2D3D(), N4().state_dict())
