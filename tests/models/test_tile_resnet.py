"""Networks and components of tiles: names and counts of others, and what comes back from files."""

import numpy as np
import pytest
import torch

from volkit.errors import ModelError
from volkit.models.tile_components import TileComponents
from volkit.models.tile_resnet import TileResNet


def test_names_and_count_are_those_of_torchvision() -> None:
    network = TileResNet(3, classes=1000, stem="coarse")
    state = network.state_dict()
    assert sum(p.numel() for p in network.parameters()) == 11_689_512  # as published for resnet18
    assert len(state) == 122
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    for name, shape in {
        "bn1.num_batches_tracked": (),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.running_mean": (128,),
        "layer4.1.bn2.weight": (512,),
        "fc.weight": (1000, 512),
    }.items():
        assert state[name].shape == shape


def test_a_fine_stem_loses_no_pixel_and_answers_512_features() -> None:
    network = TileResNet().eval()
    assert network.conv1(torch.zeros(1, 1, 32, 32)).shape == (1, 64, 32, 32)
    tiles = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answer = network(tiles)
        assert answer.shape == (2, 512)
        torch.testing.assert_close(network(tiles[:, :, None]), answer)
    with pytest.raises(ModelError, match="stem 'big' is unknown"):
        TileResNet(stem="big")


@pytest.mark.parametrize("kind", ["pca", "nmf"])
def test_components_rebuild_what_they_are_made_of_and_come_back(tmp_path, kind) -> None:
    rng = np.random.default_rng(0)
    parts = rng.random((3, 36))
    tiles = (rng.random((20, 3)) @ parts).reshape(20, 1, 6, 6).astype(np.float32)
    found = TileComponents.fit(tiles, kind, count=3)
    assert found.features == 3
    rebuilt = found(tiles) @ found.components + found.mean
    error = np.abs(rebuilt - tiles.reshape(20, -1)).max() / tiles.max()
    assert error < (1e-5 if kind == "pca" else 0.05)
    found.save(tmp_path / "parts.npz")
    again = TileComponents.read(tmp_path / "parts.npz")
    assert again.facts == found.facts
    np.testing.assert_array_equal(again(tiles), found(tiles))
    with pytest.raises(ModelError, match="give tiles of the size"):
        found(tiles[:, :, :3])
    (tmp_path / "parts.npz").write_bytes(b"no zip")
    with pytest.raises(ModelError, match="cannot be read as components"):
        TileComponents.read(tmp_path / "parts.npz")
