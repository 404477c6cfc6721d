"""Training on particles: runs of seconds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from volkit.errors import ConfigError, ModelError
from volkit.models.architectures import build
from volkit.models.checkpoint import load
from volkit.models.scaling import Scaling
from volkit.pipelines.config import validate
from volkit.training.config import CardText
from volkit.training.particle_config import (
    HeatMapOptimisation,
    ParticleTrainConfig,
    PickValidation,
)
from volkit.training.particle_crops import open_labelled
from volkit.training.particle_options import (
    CropAugmentation,
    Crops,
    LabelledTomogram,
    ParticleKind,
)
from volkit.training.particle_run import train_particles
from volkit.training.particle_validate import blended

NETWORK = {
    "widths": [4, 8],
    "blocks": [1, 1],
    "depth_pools": [2, 2],
    "decoder_widths": [8],
    "convolutions": 1,
    "layer_scale": 0.1,
}


def specimen(seed: int) -> LabelledTomogram:
    uri = f"specimen://tomogram?shape=32,64,64&seed={seed}&noise=0.1&tilt=90"
    return LabelledTomogram(uri, uri)


@pytest.fixture
def configured(tmp_path):
    def make(name: str = "tiny", steps: int = 3, **changes) -> ParticleTrainConfig:
        keys = {
            "checkpoint": str(tmp_path / name / "tiny.yaml"),
            "volumes": (specimen(1), specimen(2)),
            "kinds": (
                ParticleKind("ribosome", 15.0, sigma=4.0),
                ParticleKind("virus-like-particle", 13.5, sigma=4.0),
            ),
            "fold": 1,
            "arguments": NETWORK,
            "scaling": Scaling("fixed", divide=0.5),
            "activation": "sigmoid",
            "crops": Crops((16, 32, 32), 2, focus=0.8),
            "augmentation": CropAugmentation(rotate=0.3),
            "optimisation": HeatMapOptimisation(steps=steps, warmup=1),
            "validation": PickValidation(every=2, thresholds=(0.05, 0.3, 0.6)),
            "card": CardText(description="Tiny.", licence="CC0-1.0"),
            "seed": 1,
        }
        return ParticleTrainConfig(**{**keys, **changes})

    return make


def stored(config: ParticleTrainConfig) -> list[bytes]:
    folder = Path(config.checkpoint).parent
    return [path.read_bytes() for path in sorted(folder.glob("tiny*")) if path.suffix != ".pt"]


def test_loss_falls_and_particles_are_told_from_nothing(configured) -> None:
    optimisation = HeatMapOptimisation(steps=60, warmup=3, learning_rate=1e-2, average=0.9, mixup=0)
    config = configured(optimisation=optimisation, fold=None, validation=PickValidation(every=60))
    result = train_particles(config)
    assert np.mean(result.losses[-10:]) < 0.5 * np.mean(result.losses[:3])
    predict = load(result.checkpoint, device="cpu")
    for spec in config.learnt:
        tomogram = open_labelled(spec, config.kinds, config.scaling, config.crops)
        heat = blended(predict, tomogram.image, (16, 32, 32))
        for place, kind in zip(tomogram.places(0.5), tomogram.points.kinds, strict=True):
            z, y, x = np.rint(place).astype(int)
            assert heat[kind, z, y, x] > 2 * heat[kind].mean()


def test_the_card_says_what_is_needed(configured) -> None:
    result = train_particles(configured())
    card = result.checkpoint
    assert (card.architecture, card.channels, card.activation) == (
        "convnext_unet",
        (1, 2),
        "sigmoid",
    )
    assert card.classes == ("ribosome", "virus-like-particle")
    assert card.window == (16, 32, 32)
    assert card.description == "Tiny."
    assert tuple(card.thresholds) == card.classes
    assert tuple(card.thresholds.values()) == result.best.thresholds
    answer = load(card, device="cpu")(np.zeros((1, 1, 16, 32, 32), np.float32))
    assert answer.shape == (1, 2, 16, 32, 32)
    assert 0 < answer.min() < answer.max() < 1


@pytest.mark.parametrize("killed_after", [1, 2])
def test_resumed_run_ends_with_the_same_bytes(configured, killed_after) -> None:
    expected = train_particles(configured("whole"))

    def kill(progress) -> None:
        if progress.step == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_particles(configured("cut"), on_progress=kill)
    resumed = train_particles(configured("cut"))
    assert resumed.losses == expected.losses
    assert resumed.scores == expected.scores
    assert stored(configured("cut")) == stored(configured("whole"))


def test_what_is_stored_is_the_best_average(configured) -> None:
    """A rate that ruins the network after the first validation leaves the first one stored."""
    wild = HeatMapOptimisation(steps=4, warmup=1, learning_rate=10.0, average=0.0, mixup=0)
    early = train_particles(configured("early", optimisation=wild, steps=4))
    at = max(range(len(early.scores)), key=lambda n: early.scores[n][1].score)
    assert early.best == early.scores[at][1]
    assert tuple(early.checkpoint.thresholds.values()) == early.best.thresholds


def test_the_fold_left_out_is_not_learnt_from(configured) -> None:
    config = configured(fold=0)
    assert (config.learnt, config.unseen) == ((specimen(2),), (specimen(1),))
    everything = configured(fold=None)
    assert (everything.learnt, everything.unseen) == ((specimen(1), specimen(2)), ())
    result = train_particles(configured("all", steps=1, fold=None))
    assert result.best is None
    assert result.scores == ()


def test_both_losses_and_no_activation_train(configured) -> None:
    balanced = HeatMapOptimisation(steps=1, warmup=0, loss="balanced", mixup=1.0, clip=1.0)
    result = train_particles(configured(optimisation=balanced, activation="none", fold=None))
    assert np.isfinite(result.losses).all()
    assert result.checkpoint.activation == "none"


def test_the_backbone_may_start_trained(configured, tmp_path) -> None:
    torch.manual_seed(5)
    other = build("convnext_unet", out_channels=2, **NETWORK).backbone
    save_file(other.state_dict(), tmp_path / "timm.safetensors")
    still = HeatMapOptimisation(steps=1, warmup=0, learning_rate=1e-12, average=0)
    result = train_particles(
        configured(optimisation=still, backbone=str(tmp_path / "timm.safetensors"), fold=None)
    )
    weights = load_file(Path(result.checkpoint.uri).with_name(result.checkpoint.weights))
    torch.testing.assert_close(weights["backbone.stem.0.weight"], other.stem[0].weight)


def test_networks_without_a_backbone_take_none(configured, tmp_path) -> None:
    config = configured(architecture="meshnet", arguments={}, backbone="a.safetensors")
    with pytest.raises((ConfigError, ModelError)):
        train_particles(config)


def test_state_of_another_configuration_is_refused(configured) -> None:
    train_particles(configured(steps=1))
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train_particles(configured(steps=1, seed=2))


def test_loss_that_is_not_finite_stops_the_run(configured) -> None:
    wild = HeatMapOptimisation(steps=20, warmup=0, learning_rate=1e20, average=0)
    with pytest.raises(ModelError, match="lower learning_rate"):
        train_particles(configured(optimisation=wild, activation="none", fold=None))


TREE = {
    "checkpoint": "a.yaml",
    "volumes": [{"image": "a.zarr", "points": "a.csv"}, {"image": "b.zarr", "points": "b.csv"}],
    "kinds": [{"name": "ribosome", "radius_nm": 15.0}],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold": 2}, "fold 2 is not one of 2 volumes"),
        ({"volumes": []}, "no volume is left to learn from"),
        ({"kinds": []}, "at least one, each named once"),
        ({"kinds": [TREE["kinds"][0], TREE["kinds"][0]]}, "each named once"),
        ({"checkpoint": "a.pt"}, "must end in .yaml"),
        ({"activation": "softmax"}, "would make kinds compete"),
        ({"crops": {"shape": [16, 32, 64]}}, "set quarter_turns to false"),
        ({"optimisation": {"average": 1.0}}, "an average from 0 to below 1"),
        ({"optimisation": {"mixup": 2}}, "expected a probability"),
        ({"validation": {"beta": 0}}, "beta above 0"),
        ({"optimisation": {"stepz": 3}}, r"optimisation\.stepz: unknown key; did you mean steps"),
    ],
)
def test_wrong_configuration_is_refused(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        validate({**TREE, **change}, ParticleTrainConfig, where="here")
