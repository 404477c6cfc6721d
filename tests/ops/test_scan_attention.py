"""Attention of networks for scans: Grad-CAM by hand, and where the answer really comes from."""

import numpy as np
import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.partly_frozen import PartlyFrozen
from volkit.ops.scan_attention import attention_map, attention_over


class Corner(PartlyFrozen):
    """Answers by the mean of a corner, through maps of half the extent."""

    def __init__(self) -> None:
        super().__init__(("maps", "fc"), attended="maps")
        self.maps = torch.nn.AvgPool3d(2)
        self.relu = torch.nn.ReLU(inplace=True)  # in place, as in networks that are looked at
        self.fc = torch.nn.Linear(1, 2)
        torch.nn.init.constant_(self.fc.bias, 0)
        self.fc.weight.data = torch.tensor([[-1.0], [2.0]])

    def forward(self, x):
        return self.fc(self.relu(self.maps(x)).mean((2, 3, 4)))


def test_a_map_is_its_channels_times_their_mean_gradient() -> None:
    scan = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32)
    net = Corner().eval()
    means = scan.reshape(2, 2, 3, 2, 4, 2).mean((1, 3, 5))
    # The logit is 2 x the mean of 24 voxels: each has the gradient 2 / 24.
    np.testing.assert_allclose(attention_map(net, scan, answer=1), means * 2 / 24, rtol=1e-5)
    assert not attention_map(net, scan, answer=0).any()  # it speaks against
    assert not net.maps._forward_hooks


@pytest.mark.parametrize("name", ["video_resnet", "scan_resnet", "scan_densenet", "section_net"])
def test_looking_does_not_change_the_answer(name) -> None:
    pytest.importorskip("monai")
    torch.manual_seed(1)
    small = {
        "scan_densenet": {"stem": 4, "growth": 2, "blocks": (1, 1)},
        "section_net": {"sections": 4, "widths": (2, 4), "blocks": (1, 1)},
    }.get(name, {"widths": (2, 2, 4, 4)})
    net = build(name, in_channels=1, classes=2, **small).eval()
    scan = np.random.default_rng(0).random((16, 32, 32)).astype(np.float32)
    given = torch.from_numpy(scan)[None, None]
    with torch.inference_mode():
        before = net(given)
    found = attention_map(net, scan, answer=0)
    with torch.inference_mode():
        assert torch.equal(net(given), before)
    assert found.ndim == 3
    assert (found >= 0).all()
    seen = []
    handle = net.get_submodule(net.attended).register_forward_hook(
        lambda module, x, maps: seen.append(maps.detach().clone())
    )
    logits = net(given)
    handle.remove()
    assert found.shape == seen[0].shape[2:]
    assert logits.shape == (1, 2)


def test_a_map_covers_the_box_of_the_scan() -> None:
    small = np.zeros((2, 2, 2))
    small[0, 1, 1] = 3.0
    large = attention_over(small, (8, 8, 8))
    assert large.max() == 1
    assert large[0, 7, 7] == 1
    assert large[0, 0, 7] == 0
    assert not attention_over(np.zeros((2, 2, 2)), (4, 4, 4)).any()


def test_what_is_not_finite_is_refused_by_name() -> None:
    """Sums of such maps, as whole numbers, would be anything."""
    net = Corner().eval()
    net.fc.weight.data[1] = float("nan")
    with pytest.raises(ModelError, match="where a Corner looks is NaN or infinite"):
        attention_map(net, np.ones((4, 4, 4), np.float32), answer=1)


def test_networks_without_maps_are_refused() -> None:
    pytest.importorskip("monai")
    net = build("scan_transformer", window=(16, 16, 16), width=8, hidden=8, layers=1, heads=2)
    with pytest.raises(ModelError, match="a ScanTransformer has no maps before its pooling"):
        attention_map(net, np.zeros((16, 16, 16), np.float32), answer=0)
