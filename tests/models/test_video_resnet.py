"""Video ResNets: published counts and names, weights of films, frozen parts."""

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.architectures import build
from volkit.models.video_resnet import VideoResNet, from_films

SMALL = (2, 2, 4, 4)


@pytest.mark.parametrize(
    ("kind", "channels", "classes", "count"),
    [
        ("r3d_18", 3, 400, 33_371_472),
        ("r3d_18", 1, 2, 33_148_482),
        ("mc3_18", 3, 400, 11_695_440),
        ("mc3_18", 1, 2, 11_472_450),
    ],
)
def test_parameters_are_those_published(kind, channels, classes, count) -> None:
    with torch.device("meta"):
        net = build("video_resnet", kind=kind, in_channels=channels, classes=classes)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize(
    ("kind", "first", "trained"),
    [
        ("r3d_18", "fc", 1_026),
        ("r3d_18", "layer4", 24_909_826),
        ("r3d_18", "stem", 33_148_482),
        ("mc3_18", "layer4", 8_394_754),
    ],
)
def test_trained_parameters_are_those_published(kind, first, trained) -> None:
    with torch.device("meta"):
        assert VideoResNet(kind).freeze_below(first) == trained


def test_names_are_torchvisions() -> None:
    names = set(VideoResNet(widths=SMALL).state_dict())
    for name in (
        "stem.0.weight",
        "stem.1.running_mean",
        "layer1.0.conv1.0.weight",
        "layer1.1.conv2.1.num_batches_tracked",
        "layer2.0.downsample.0.weight",
        "layer4.0.downsample.1.running_var",
        "fc.bias",
    ):
        assert name in names
    assert "layer1.0.downsample.0.weight" not in names
    assert len(names) == 1 + 5 + 8 * 2 * 6 + 3 * 6 + 2


@pytest.mark.parametrize(("kind", "extent"), [("r3d_18", (4, 2, 2)), ("mc3_18", (32, 2, 2))])
def test_maps_have_the_extent_of_the_strides(kind, extent) -> None:
    net = VideoResNet(kind, widths=SMALL).eval()
    with torch.inference_mode():
        assert net.maps(torch.zeros(1, 1, 32, 32, 32)).shape == (1, 4, *extent)


def test_a_grey_volume_is_a_film_of_three_equal_colours() -> None:
    torch.manual_seed(0)
    film = VideoResNet(in_channels=3, classes=7, widths=SMALL).eval()
    grey = VideoResNet(widths=SMALL).eval()
    grey.load_state_dict(from_films(film.state_dict(), grey))
    x = torch.rand(2, 1, 8, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(
            grey.maps(x), film.maps(x.repeat(1, 3, 1, 1, 1)), rtol=1e-5, atol=1e-5
        )
    assert grey.fc.weight.shape == (2, 4)


def test_weights_of_another_kind_are_refused() -> None:
    net = VideoResNet("mc3_18", widths=SMALL)
    with pytest.raises(ModelError, match=r"weights do not fit the network: .*layer2\.0\.conv1\.0"):
        from_films(VideoResNet("r3d_18", widths=SMALL).state_dict(), net)
    some = dict(net.state_dict())
    del some["stem.1.weight"]
    with pytest.raises(ModelError, match=r"stem\.1\.weight"):
        from_films(some, net)


def test_frozen_parts_do_not_change_in_training_not_even_their_statistics() -> None:
    torch.manual_seed(0)
    net = VideoResNet(widths=SMALL)
    net.freeze_below("layer4")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    loss = torch.nn.functional.cross_entropy(
        net(torch.rand(4, 1, 16, 32, 32)), torch.tensor([0, 1, 0, 1])
    )
    loss.backward()
    optimiser.step()
    changed = {n for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert changed
    assert all(name.startswith(("layer4.", "fc.")) for name in changed)
    assert {"layer4.0.conv1.1.running_mean", "fc.weight"} <= changed


def test_unknown_kinds_and_parts_are_refused() -> None:
    with pytest.raises(ModelError, match="choose r3d_18 or mc3_18"):
        VideoResNet("r2plus1d")
    with pytest.raises(ModelError, match="no part 'layer5' to train from"):
        VideoResNet(widths=SMALL).freeze_below("layer5")
