import copy

import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.dense import DenseNetwork
from volkit.models.em_networks import N4, VD2D, VD2D3D
from volkit.models.onednn import use_onednn
from volkit.models.streams import SummedStreams

METHODS = ["dilation", "fragments"]


def patchwise(network: nn.Module, window: torch.Tensor, field: tuple[int, int, int]):
    """Apply the strided network to the field of view of every voxel, one after the other."""
    (kz, ky, kx), (z, y, x) = field, window.shape[2:]
    with torch.inference_mode():
        answers = [
            torch.cat(
                [
                    network(window[:, :, k : k + kz, j : j + ky, i : i + kx])
                    for i in range(x - kx + 1)
                ],
                dim=4,
            )
            for k in range(z - kz + 1)
            for j in range(y - ky + 1)
        ]
    rows = torch.cat(answers, dim=3)
    return rows.reshape(*rows.shape[:2], z - kz + 1, y - ky + 1, x - kx + 1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (N4, (1, 1, 17)),
        (VD2D, (1, 17, 1)),
        (VD2D3D, (1, 1, 3)),
        pytest.param(VD2D3D, (2, 2, 9), marks=pytest.mark.slow),
    ],
)
def test_every_voxel_is_answered_as_its_patch_alone(kind, activation, answers) -> None:
    """To rounding in float64; in float32 the probabilities, both ways, to 1e-5."""
    torch.manual_seed(7)
    network = kind(activation=activation).eval()
    exact = copy.deepcopy(network).double()
    channels = 2 if kind is VD2D3D else 1
    field = DenseNetwork(network).reach.field
    extent = [a + f - 1 for a, f in zip(answers, field, strict=True)]
    window = torch.randn(1, channels, *extent)
    expected = patchwise(exact, window.double(), field)
    assert expected.std() > 0.05
    with torch.inference_mode():
        answer = DenseNetwork(exact, method="fragments")(window.double())
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-11)
    for method in METHODS:
        with torch.inference_mode():
            single = DenseNetwork(network, method=method)(window)
        torch.testing.assert_close(
            single.softmax(1).double(), expected.softmax(1), rtol=0, atol=1e-5
        )


def odd_chain() -> nn.Module:
    """Strided and dilated convolutions, pools of three with strides of two, streams that stride."""
    return nn.Sequential(
        SummedStreams(
            [
                nn.Sequential(nn.Conv3d(1, 2, 2, stride=2), nn.ReLU()),
                nn.Sequential(nn.MaxPool3d(2), nn.Conv3d(1, 2, 1)),
            ],
            [1, 1],
        ),
        nn.BatchNorm3d(2),
        nn.MaxPool3d((1, 3, 2), stride=(1, 2, 3), dilation=(1, 1, 2)),
        nn.Conv3d(2, 4, (1, 2, 2), dilation=2, groups=2),
        nn.ELU(),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("extra", [(0, 0, 0), (1, 2, 12), (3, 4, 1)])
def test_odd_layers_are_answered_too(method, extra) -> None:
    torch.manual_seed(8)
    network = odd_chain().eval()
    dense = DenseNetwork(network, method=method)
    assert dense.reach.stride == (2, 4, 6)
    extent = [e + f for e, f in zip(extra, dense.reach.field, strict=True)]
    window = torch.randn(2, 2, *extent)
    with torch.inference_mode():
        answer = dense(window)
    torch.testing.assert_close(
        answer, patchwise(network, window, dense.reach.field), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
def test_it_trains_the_strided_network(method) -> None:
    """The gradient of the dense answers is that of all patches together."""
    torch.manual_seed(9)
    network = nn.Sequential(
        nn.Conv3d(1, 3, (1, 3, 3)), nn.Tanh(), nn.MaxPool3d((1, 2, 2)), nn.Conv3d(3, 1, (1, 2, 2))
    ).double()
    window = torch.randn(1, 1, 1, 8, 7, dtype=torch.float64)
    DenseNetwork(network, method=method)(window).square().sum().backward()
    other = copy.deepcopy(network)
    other.zero_grad()
    for j in range(3):
        for i in range(2):
            other(window[..., j : j + 6, i : i + 6]).square().sum().backward()
    for found, expected in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_training_in_float32_has_the_gradient_of_float64() -> None:
    torch.manual_seed(10)
    network = N4()
    window = torch.randn(1, 1, 1, 99, 96)
    grads = []
    for kind in (torch.float32, torch.float64):
        own = copy.deepcopy(network).to(kind)
        DenseNetwork(own)(window.to(kind)).square().mean().backward()
        grads.append(own.conv3.weight.grad.double())
    torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-5)


def test_convolutions_of_onednn_give_the_same() -> None:
    torch.manual_seed(11)
    dense = DenseNetwork(N4().eval())
    window = torch.randn(1, 1, 1, 96, 98)
    with torch.inference_mode():
        expected = dense(window)
        answer = use_onednn(copy.deepcopy(dense))(window)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-6)


def test_answers_do_not_depend_on_the_window() -> None:
    torch.manual_seed(12)
    dense = DenseNetwork(N4().eval())
    window = torch.randn(1, 1, 1, 120, 110)
    with torch.inference_mode():
        large = dense(window)
        small = dense(window[..., 5:105, 3:100])
    torch.testing.assert_close(small, large[..., 5:11, 3:6], rtol=0, atol=1e-6)


def test_reach_of_a_wide_pool_by_hand() -> None:
    dense = DenseNetwork(nn.Sequential(nn.MaxPool3d((1, 1, 4), stride=(1, 1, 2))))
    window = torch.tensor([3.0, 1, 4, 1, 5, 9, 2]).view(1, 1, 1, 1, 7)
    assert dense(window).flatten().tolist() == [4, 5, 9, 9]
    np.testing.assert_array_equal(dense.reach.field, (1, 1, 4))


def test_a_window_below_the_field_of_view_is_refused() -> None:
    with pytest.raises(ModelError, match=r"window of \(1, 95, 94\) voxels is smaller than the"):
        DenseNetwork(N4())(torch.zeros(1, 1, 1, 95, 94))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv3d(1, 1, 3, padding=1)), r"pads its input by up to \(1, 1, 1\)"),
        (nn.Sequential(nn.Conv3d(1, 1, 3, padding="same")), "use valid convolutions"),
        (nn.Sequential(nn.MaxPool3d(2, ceil_mode=True)), "rounds up or returns indices"),
        (nn.Sequential(nn.GroupNorm(1, 1)), "GroupNorm is no chain of convolutions"),
        (nn.Sequential(nn.Conv3d(1, 1, 3), nn.Upsample(2)), "Upsample is no chain"),
        (
            nn.Sequential(
                SummedStreams(
                    [nn.Sequential(nn.Conv3d(1, 1, 3)), nn.Sequential(nn.Conv3d(1, 1, 5))], [1, 1]
                )
            ),
            "make them see alike",
        ),
    ],
)
def test_layers_that_cannot_be_evaluated_densely_are_named(network, message) -> None:
    with pytest.raises(ModelError, match=message):
        DenseNetwork(network)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ModelError, match="'patches' is unknown; choose auto, dilation or"):
        DenseNetwork(N4(), method="patches")


@pytest.mark.parametrize("channels", [[1], [1, 0], []])
def test_streams_need_their_channels(channels) -> None:
    with pytest.raises(ValueError, match="give each stream the number of its channels"):
        SummedStreams([nn.Sequential(nn.Identity())] * 2, channels)
