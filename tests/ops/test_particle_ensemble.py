"""Ensembles of both families of 2.5-D U-Nets: the mean of their heat maps, and picks from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.models.architectures import build
from volkit.models.checkpoint import Checkpoint, save_checkpoint
from volkit.models.ensemble import Ensemble
from volkit.ops.inference import infer
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.particle_options import PickOptions
from volkit.ops.particles import pick

SMALL: dict[str, dict[str, Any]] = {
    "convnext_unet": {
        "widths": [4, 8],
        "blocks": [1, 1],
        "depth_pools": [2, 2],
        "decoder_widths": [8],
        "convolutions": 1,
        "layer_scale": 0.5,
    },
    "resnet_rs_unet": {
        "widths": [4, 4, 4, 4],
        "blocks": [1, 1, 1, 1],
        "stem": 4,
        "joint_width": 4,
        "decoder_widths": [8, 8, 4, 4],
    },
}
CLASSES = ("ribosome", "thyroglobulin")


def saved(folder: Path, name: str, seed: int, depth: int = 8) -> Checkpoint:
    torch.manual_seed(seed)
    arguments = {**SMALL[name], "out_channels": len(CLASSES)}
    network = build(name, **arguments)
    card = {
        "architecture": name,
        "arguments": arguments,
        "channels": [1, len(CLASSES)],
        "window": [depth, 32, 32],
        "activation": "sigmoid",
        "classes": list(CLASSES),
    }
    return save_checkpoint(network.state_dict(), folder / f"{name}-{seed}.yaml", card)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, ...]:
    """Two of the one family and one of the other, as four and three were in the challenge."""
    folder = tmp_path_factory.mktemp("members")
    first = [saved(folder, "convnext_unet", seed) for seed in (1, 2)]
    return (*first, saved(folder, "resnet_rs_unet", 3))


IMAGE = np.random.default_rng(4).standard_normal((12, 48, 40)).astype(np.float32)
OPTIONS = InferenceOptions(
    stride=(4, 16, 16), weights="pyramid", padding="constant", device="cpu", batch=4
)


def heat(model: Any, options: InferenceOptions = OPTIONS) -> Any:
    volume = open_volume(IMAGE, voxel_size_nm=(1.0, 1.0, 1.0))
    return infer(volume, model, options=options).compute(scheduler="sync")


def test_the_ensemble_is_the_plain_mean_of_blended_heat_maps(members) -> None:
    each = [heat(member) for member in members]
    assert np.std(each, axis=0).max() > 0.05  # they do not agree by chance
    np.testing.assert_allclose(heat(Ensemble(members)), np.mean(each, axis=0), atol=2e-6)
    weighted = heat(Ensemble(members, weights=(1.0, 1.0, 2.0)))
    np.testing.assert_allclose(weighted, np.average(each, axis=0, weights=(1, 1, 2)), atol=2e-6)


def test_picks_of_an_ensemble_do_not_depend_on_blocks(members, tmp_path) -> None:
    volume = open_volume(IMAGE, voxel_size_nm=(1.0, 1.0, 1.0))
    how = PickOptions(CLASSES, threshold=0.3, kernel=3, exclusion_nm=3.0)
    tables = []
    for number, block_shape in enumerate([(12, 48, 40), (8, 16, 24)]):
        grid = Grid(volume.domain, block_shape)
        engine = JobEngine(tmp_path / str(number))
        found = infer(volume, Ensemble(members), options=OPTIONS, grid=grid, engine=engine)
        tables.append(pick(found, how, grid=grid, engine=engine))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert set(tables[0]["class"]) == set(CLASSES)


def test_members_of_other_depths_share_a_window_that_suits_both(members, tmp_path) -> None:
    deep = saved(tmp_path, "resnet_rs_unet", 5, depth=16)
    both = Ensemble((members[0], deep))
    with pytest.raises(ConfigError, match=r"differ in their windows.*\(infer: window\)"):
        heat(both)
    wide = InferenceOptions(
        window=(16, 32, 32), stride=(8, 16, 16), weights="pyramid", padding="constant", device="cpu"
    )
    each = [heat(member, wide) for member in both.members]
    np.testing.assert_allclose(heat(both, wide), np.mean(each, axis=0), atol=2e-6)
