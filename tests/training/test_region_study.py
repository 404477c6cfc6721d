"""Regions told apart by encoders: on textures whose difference is known."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from volkit.errors import ConfigError, ContractError
from volkit.models.tile_resnet import TileResNet
from volkit.training.region_options import (
    METHODS,
    EncoderSize,
    RegionOptions,
    Schooling,
    ViewOptions,
)
from volkit.training.region_study import region_study
from volkit.training.tile_set import gathered
from volkit.training.tile_views import drawn_views

REGIONS = ("smooth", "rough")


class Textures(torch.utils.data.Dataset):
    """Noise of two grains: no pixel tells the region, neighbours do."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.regions = np.arange(count) % 2
        self.images = []
        for region in self.regions:
            grain = ndimage.gaussian_filter(rng.standard_normal((16, 16)), 0.6 + 1.2 * (1 - region))
            self.images.append((0.5 + 0.15 * grain / grain.std()).astype(np.float32))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, n: int):
        return self.images[n][None].clip(0, 1), int(self.regions[n])


def options(methods=METHODS, **more) -> RegionOptions:
    return RegionOptions(
        methods=methods,
        seeds=(0, 1),
        side=0,
        encoder=EncoderSize(widths=(8, 16), blocks=(1, 1), hidden=32, out=16, components=8),
        schooling=Schooling(epochs=6, batch=16, average=0.9, neighbours=3, **more),
        views=ViewOptions(crop=0.9, noise=0.0),
    )


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def study():
    return region_study(Textures(64, 0), Textures(40, 1), options(), regions=REGIONS)


def test_every_method_is_judged_once_for_each_seed(study) -> None:
    assert study.runs[["method", "seed"]].to_numpy().tolist() == [
        [method, seed] for method in METHODS for seed in (0, 1)
    ]
    for method, table in study.confusion.items():
        mine = study.runs[study.runs["method"] == method]
        assert table.sum(axis=1).tolist() == [40, 40]  # 20 tiles of each region, two seeds
        assert mine["accuracy"].mean() == pytest.approx(table.trace() / 80)
        assert mine["recall_rough"].mean() == pytest.approx(table[1, 1] / 40)


def test_networks_learn_what_no_pixel_tells(study) -> None:
    summary = study.summary().set_index("method")
    for method in ("supervised", "mixup", "byol", "myow", "myow-merged"):
        assert summary.loc[method, "accuracy"] >= 0.8, method
    mine = study.runs.loc[study.runs["method"] == "byol", "accuracy"]
    assert summary.loc["byol", "deviation"] == pytest.approx(np.std(mine, ddof=1))
    assert summary["seeds"].tolist() == [2] * len(METHODS)


def test_the_same_seed_gives_the_same_numbers(study) -> None:
    again = region_study(
        Textures(64, 0), Textures(40, 1), options(("mixup", "myow")), regions=REGIONS
    )
    for method in ("mixup", "myow"):
        first, second = (s.runs[s.runs["method"] == method] for s in (study, again))
        assert first["accuracy"].tolist() == second["accuracy"].tolist()


def test_a_random_network_is_read_out_as_it_begins() -> None:
    kept, heard = {}, []
    study = region_study(
        Textures(64, 0),
        Textures(40, 1),
        options(("random",)),
        regions=REGIONS,
        on_run=lambda method, seed, encoder, table: kept.update({seed: encoder}),
        on_epoch=lambda *told: heard.append(told),
    )
    for seed, encoder in kept.items():
        torch.manual_seed(seed)
        begun = TileResNet(1, widths=(8, 16), blocks=(1, 1)).state_dict()
        found = encoder.state_dict()
        assert found.keys() == begun.keys()
        assert all(torch.equal(found[name], values) for name, values in begun.items())
    assert (sorted(kept), heard) == ([0, 1], [])
    assert study.runs["accuracy"].min() > 0.7  # grain shows in whatever filters


def test_views_keep_shape_and_come_from_the_tile() -> None:
    tiles = torch.zeros(3, 1, 12, 12)
    tiles[:, :, :, 6:] = 1
    rng = torch.Generator().manual_seed(0)
    turned = drawn_views(tiles, ViewOptions(light=0, contrast=0, noise=0), rng)
    assert turned.shape == tiles.shape
    assert turned.min() >= 0
    assert turned.max() <= 1
    assert not torch.equal(turned[0], turned[1])
    lit = ViewOptions(crop=1, turn=0, flip=False, light=0.2, contrast=0, noise=0)
    shifted = drawn_views(tiles, lit, rng) - tiles
    np.testing.assert_allclose(shifted.flatten(1).std(1), 0, atol=1e-5)
    assert shifted.abs().max() <= 0.2 + 1e-5


def test_tiles_are_averaged_down_and_scaled() -> None:
    image = np.array([[0, 255], [255, 0]], np.uint8)
    tiles = gathered([(image, 3)], side=1)
    assert tiles.tiles.tolist() == [[[[0.5]]]]
    assert tiles.regions.tolist() == [3]


def test_tiles_are_made_smaller_as_published_by_pillow() -> None:
    image = np.random.default_rng(0).random((24, 32)).astype(np.float32)
    tiles = gathered([(image, 0)], side=8, shrink="hamming").tiles
    theirs = Image.fromarray(image).resize((8, 8), Image.Resampling.HAMMING)
    np.testing.assert_allclose(tiles[0, 0].numpy(), np.asarray(theirs), atol=2e-6)


def test_what_is_no_set_of_tiles_is_refused() -> None:
    tile = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(ContractError, match="has tiles of shapes none"):
        gathered([])
    with pytest.raises(ContractError, match="and the same shape for all"):
        gathered([(tile, 0), (tile[:, :4], 0)])
    with pytest.raises(ContractError, match="sample 0 has the region 0.5"):
        gathered([(tile, 0.5)])
    with pytest.raises(ContractError, match="cannot be averaged down to 16"):
        gathered([(tile, 0)], side=16)
    with pytest.raises(ContractError, match="sample 0 has an image of shape"):
        gathered([(tile * np.nan, 0)])
    with pytest.raises(ConfigError, match="there is a region 5, and names for 2"):
        region_study([(tile, 5)], [(tile, 0)], options(), regions=REGIONS)
    with pytest.raises(ConfigError, match="seeds are \\[1, 1\\]"):
        RegionOptions(seeds=(1, 1))
    with pytest.raises(ConfigError, match="neighbours in a pool of 2 tiles"):
        region_study([(tile, 0)] * 4, [(tile, 0)],
                     RegionOptions(methods=("myow",), seeds=(0,), side=0,
                                   encoder=EncoderSize(widths=(4,), blocks=(1,), hidden=4, out=4),
                                   schooling=Schooling(epochs=2, batch=2, warmup=0, neighbours=3)),
                     regions=REGIONS)  # fmt: skip
