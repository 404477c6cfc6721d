"""Affinities: targets by hand and by brute force, patches, and runs of a second."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError, ModelError
from volkit.models.checkpoint import load
from volkit.models.weights import read_state
from volkit.pipelines.config import validate
from volkit.training.affinity_config import AffinityConfig, AffinityPatches
from volkit.training.affinity_lesson import AffinityLesson
from volkit.training.config import Augmentation, Optimisation, Validation
from volkit.training.loop import train
from volkit.training.losses import balanced_bce
from volkit.training.patches import draw_affinities, open_tissue
from volkit.training.targets import affinity_maps, boundary_map, boundary_of

NEAREST = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
CALM = Augmentation(
    warp=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shading=0, sections=0
)


def test_affinities_by_hand() -> None:
    labels = np.array([[[1, 1, 2]], [[1, 0, 2]]])
    same, known = affinity_maps(labels, [(-1, 0, 0), (0, 0, 1), (0, 0, -2)], zero="unlabelled")
    assert same.astype(int).tolist() == [
        [[[0, 0, 0]], [[1, 0, 1]]],
        [[[1, 0, 0]], [[0, 0, 0]]],
        [[[0, 0, 0]], [[0, 0, 0]]],
    ]
    assert known.astype(int).tolist() == [
        [[[0, 0, 0]], [[1, 0, 1]]],
        [[[1, 1, 0]], [[0, 0, 0]]],
        [[[0, 0, 1]], [[0, 0, 1]]],
    ]
    _, told = affinity_maps(labels, [(-1, 0, 0)], zero="membrane")
    assert told.astype(int).tolist() == [[[[0, 0, 0]], [[1, 1, 1]]]]


@given(seed=st.integers(0, 99), offset=st.tuples(*[st.integers(-4, 4)] * 3))
def test_affinities_are_those_of_every_pair(seed, offset) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, (3, 4, 5))
    (same,), (known,) = affinity_maps(labels, [offset], zero="unlabelled")
    for here in np.ndindex(labels.shape):
        there = tuple(a + b for a, b in zip(here, offset, strict=True))
        inside = all(0 <= n < size for n, size in zip(there, labels.shape, strict=True))
        a, b = labels[here], labels[there] if inside else 0
        assert known[here] == (inside and a != 0 and b != 0)
        assert same[here] == (inside and a == b != 0)


@pytest.mark.parametrize("sign", [-1, 1])
def test_perfect_affinities_give_the_boundary_map(sign) -> None:
    labels = np.random.default_rng(3).integers(1, 4, (4, 5, 6))
    offsets = [(0, sign, 0), (0, 0, sign), (sign, 0, 0)]
    same, known = affinity_maps(labels, offsets)
    perfect = np.where(known, same, np.float32(0.5)).astype(np.float32)
    np.testing.assert_array_equal(boundary_of(perfect, offsets), boundary_map(labels))


def test_loss_counts_known_edges_alone() -> None:
    logits = torch.tensor([[[[[0.3, -1.0, 2.0, 9.0]]]]])
    target = torch.tensor([[[[[1.0, 0.0, 0.0, 0.0]]]]])
    known = torch.tensor([[[[[1.0, 1.0, 1.0, 0.0]]]]])
    expected = balanced_bce(logits[..., :3], target[..., :3])
    torch.testing.assert_close(balanced_bce(logits, target, known=known), expected)


def test_patches_fit_their_affinities(tissue) -> None:
    opened = open_tissue(tissue, AffinityConfig("a.yaml", (tissue,)).scaling)
    patches = AffinityPatches((6, 9, 7), 3, auxiliary=((0, 0, -5),))
    augmentation = Augmentation(misaligned=1.0, slip=3, sections=0)
    images, targets, known = draw_affinities(
        [opened], patches, augmentation, np.random.default_rng(5)
    )
    assert images.shape == (3, 1, 6, 9, 7)
    assert targets.shape == known.shape == (3, 4, 6, 9, 7)
    assert set(np.unique(targets)) == set(np.unique(known)) == {0, 1}
    assert not known[:, 3, :, :, :5].any()
    again = draw_affinities([opened], patches, augmentation, np.random.default_rng(5))
    np.testing.assert_array_equal(images, again[0])


def test_walls_are_dark_where_affinities_end(tissue) -> None:
    opened = open_tissue(tissue, AffinityConfig("a.yaml", (tissue,)).scaling)
    patches = AffinityPatches((8, 16, 16), 4)
    images, targets, known = draw_affinities([opened], patches, CALM, np.random.default_rng(0))
    apart = (targets[:, 2] == 0) & (known[:, 2] == 1)
    assert images[:, 0][apart].mean() < images[:, 0][targets[:, 2] == 1].mean() - 1


@pytest.fixture
def affine(tissue, tmp_path: Path):
    """Make the configuration of a run of a second."""

    def make(name: str = "run", *, steps: int = 4, **changes) -> AffinityConfig:
        given = {
            "arguments": {"widths": (8, 16), "blocks": (1, 1)},
            "patches": AffinityPatches((8, 16, 16), 2, auxiliary=((0, -4, 0),)),
            "optimisation": Optimisation(steps=steps, warmup=2, learning_rate=2e-2, average=0.9),
            "validation": Validation((tissue,), every=2, window=(8, 16, 16)),
            "augmentation": Augmentation(misaligned=0.5, slip=2),
            "window": (8, 16, 16),
            **changes,
        }
        return AffinityConfig(str(tmp_path / name / "tiny.yaml"), (tissue,), **given)

    return make


def test_affinities_are_learnt_and_stated_in_the_card(affine, tissue) -> None:
    result = train(
        affine(steps=30, augmentation=CALM, validation=Validation((tissue,), 30, (8, 16, 16)))
    )
    assert np.mean(result.losses[-5:]) < 0.6 * result.losses[0]
    card = result.checkpoint
    assert card.offsets == (*NEAREST, (0, -4, 0))
    assert (card.channels, card.activation) == ((1, 4), "sigmoid")
    image = np.full((1, 1, 8, 16, 16), 150, np.float32)
    image[..., 7:9] = 70
    answer = load(card, device="cpu")(image, scale=(120.0, 35.0, None, None))[0]
    assert answer[2, 4, 8, 8] < 0.5 < answer[2, 4, 8, 2]


class KilledError(Exception):
    """A run that was killed."""


def test_resumed_run_ends_with_the_same_bytes(affine) -> None:
    whole, cut = affine("whole"), affine("cut")
    expected = train(whole)

    def kill(progress) -> None:
        if progress.step == 3:
            raise KilledError("killed")

    with pytest.raises(KilledError, match="killed"):
        train(cut, on_progress=kill)
    assert train(cut).losses == expected.losses
    bytes_of = [
        [p.read_bytes() for p in sorted(Path(c.checkpoint).parent.glob("tiny*"))
         if p.suffix != ".pt"]
        for c in (whole, cut)
    ]  # fmt: skip
    assert bytes_of[0] == bytes_of[1]


TREE = {"checkpoint": "a.yaml", "volumes": [{"image": "a.zarr", "labels": "b.zarr"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patches": {"nearest": [[-1, 0, 0], [0, -1, 0]]}}, "one step along each axis"),
        ({"patches": {"auxiliary": [[0, 0, 0]]}}, "must lead to another voxel"),
        ({"patches": {"auxiliary": [[0, -48, 0]]}}, "shorten it, or enlarge the patch"),
        ({"patches": {"batch": 0}}, "at least 1 everywhere"),
        ({"patches": {"zero": "hole"}}, "zero"),
        ({"arguments": {"out_channels": 3}}, "follows from the offsets"),
        ({"augmentation": {"slip": -1}}, "augmentation slip is -1"),
        ({"volumes": []}, "volumes is empty"),
        ({"checkpoint": "a.pt"}, "must end in .yaml"),
    ],
)
def test_wrong_configuration_is_refused(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        validate({**TREE, **change}, AffinityConfig, where="here")


def test_weights_start_from_a_trained_network(affine, configured) -> None:
    card = train(configured("boundary", steps=1)).checkpoint
    plain = {"widths": (8, 16), "blocks": (1, 1), "norm": "none"}
    config = affine("started", steps=1, arguments=plain, start_from=card.uri)
    network = AffinityLesson(config).network().state_dict()
    found = read_state(Path(card.weights_uri).read_bytes(), "safetensors", source="card")
    assert found["head.weight"].shape[0] == 1  # not those of four channels
    taken = [name for name in found if not name.startswith("head")]
    assert set(taken) | {"head.weight", "head.bias"} == set(network)
    for name in taken:
        torch.testing.assert_close(network[name], found[name], rtol=0, atol=0)
    assert train(config).checkpoint.offsets == (*NEAREST, (0, -4, 0))


def test_start_from_a_network_of_another_kind_is_refused(affine, configured) -> None:
    card = train(configured("boundary", steps=1)).checkpoint
    plain = {"widths": (4, 8), "blocks": (1, 1), "norm": "none"}
    with pytest.raises(ModelError, match=r"of the \d+ tensors of this network"):
        train(affine("started", steps=1, arguments=plain, start_from=card.uri))
