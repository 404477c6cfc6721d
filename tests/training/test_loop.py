"""Training runs of a second."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from volkit.errors import ConfigError, ModelError
from volkit.models.checkpoint import load
from volkit.pipelines.config import validate
from volkit.training.config import (
    Augmentation,
    CardText,
    LabelledVolume,
    Optimisation,
    Patches,
    TrainConfig,
)
from volkit.training.loop import Progress, train
from volkit.training.state import fingerprint, load_state, state_path


class KilledError(Exception):
    """A run that was killed."""


def stored(config: TrainConfig) -> list[bytes]:
    folder = Path(config.checkpoint).parent
    return [path.read_bytes() for path in sorted(folder.glob("tiny*")) if path.suffix != ".pt"]


def test_loss_falls_and_the_checkpoint_finds_boundaries(configured, tissue) -> None:
    seen: list[Progress] = []
    optimisation = Optimisation(steps=30, warmup=3, learning_rate=2e-2, average=0.9)
    calm = Augmentation(warp=0, noise=0.1, sections=0)
    config = configured(every=30, optimisation=optimisation, augmentation=calm)
    result = train(config, on_progress=seen.append)

    assert [p.step for p in seen] == list(range(1, 31))
    assert np.mean(result.losses[-5:]) < 0.6 * result.losses[0]
    assert seen[-1].scores == result.scores[-1][1]
    predict = load(result.checkpoint, device="cpu")
    wall, cell = 70.0, 150.0
    image = np.full((1, 1, 8, 16, 16), cell, np.float32)
    image[..., 8] = wall
    prob = predict(image, scale=(120.0, 35.0, None, None))[0, 0]
    assert prob[4, 8, 8] > 0.5 > prob[4, 8, 2]


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_resumed_run_ends_with_the_same_bytes(configured, killed_after) -> None:
    whole, cut = configured("whole"), configured("cut")
    expected = train(whole)

    def kill(progress: Progress) -> None:
        if progress.step == killed_after:
            raise KilledError("killed")

    with pytest.raises(KilledError, match="killed"):
        train(cut, on_progress=kill)
    resumed = train(cut)

    assert resumed.losses == expected.losses
    assert resumed.scores == expected.scores
    assert stored(cut) == stored(whole)


def test_finished_run_is_not_run_again(configured) -> None:
    config = configured(steps=2)
    train(config)
    seen: list[Progress] = []
    again = train(config, on_progress=seen.append)
    assert not seen
    assert len(again.losses) == 2


def test_seed_decides(configured) -> None:
    one, same, other = (
        train(configured(name, steps=2, seed=seed)).losses
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert one == same
    assert one != other


def test_state_of_another_configuration_is_refused(configured) -> None:
    train(configured(steps=2))
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train(configured(steps=2, seed=1))


def test_text_of_the_card_may_change(configured) -> None:
    train(configured(steps=2))
    config = configured(steps=2, card=CardText(licence="CC0-1.0"))
    assert train(config).losses


def test_damaged_state_is_refused(configured) -> None:
    config = configured(steps=2)
    path = state_path(config)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ModelError, match="delete it to train from the start"):
        load_state(path, fingerprint(config))


def test_loss_that_is_not_finite_stops_the_run(configured) -> None:
    wild = Optimisation(steps=50, warmup=0, learning_rate=1e20, clip=1e20)
    with pytest.raises(ModelError, match="lower learning_rate"):
        train(configured(optimisation=wild, precision="float32", every=50))


def test_card_tells_what_is_needed_to_use_it(configured) -> None:
    text = CardText(voxel_size_nm=(10, 10, 10), licence="CC0-1.0", training_data="columns")
    card = train(configured(steps=1, card=text)).checkpoint
    assert card.architecture == "residual_unet3d"
    assert card.arguments["norm"] == "none"
    assert card.scaling.kind == "moments"
    assert (card.activation, card.classes) == ("sigmoid", ("boundary",))
    assert (card.licence, card.training_data) == ("CC0-1.0", "columns")
    assert card.voxel_size_nm == (10, 10, 10)


def test_separations_are_learnt_and_not_stored(configured) -> None:
    patches = Patches((8, 16, 16), 2, separations=((0, 0, 4), (0, 4, 0)))
    card = train(configured(steps=2, patches=patches)).checkpoint
    answer = load(card, device="cpu")(np.zeros((1, 1, 8, 16, 16), np.float32))
    assert answer.shape == (1, 1, 8, 16, 16)


def test_separations_of_another_architecture_are_refused(configured) -> None:
    patches = Patches((8, 16, 16), separations=((0, 0, 4),))
    with pytest.raises(ConfigError, match="separations need the architecture residual_unet3d"):
        train(configured(patches=patches, architecture="meshnet"))


def test_networks_with_layers_of_images_train(configured) -> None:
    """Weights with four axes have no place in the layout of those with five."""
    small = {"widths": [4], "blocks": [1], "depth_pools": [2], "decoder_widths": [], "patch": 2}
    arguments = {**small, "out_channels": 1}
    config = configured(steps=1, architecture="convnext_unet", arguments=arguments)
    card = train(config).checkpoint
    answer = load(card, device="cpu")(np.zeros((1, 1, 8, 16, 16), np.float32))
    assert answer.shape == (1, 1, 8, 16, 16)


def test_threads_are_left_alone(configured) -> None:
    before = torch.get_num_threads()
    train(configured(steps=1))
    assert torch.get_num_threads() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device_is_refused(configured) -> None:
    with pytest.raises(ModelError, match="device 'cuda' is not here"):
        train(configured(device="cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_trains_on_cuda(configured) -> None:
    assert np.isfinite(train(configured(steps=2, device="cuda")).losses).all()


TREE = {
    "checkpoint": "a.yaml",
    "volumes": [{"image": "a.zarr", "labels": "b.zarr"}],
    "optimisation": {"steps": 3, "learning_rate": 0.001},
}


def test_configuration_from_a_workflow() -> None:
    config = validate(TREE, TrainConfig, where="here")
    assert config.volumes == (LabelledVolume("a.zarr", "b.zarr"),)
    assert config.optimisation.steps == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimisation": {"stepz": 3}}, r"optimisation\.stepz: unknown key; did you mean steps"),
        ({"volumes": [{"image": "a", "lables": "b"}]}, "lables"),
        ({"volumes": []}, "volumes is empty"),
        ({"checkpoint": "a.pt"}, "must end in .yaml"),
        ({"patches": {"batch": 0}}, "at least 1 everywhere"),
        ({"patches": {"separations": [[0, 0, -8]]}}, "must reach forward"),
        ({"validation": {"every": 0}}, "at least 1 step"),
        ({"optimisation": {"balance": 1.0}}, "balance between 0 and 1"),
    ],
)
def test_wrong_configuration_is_refused(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        validate({**TREE, **change}, TrainConfig, where="here")


def test_configuration_is_a_value() -> None:
    config = validate(TREE, TrainConfig, where="here")
    assert dataclasses.replace(config) == config
    assert hash(config) == hash(dataclasses.replace(config))
