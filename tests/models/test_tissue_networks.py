"""Networks of tissue: sizes that are published, windows, sections that do not see each other."""

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build

SMALL = {
    "unet": {"widths": (4, 8, 16)},
    "attention_unet": {"widths": (4, 8, 16)},
    "feature_pyramid": {"widths": (4, 8, 16), "pyramid": 8},
    "unet_plus_plus": {"widths": (4, 4, 4, 8, 8, 4)},
    "v_net": {},
    "high_res_net": {},
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def made(name: str, **more):
    return build(name, out_channels=3, **SMALL[name], **more).eval()


@pytest.mark.parametrize(("planar", "published"), [(True, 1_971_587), (False, 5_646_275)])
def test_the_published_counts_are_ours_and_unused_convolutions(planar, published) -> None:
    """256 to 128, 128 to 64, 64 to 32 channels, 1x1 with bias, in both: nothing else fits both."""
    unused = sum(a * b + b for a, b in ((256, 128), (128, 64), (64, 32)))
    net = build("unet", out_channels=3, planar=planar)
    assert sum(weight.numel() for weight in net.parameters()) + unused == published


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("planar", [True, False])
def test_each_answers_every_voxel(name, planar) -> None:
    window = (2, 32, 32) if planar else (16, 16, 16)
    with torch.inference_mode():
        answer = made(name, planar=planar)(torch.rand(2, 1, *window))
    assert answer.shape == (2, 3, *window)
    assert bool(torch.isfinite(answer).all())


@pytest.mark.parametrize("name", SMALL)
def test_planar_networks_answer_each_section_by_itself(name) -> None:
    image = torch.rand(1, 1, 3, 32, 32)
    net = made(name, planar=True)
    if name == "attention_unet":
        net.places.share.data.fill_(1.0)
    with torch.inference_mode():
        whole = net(image)
        each = [net(image[:, :, z : z + 1]) for z in range(3)]
    assert torch.allclose(whole, torch.cat(each, 2), atol=1e-5)


def test_attention_reaches_the_whole_window() -> None:
    net = made("attention_unet")
    net.places.share.data.fill_(1.0)
    image = torch.rand(1, 1, 16, 16, 64)
    other = image.clone()
    other[..., 63] += 1
    with torch.inference_mode():
        moved = (net(image) - net(other)).abs().amax((0, 1, 2, 3))
    assert float(moved[0]) > 0


@pytest.mark.parametrize("name", ["unet", "attention_unet", "feature_pyramid"])
def test_windows_that_do_not_divide_are_refused(name) -> None:
    """The published code crops 60 to 56 without a word."""
    with pytest.raises(ModelError, match=r"\(8, 60, 62\) voxels does not divide by \(4, 4, 4\)"):
        made(name)(torch.zeros(1, 1, 8, 60, 62))
    with pytest.raises(ModelError, match="give at least one level"):
        build(name, widths=())


@pytest.mark.parametrize("planar", [True, False])
def test_v_net_takes_sections_by_eight_as_they_are_published(planar) -> None:
    net = made("v_net", planar=planar)
    image = torch.rand(1, 1, 8, 24, 16)
    whole = torch.nn.functional.pad(image, (0, 0, 0, 8, 0, 0 if planar else 8), mode="replicate")
    with torch.inference_mode():
        answer, padded = net(image), net(whole)
    assert answer.shape == (1, 3, 8, 24, 16)
    torch.testing.assert_close(answer, padded[:, :, :8, :24], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_each_learns(name) -> None:
    """Gradients reach every weight that the answer depends on, and a step lowers the loss."""
    net = build(name, out_channels=3, planar=True, **SMALL[name])
    image, target = torch.rand(1, 1, 1, 32, 32), torch.randint(0, 3, (1, 1, 32, 32))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(net(image), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
