"""Networks for scans: published counts, answers, and parts that stay as they are."""

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.video_resnet import VideoResNet

SMALL = {
    "video_resnet": {"widths": (2, 2, 4, 4)},
    "scan_resnet": {"widths": (2, 2, 4, 4)},
    "scan_densenet": {"stem": 8, "growth": 4, "blocks": (2, 2)},
    "scan_transformer": {"window": (16, 32, 32), "width": 8, "hidden": 16, "layers": 2, "heads": 2},
    "section_net": {"sections": 3, "widths": (2, 4), "blocks": (1, 1)},
}
FIRST = {
    "video_resnet": "layer4",
    "scan_resnet": "layer4",
    "scan_densenet": "class_layers",
    "scan_transformer": "norm",
    "section_net": "fc",
}


def made(name: str):
    pytest.importorskip("monai")
    torch.manual_seed(0)
    return build(name, in_channels=1, classes=2, **SMALL[name])


def test_the_resnet_of_monai_has_the_published_count() -> None:
    pytest.importorskip("monai")
    with torch.device("meta"):
        net = build("scan_resnet", in_channels=1, classes=2)
        other = build("scan_resnet", depth=10)
    assert sum(p.numel() for p in net.parameters()) == 33_161_922
    assert set(net.state_dict()) > set(other.state_dict())


@pytest.mark.parametrize("name", SMALL)
def test_every_network_answers_each_scan_by_itself(name) -> None:
    net = made(name).eval()
    scans = torch.rand(3, 1, 16, 32, 32)
    with torch.inference_mode():
        together, alone = net(scans), torch.cat([net(scan[None]) for scan in scans])
    assert together.shape == (3, 2)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("name", SMALL)
def test_frozen_parts_keep_every_bit_through_steps(name) -> None:
    net = made(name)
    first = FIRST[name]
    trained = net.freeze_below(first)
    assert trained == sum(p.numel() for p in net.parameters() if p.requires_grad)
    below = net.parts[: net.parts.index(first)]
    assert net.frozen == below
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for step in range(3):
        torch.manual_seed(step)
        net.train()
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            net(torch.rand(4, 1, 16, 32, 32)), torch.tensor([0, 1, 0, 1])
        )
        loss.backward()
        optimiser.step()
    after = net.state_dict()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    inside = {key for key in after if key.split(".")[0] in below or key == "cls_token"}
    assert inside
    assert not changed & inside
    assert changed
    if name == "video_resnet":
        assert {"layer4.0.conv1.1.running_mean", "fc.weight"} <= changed
        assert all(key.startswith(("layer4.", "fc.")) for key in changed)


@pytest.mark.parametrize("name", SMALL)
def test_all_is_trained_from_the_first_part_on(name) -> None:
    net = made(name)
    net.freeze_below(FIRST[name])
    assert net.freeze_below(net.parts[0]) == sum(p.numel() for p in net.parameters())
    assert net.train().get_submodule(net.parts[0]).training


def test_sections_are_seen_across_the_axis_that_is_named() -> None:
    torch.manual_seed(0)
    net = build("section_net", axis=2, **SMALL["section_net"]).eval()
    scan = torch.rand(1, 1, 32, 32, 12)
    places = [2, 6, 10]  # of 12, by three
    dark = scan.clone()
    dark[..., [n for n in range(12) if n not in places]] = 0
    with torch.inference_mode():
        assert torch.equal(net(scan), net(dark))
        dark[..., 6] = 0
        assert not torch.equal(net(scan), net(dark))


def test_what_cannot_be_is_refused() -> None:
    pytest.importorskip("monai")
    with pytest.raises(ModelError, match="depth is 50; choose one of 10, 18, 34"):
        build("scan_resnet", depth=50)
    with pytest.raises(ModelError, match="no multiple of patches of 16"):
        build("scan_transformer", window=(16, 20, 16))
    with pytest.raises(ModelError, match="across axis 3"):
        build("section_net", axis=3)
    with pytest.raises(ModelError, match="no part 'layer5' to train from; choose one of stem"):
        VideoResNet(widths=(2, 2, 4, 4)).freeze_below("layer5")
