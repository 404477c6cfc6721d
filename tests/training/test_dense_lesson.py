"""The published networks: trained for a second, interrupted, and in two stages."""

import pickle
import signal
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch

import volkit
from volkit.errors import ConfigError, ModelError
from volkit.io.open import open_volume
from volkit.models.checkpoint import load, read_checkpoint
from volkit.models.scaling import Scaling
from volkit.ops.map_stack import map_stack
from volkit.ops.network import Network
from volkit.pipelines.config import validate
from volkit.training.config import LabelledVolume, Validation
from volkit.training.dense_config import DenseConfig, Descent, OutputPatches, Recursion
from volkit.training.dense_lesson import DenseLesson
from volkit.training.loop import train
from volkit.training.losses import patch_loss
from volkit.training.preliminary import preliminary_map

FIXED = Scaling("fixed", shift=130.0, divide=35.0)
_SLICE = ((0, 0, 0), (2, 24, 24))


@pytest.fixture
def dense(tissue, tmp_path: Path):
    """Make the configuration of a run of a second or two."""
    part = LabelledVolume(tissue.image, tissue.labels, *_SLICE)

    def make(name: str = "run", **changes) -> DenseConfig:
        given = {
            "architecture": "n4",
            "scaling": FIXED,
            "patches": OutputPatches((1, 4, 4)),
            "optimisation": Descent(steps=3, learning_rate=1e-3),
            "validation": Validation((), every=1),
            "window": (1, 120, 120),
            **changes,
        }
        return DenseConfig(str(tmp_path / name / "tiny.yaml"), (part,), **given)

    return make


@pytest.fixture
def vd2d(dense) -> str:
    """A first stage, hardly trained."""
    config = dense("first", architecture="vd2d", optimisation=Descent(steps=1))
    return train(config).checkpoint.uri


def stored(config: DenseConfig) -> list[bytes]:
    folder = Path(config.checkpoint).parent
    return [path.read_bytes() for path in sorted(folder.glob("tiny*")) if path.suffix != ".pt"]


def test_loss_is_that_of_every_voxel() -> None:
    logits = torch.tensor([1.0, -2.0, 0.5, 3.0]).view(1, 2, 1, 1, 2)
    classes = torch.tensor([0, 1]).view(1, 1, 1, 2)
    e = np.exp
    first = -np.log(e(1.0) / (e(1.0) + e(0.5)))
    second = -np.log(e(3.0) / (e(-2.0) + e(3.0)))
    found = patch_loss(logits, classes, (0.75, 1.5))
    assert float(found) == pytest.approx((0.75 * first + 1.5 * second) / 2, rel=1e-6)


def test_card_makes_a_dense_network(dense, tissue) -> None:
    part = LabelledVolume(tissue.image, tissue.labels, *_SLICE)
    scored = Validation((part,), every=3, window=(2, 24, 24), thresholds=(0.5,))
    result = train(dense(validation=scored))
    card = result.checkpoint
    assert (card.margin, card.stride, card.output) == ((0, 47, 47), (1, 16, 16), "valid")
    assert (card.channels, card.classes) == ((1, 2), ("interior", "boundary"))
    ((step, scores),) = result.scores
    assert step == 3
    assert scores.pixel_error is not None
    assert 0 <= scores.pixel_error <= 0.5
    answer = load(card, device="cpu")(np.zeros((1, 1, 1, 96, 97), np.float32))
    np.testing.assert_allclose(answer[0, :, 0, 47:49, 47:50].sum(0), 1, atol=1e-6)


def test_tissue_is_learnt(dense) -> None:
    patches = OutputPatches((1, 12, 12), 2)
    optimisation = Descent(steps=10, learning_rate=5e-3)
    losses = train(
        dense(patches=patches, optimisation=optimisation, precision="bfloat16",
              validation=Validation((), every=10))
    ).losses  # fmt: skip
    assert np.mean(losses[-3:]) < 0.85 * losses[0]


def test_rate_and_momentum_are_fixed_unless_annealed(dense) -> None:
    lesson = DenseLesson(dense(optimisation=Descent()))
    assert {lesson.rate(step) for step in (0, 99, 100, 59_999)} == {0.01}
    (group,) = lesson.optimiser(lesson.network()).param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 0, False)
    annealed = DenseLesson(dense(optimisation=Descent(anneal=0.997)))
    assert [annealed.rate(step) for step in (99, 100, 250)] == pytest.approx(
        [0.01, 0.00997, 0.01 * 0.997**2]
    )


def test_balance_can_be_left_out(dense) -> None:
    assert DenseLesson(dense(optimisation=Descent(balance="none"))).weights == (1.0, 1.0)
    inside, boundary = DenseLesson(dense()).weights
    # Two walls of two voxels across 24, in both directions.
    share = 1 - (20 / 24) ** 2
    assert (inside, boundary) == pytest.approx((0.5 / (1 - share), 0.5 / share))


def test_second_stage_starts_from_the_first(dense, vd2d) -> None:
    recursion = Recursion(vd2d, levels=(95.0, 165.0))
    lesson = DenseLesson(dense(architecture="vd2d3d", recursion=recursion))
    second = lesson.network().network.state_dict()
    first = load(vd2d, device="cpu").module.network.network.state_dict()
    for ours, theirs in (
        ("streams.streams.0.conv1a.weight", "conv1a.weight"),
        ("streams.streams.0.conv1c.bias", "conv1c.bias"),
        ("conv3b.weight", "conv3b.weight"),
    ):
        torch.testing.assert_close(second[ours], first[theirs], rtol=0, atol=0)


