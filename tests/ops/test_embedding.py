"""Embeddings of tiles: those of each tile by itself, to the bit, for every grid."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError, ModelError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.models.checkpoint import save_checkpoint
from volkit.models.tile_components import TileComponents
from volkit.models.tile_encoder import open_encoder
from volkit.models.tile_resnet import TileResNet
from volkit.ops.embedding import Tiles, embeddings

SHAPE = (5, 25, 39)
SIZE = {"widths": [4, 8], "blocks": [1, 1]}


def moments(tiles):
    """Say mean and first pixel."""
    return np.stack([tiles.mean((1, 2, 3)), tiles[:, 0, 0, 0]], axis=1).astype(np.float32)


def pixels(tiles):
    """Say all pixels."""
    return tiles.reshape(len(tiles), -1)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "encoder.yaml"
    torch.manual_seed(0)
    save_checkpoint(
        TileResNet(classes=3, **SIZE).state_dict(),
        path,
        {
            "architecture": "tile_resnet",
            "arguments": {"classes": 3, **SIZE},
            "channels": (1, 3),
            "window": (1, 8, 8),
            "output": "whole",
        },
    )
    return path


def computed(image, encoder, **more):
    return embeddings(image, encoder, **more).compute(scheduler="synchronous")


@settings(max_examples=25)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 16)),
    st.tuples(st.integers(1, 11), st.integers(1, 15)),
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 5)),
)
def test_every_whole_tile_is_embedded_once_for_any_grid(image, block, tile, start) -> None:
    domain = Box(start, (3, 11, 15))
    height, width = (n // t for n, t in zip(domain.shape[1:], tile, strict=True))
    if not height or not width:
        return
    found = computed(image, moments, tiles=Tiles(tile), grid=Grid(domain, block))
    part = image[domain.slices][:, : height * tile[0], : width * tile[1]] / np.float32(255)
    tiles = part.reshape(-1, height, tile[0], width, tile[1])
    keys = np.indices((domain.shape[0], height, width)).reshape(3, -1)
    assert np.array_equal([found[name] for name in ("z", "y_bin", "x_bin")], keys)
    np.testing.assert_allclose(found["embedding"][:, 0], tiles.mean((2, 4)).ravel(), rtol=1e-5)
    assert np.array_equal(found["embedding"][:, 1], tiles[:, :, 0, :, 0].ravel())


def test_a_network_says_the_same_bits_for_any_grid_and_engine(image, card, tmp_path) -> None:
    encoder, tiles = open_encoder(card), Tiles((16, 16), side=8)
    whole = computed(image, encoder, tiles=tiles, grid=Grid(Box.from_shape(SHAPE), SHAPE))
    assert whole["embedding"].shape == (5 * 1 * 2, 8)
    assert np.ptp(whole["embedding"], axis=0).max() > 0
    for block in ((1, 7, 11), (2, 16, 16), (5, 3, 39)):
        again = computed(image, encoder, tiles=tiles, grid=Grid(Box.from_shape(SHAPE), block))
        assert all(np.array_equal(again[name], whole[name]) for name in whole)
    volume = create_volume(
        tmp_path / "image.zarr", shape=SHAPE, dtype=np.uint8, voxel_size_nm=(1, 1, 1)
    )
    volume.write(volume.domain, image)
    grid = Grid(volume.domain, (2, 16, 20))
    stored = embeddings(
        volume,
        encoder,
        tiles=Tiles((16, 16), side=8),
        grid=grid,
        engine=JobEngine(tmp_path / "run"),
    )
    assert all(np.array_equal(stored[name], whole[name]) for name in whole)


def test_sections_are_made_smaller_as_published_for_any_grid(image) -> None:
    """The published code resizes whole sections by a Hamming window, then cuts the tiles out."""
    seen = Tiles((8, 12), side=4, shrink="hamming")
    section = Image.fromarray((image[:, :24, :36] / np.float32(255))[3])
    whole = np.asarray(section.resize((12, 12), Image.Resampling.HAMMING))
    found = [
        computed(image, pixels, tiles=seen, grid=Grid(Box.from_shape(SHAPE), block))
        for block in (SHAPE, (2, 7, 11), (1, 8, 12))
    ]
    for each in found:
        np.testing.assert_array_equal(each["embedding"], found[0]["embedding"])
    theirs = whole.reshape(3, 4, 3, 4).transpose(0, 2, 1, 3).reshape(9, 16)
    np.testing.assert_allclose(found[0]["embedding"][27:36], theirs, atol=2e-6)


def test_components_are_encoders_too(image, tmp_path) -> None:
    tiles = np.random.default_rng(1).random((12, 1, 4, 4), np.float32)
    TileComponents.fit(tiles, "nmf", count=3).save(tmp_path / "parts.npz")
    found = computed(image, open_encoder(tmp_path / "parts.npz"), tiles=Tiles((8, 8), side=4))
    assert found["embedding"].shape == (5 * 3 * 4, 3)


def test_what_makes_no_sense_is_refused(image, card, tmp_path) -> None:
    with pytest.raises(ConfigError, match="a side that divides both"):
        embeddings(image, moments, tiles=Tiles((16, 16), side=5))
    with pytest.raises(ConfigError, match="intensity_range is .* a larger one that becomes 1"):
        Tiles((16, 16), intensity_range=(7.0, 7.0))
    with pytest.raises(ConfigError, match="has no whole tile of \\(32, 32\\)"):
        embeddings(image, moments, tiles=Tiles((32, 32)))
    with pytest.raises(ContractError, match="give intensity_range"):
        computed(image.astype(np.float32), moments, tiles=Tiles((8, 8)))
    real = computed(
        image.astype(np.float32), moments, tiles=Tiles((8, 8), intensity_range=(0.0, 255.0))
    )
    assert np.array_equal(
        real["embedding"], computed(image, moments, tiles=Tiles((8, 8)))["embedding"]
    )
    with pytest.raises(ModelError, match="answers voxels, not tiles as a whole"):
        open_encoder("builtin:boundaries-specimen")
    encoder = open_encoder(card)
    with pytest.raises(ModelError, match="has changed since the work began"):
        type(encoder)(encoder.uri, "0" * 64)(np.zeros((1, 1, 8, 8), np.float32))
