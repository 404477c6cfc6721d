import pytest
import torch
from torch import nn

from volkit.models.onednn import OneDnnConv3d, use_onednn


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": (1, 3, 5), "padding": (0, 1, 2)},
        {"kernel_size": 2, "stride": 2, "bias": False},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel_size": 1, "groups": 2},
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_it_convolves_as_torch_does(options, batch) -> None:
    generator = torch.Generator().manual_seed(1)
    plain = nn.Conv3d(4, 6, **options)
    x = torch.rand((batch, 4, 8, 6, 10), generator=generator)
    with torch.inference_mode():
        expected = plain(x)
        answer = use_onednn(plain)(x.contiguous(memory_format=torch.channels_last_3d))
    assert type(plain) is OneDnnConv3d
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)


def test_other_convolutions_stay() -> None:
    class Own(nn.Conv3d):
        pass

    module = use_onednn(nn.Sequential(Own(1, 1, 1), nn.Conv2d(1, 1, 1)))
    assert [type(child) for child in module] == [Own, nn.Conv2d]