def test_map_is_that_of_inference_and_kept(dense, vd2d, tissue) -> None:
    config = dense("second")
    part = LabelledVolume(tissue.image, tissue.labels, *_SLICE)
    held = preliminary_map(part, config, Recursion(vd2d))
    image = open_volume(tissue.image).to_dask()[:2, :24, :24]
    expected = np.asarray(volkit.infer(image, read_checkpoint(vd2d)))[1]
    np.testing.assert_allclose(held.values, expected, atol=2e-5)

    (path,) = Path(config.checkpoint).parent.glob("*.npy")
    np.save(path, np.full_like(held.values, 0.25))
    again = preliminary_map(part, config, Recursion(vd2d))
    assert set(again.values.ravel()) == {0.25}
    other = preliminary_map(part, config, Recursion(vd2d, channel=0))
    np.testing.assert_allclose(other.values, 1 - expected, atol=2e-5)


def test_unscaled_second_stage_sees_what_inference_shows_it(dense, vd2d, tissue) -> None:
    """An image as the first card scales it, and levels as they are; else both scaled alike."""
    recursion, none = Recursion(vd2d, levels=(-1.0, 1.0)), Scaling("none")
    lesson = DenseLesson(dense(architecture="vd2d3d", recursion=recursion, scaling=none))
    assert lesson.stored(lesson.network()).card["scaling"] == {"kind": "none"}
    (found,) = lesson.tissues
    seen = found.seen(found.tissue.box)
    image = open_volume(tissue.image).to_dask()[:2, :24, :24]
    known = da.from_array(found.map.read(found.tissue.box))
    shown = map_stack(
        image, known, network=Network.of(read_checkpoint(vd2d)), levels=(-1.0, 1.0)
    ).compute()
    np.testing.assert_array_equal(seen, shown)
    assert abs(float(seen[0].mean())) < 1

    recursion = Recursion(vd2d, levels=(95.0, 165.0))
    (alike,) = DenseLesson(dense(architecture="vd2d3d", recursion=recursion)).tissues
    np.testing.assert_allclose(alike.seen(found.tissue.box), seen, atol=1e-6)


KILLED = """
import os, pickle, signal, sys, torch
from volkit.training.loop import train

def kill(progress):
    if progress.step == 1:
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(int(sys.argv[2]))
train(pickle.loads(bytes.fromhex(sys.argv[1])), on_progress=kill)
"""


def test_killed_second_stage_ends_with_the_same_bytes(dense, vd2d, warm_python) -> None:
    recursion = Recursion(vd2d, levels=(95.0, 165.0))
    whole, cut = (
        dense(
            name,
            architecture="vd2d3d",
            recursion=recursion,
            window=(5, 100, 100),
            patches=OutputPatches((1, 2, 2)),
            optimisation=Descent(steps=2, learning_rate=1e-3),
        )
        for name in ("whole", "cut")
    )
    expected = train(whole)
    ended = warm_python("-c", KILLED, pickle.dumps(cut).hex(), torch.get_num_threads())
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    seen: list[int] = []
    resumed = train(cut, on_progress=lambda progress: seen.append(progress.step))
    assert seen == [2]
    assert resumed.losses == expected.losses
    assert stored(cut) == stored(whole)


def test_state_of_another_first_stage_is_refused(dense, vd2d) -> None:
    once = Descent(steps=1)
    config = dense("second", architecture="vd2d3d", recursion=Recursion(vd2d), optimisation=once)
    config = replace(config, window=(5, 100, 100))
    train(config)
    Path(vd2d).with_suffix(".state.pt").unlink()
    train(dense("first", architecture="vd2d", optimisation=once, seed=8))
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train(config)


@pytest.mark.parametrize(
    ("recursion", "architecture", "message"),
    [
        ({"channel": 2}, "vd2d3d", "recursion.channel is 2"),
        ({}, "n4", "recursion.start needs the architecture vd2d3d"),
    ],
)
def test_recursion_that_does_not_fit_is_refused(
    dense, vd2d, recursion, architecture, message
) -> None:
    arguments = {"in_channels": 2} if architecture == "n4" else {}
    config = dense(
        architecture=architecture, arguments=arguments, recursion=Recursion(vd2d, **recursion)
    )
    with pytest.raises(ConfigError, match=message):
        train(config)


def test_other_answers_are_refused(dense) -> None:
    with pytest.raises(ModelError, match="answers 3 channels, expected 2"):
        train(dense(arguments={"out_channels": 3}))


TREE = {"checkpoint": "a.yaml", "volumes": [{"image": "a.zarr", "labels": "b.zarr"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recursion": {"checkpoint": "b.yaml"}}, "would mix image and map"),
        ({"optimisation": {"momentum": 1.0}}, "below 1"),
        ({"optimisation": {"learning_rate": 0}}, "the others above 0"),
        ({"optimisation": {"balance": "local"}}, "balance"),
        ({"patches": {"boundary_width": 0}}, "at least 1 everywhere"),
        ({"volumes": []}, "volumes is empty"),
        ({"checkpoint": "a.pt"}, "must end in .yaml"),
    ],
)
def test_wrong_configuration_is_refused(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        validate({**TREE, **change}, DenseConfig, where="here")
