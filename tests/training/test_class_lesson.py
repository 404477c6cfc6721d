"""Training on classes: tiles as published, patches anywhere, and a network that learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.io.open import create_volume
from volkit.models.checkpoint import load
from volkit.models.scaling import Scaling
from volkit.training.class_config import (
    ClassConfig,
    ClassOptimisation,
    ClassPatches,
    ClassValidation,
)
from volkit.training.class_lesson import ClassLesson
from volkit.training.class_losses import class_loss, class_weights
from volkit.training.class_patches import draw_tiles
from volkit.training.config import Augmentation, LabelledVolume
from volkit.training.loop import train
from volkit.training.patches import open_tissue

SHAPE = (8, 16, 24)
FOUR = {"background": (0,), "vessel": (1,), "cell": (2,), "axon": (3,)}
STILL = Augmentation(
    warp=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shading=0, sections=0
)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> LabelledVolume:
    """Four classes, two sections each, told apart by their grey."""
    labels = np.broadcast_to(np.arange(8)[:, None, None] // 2, SHAPE).astype(np.uint64)
    noise = np.random.default_rng(0).normal(0, 3, SHAPE)
    image = np.clip(40 + 50 * labels + noise, 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("stripes")
    for name, values in (("image", image), ("labels", labels)):
        volume = create_volume(str(folder / f"{name}.zarr"), shape=SHAPE, dtype=values.dtype)
        volume.write(volume.domain, values)
    return LabelledVolume(str(folder / "image.zarr"), str(folder / "labels.zarr"))


def configured(stripes: LabelledVolume, card: Path, **changes) -> ClassConfig:
    config = ClassConfig(
        checkpoint=str(card),
        volumes=(stripes,),
        classes=FOUR,
        arguments={"widths": (8,), "blocks": (1,)},
        window=(8, 16, 8),
        patches=ClassPatches((8, 8, 8), 2),  # all classes: a batch is normalised by itself
        augmentation=STILL,
        optimisation=ClassOptimisation(steps=80, learning_rate=0.02, warmup=3, average=0.9),
        validation=ClassValidation((stripes,), 80, (8, 16, 24)),
        precision="float32",
        device="cpu",
    )
    return replace(config, **changes)


def test_a_network_learns_classes(stripes, tmp_path) -> None:
    torch.set_num_threads(1)
    result = train(configured(stripes, tmp_path / "net.yaml"))
    ((step, found),) = result.scores
    assert step == 80
    assert min(found.iou) > 0.9
    assert found.told().startswith(f"mean IoU {np.mean(found.iou):.4f} (background ")
    card = result.checkpoint
    assert card.classes == tuple(FOUR)
    assert (card.channels, card.activation) == ((1, 4), "softmax")
    image = np.full((1, 1, 8, 8, 8), 90, np.uint8)
    scale = card.scaling.resolve(np.arange(256), np.ones(256))
    prob = load(card, device="cpu")(image, scale=scale)
    np.testing.assert_allclose(prob.sum(axis=1), 1, rtol=1e-5)


def test_an_interrupted_run_ends_with_the_same_bytes(stripes, tmp_path) -> None:
    torch.set_num_threads(1)
    short = ClassValidation((), 2)
    whole = configured(
        stripes, tmp_path / "whole.yaml", optimisation=ClassOptimisation(steps=4), validation=short
    )
    train(whole)
    halves = replace(whole, checkpoint=str(tmp_path / "halves.yaml"))

    def stop(progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(halves, on_progress=stop)
    train(halves)
    first, second = (next(tmp_path.glob(f"{n}-*.safetensors")) for n in ("whole", "halves"))
    assert first.read_bytes() == second.read_bytes()


def test_classes_in_another_order_are_another_run(stripes, tmp_path) -> None:
    config = configured(
        stripes,
        tmp_path / "net.yaml",
        optimisation=ClassOptimisation(steps=1),
        validation=ClassValidation(),
    )
    train(config)
    turned = replace(config, classes=dict(reversed(FOUR.items())))
    with pytest.raises(ConfigError, match="another configuration"):
        train(turned)


def test_the_published_recipe_takes_every_tile_once_in_an_epoch(stripes) -> None:
    tissue = open_tissue(stripes, Scaling("fixed", divide=255))
    patches = ClassPatches((1, 16, 8), 5, draw="tiles")
    seen = []
    for step in range(5):  # 24 tiles in an epoch: the last batch is filled from the next
        images, numbers = draw_tiles([tissue], FOUR, patches, step=step, seed=1)
        assert (images.shape, numbers.shape) == ((5, 1, 1, 16, 8), (5, 1, 16, 8))
        seen += [image.tobytes() for image in images]
    assert len(set(seen[:24])) == 24
    assert seen[24] in seen[:24]
    again, _ = draw_tiles([tissue], FOUR, patches, step=2, seed=1)
    assert [image.tobytes() for image in again] == seen[10:15]
    with pytest.raises(GeometryError, match="no volume holds a tile of"):
        draw_tiles([tissue], FOUR, ClassPatches((9, 16, 8), 1, draw="tiles"), step=0, seed=1)


def test_gradient_descent_as_published(stripes, tmp_path) -> None:
    options = ClassOptimisation(
        steps=2, optimiser="sgd", learning_rate=0.01, weight_decay=0, average=0, balance=0, dice=0
    )
    lesson = ClassLesson(configured(stripes, tmp_path / "net.yaml", optimisation=options))
    network = lesson.network()
    optimiser = lesson.optimiser(network)
    assert isinstance(optimiser, torch.optim.SGD)
    assert {lesson.rate(step) for step in range(2)} == {0.01}
    group = optimiser.param_groups[0]
    assert (group["momentum"], group["weight_decay"]) == (0, 0)
    assert lesson.weights == (1, 1, 1, 1)


def test_the_loss_weighs_classes_as_asked() -> None:
    logits = torch.zeros(1, 3, 1, 1, 4)
    logits[:, 1, ..., 3] = 20  # the last voxel is surely class 1
    target = torch.tensor([[[[0, 0, 2, 1]]]])
    expected = (2 * 1.0 + 1 * 3.0) * np.log(3) / 4
    assert float(class_loss(logits, target, (1, 5, 3))) == pytest.approx(expected, rel=1e-5)
    sure = 20 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    assert float(class_loss(sure, target, (1, 1, 1), dice=1)) == pytest.approx(0, abs=1e-3)


def test_weights_of_classes() -> None:
    weights = class_weights([90, 10, 0], balance=0.5)
    assert weights[1] / weights[0] == pytest.approx(3)
    assert (90 * weights[0] + 10 * weights[1]) / 100 == pytest.approx(1)
    assert weights[2] == 1


def test_codes_without_a_class_are_refused_before_training(stripes, tmp_path) -> None:
    config = configured(stripes, tmp_path / "net.yaml", classes={"rest": (0, 1), "cell": (2,)})
    with pytest.raises(ContractError, match="768 voxels have codes of no class: 3"):
        train(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"out_channels": 3}}, "follows from the classes"),
        ({"classes": {"cell": (2,)}}, "give two or more"),
        ({"volumes": ()}, "volumes is empty"),
        ({"checkpoint": "net.pt"}, "must end in .yaml"),
    ],
)
def test_configurations_that_make_no_sense(stripes, tmp_path, changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(stripes, tmp_path / "net.yaml", **changes)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ClassPatches, {"batch": 0}, "give at least 1"),
        (ClassOptimisation, {"steps": 0}, "at least 1 step"),
        (ClassOptimisation, {"momentum": 1.0}, "below 1"),
        (ClassOptimisation, {"dice": -1.0}, "must be 0 or more"),
        (ClassValidation, {"every": 0}, "at least"),
    ],
)
def test_options_that_make_no_sense(kind, values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**values)


def test_weights_of_classes_are_taken_out_of_the_answer_again(stripes, tmp_path) -> None:
    """With nothing to see, the answer is how often classes occur, not how they are weighed."""
    rare = {"rest": (0, 1, 2), "axon": (3,)}  # 3 to 1
    options = ClassOptimisation(steps=1, balance=1.0, dice=0.0)
    lesson = ClassLesson(
        configured(stripes, tmp_path / "net.yaml", classes=rare, optimisation=options)
    )
    np.testing.assert_allclose(np.exp(lesson.bias), (2 / 3, 2))
    network = lesson.network()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()  # both classes alike: what weighted cross-entropy learns from nothing
    weights = lesson.stored(network).weights
    prob = torch.softmax(weights["head.bias"], 0)
    assert prob.tolist() == pytest.approx([0.75, 0.25])
    plain = ClassOptimisation(steps=1, balance=1.0, adjust=False)
    other = ClassLesson(configured(stripes, tmp_path / "net.yaml", optimisation=plain))
    assert not other.bias.any()


def test_a_network_without_a_head_cannot_be_adjusted(stripes, tmp_path) -> None:
    several = {"background": (0, 1, 2), "axon": (3,)}
    keys = {"architecture": "high_res_net", "arguments": {"planar": True}, "classes": several}
    with pytest.raises(ConfigError, match="say optimisation.adjust: false"):
        ClassLesson(configured(stripes, tmp_path / "net.yaml", **keys)).network()
