"""Stall ensembles: one pass equals an explicit loop, whatever else is asked with it."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from volkit.errors import ConfigError, ModelError
from volkit.geometry import Box
from volkit.kernels.clips import Clip
from volkit.models.checkpoint import read_checkpoint
from volkit.models.module_loading import read_module
from volkit.models.views import FLIPS, IDENTITY, views_of
from volkit.ops.stall_ensemble import StallEnsemble, read_folds
from volkit.ops.stall_heads import dropout_masks
from volkit.testing.stall_folds import write_folds

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cards(tmp_path_factory) -> list[str]:
    return write_folds(tmp_path_factory.mktemp("folds"), count=3)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    shapes = [(9, 20, 31), (16, 24, 24), (40, 11, 12), (12, 24, 25), (7, 8, 9)]
    return [Clip(rng.integers(0, 255, (3, *s)).astype(np.uint8), Box.from_shape(s)) for s in shapes]


def test_folds_and_views_in_one_pass_equal_an_explicit_loop(cards, clips) -> None:
    ensemble = StallEnsemble(read_folds(cards), passes=0)
    found = ensemble.logits(clips, range(5))["logits"]
    assert found.shape == (3, 8, 5)
    for fold, card in enumerate(cards):
        network = read_module(read_checkpoint(card)).eval()
        for n, clip in enumerate(clips):
            x = (clip.window((16, 24, 24)).astype(np.float32) - 114.5) / 57.4
            for v, view in enumerate(FLIPS):
                axes = [a + 1 for a, flip in enumerate(view.flips) if flip]
                turned = torch.from_numpy(np.flip(x, axes).copy())[None]
                with torch.inference_mode():
                    assert found[fold, v, n] == pytest.approx(float(network(turned)), abs=1e-5)


def test_passes_with_dropout_equal_full_passes_with_the_same_masks(cards, clips) -> None:
    ensemble = StallEnsemble(read_folds(cards), views=(IDENTITY,), passes=4, seed=3)
    found = ensemble.logits(clips[:2], [11, 12])["dropped"]
    assert found.shape == (4, 3, 2)
    for fold, card in enumerate(cards):
        network = read_module(read_checkpoint(card)).eval()
        for n, key in enumerate((11, 12)):
            masks = dropout_masks((4, 16), 0.5, seed=3, key=(key, fold))
            x = (clips[n].window((16, 24, 24)).astype(np.float32) - 114.5) / 57.4
            for number, mask in enumerate(masks):
                handle = network.head[2].register_forward_hook(
                    lambda layer, given, answer, mask=mask: given[0] * torch.from_numpy(mask)
                )
                with torch.inference_mode():
                    full = float(network(torch.from_numpy(x)[None]).sigmoid())
                handle.remove()
                assert found[number, fold, n] == pytest.approx(full, abs=1e-5)


@pytest.mark.parametrize("views", ["none", "flips"])
def test_an_answer_does_not_depend_on_its_company(cards, clips, views) -> None:
    ensemble = StallEnsemble(read_folds(cards), views=views_of(views), passes=5)
    whole = ensemble.logits(clips, [5, 6, 7, 8, 9])
    turned = ensemble.logits(clips[::-1], [9, 8, 7, 6, 5])
    for name, values in whole.items():
        np.testing.assert_array_equal(values, turned[name][..., ::-1])
        alone = [ensemble.logits([c], [5 + n])[name] for n, c in enumerate(clips)]
        np.testing.assert_array_equal(values, np.concatenate(alone, -1))
    other = ensemble.logits(clips[:1], [99])
    assert (other["logits"] == whole["logits"][..., :1]).all()
    assert (other["dropped"] != whole["dropped"][..., :1]).any()


def test_without_dropout_passes_say_what_the_network_says(tmp_path, clips) -> None:
    cards = write_folds(tmp_path, count=1, dropout=0.0)
    found = StallEnsemble(read_folds(cards), passes=3).logits(clips, range(5))
    mean = expit(found["logits"][0]).mean(0)
    np.testing.assert_allclose(found["dropped"][:, 0], np.broadcast_to(mean, (3, 5)), atol=1e-6)


def test_grey_networks_see_the_mean_of_the_colours(tmp_path, clips) -> None:
    ensemble = StallEnsemble(read_folds(write_folds(tmp_path, count=1, channels=1)))
    seen = ensemble.prepared(clips[1])
    assert seen.shape == (1, 16, 24, 24)
    assert np.abs(seen[0] - clips[1].voxels.mean(0)).max() <= 0.5
    both = StallEnsemble(read_folds(write_folds(tmp_path / "2", count=1, channels=2)))
    with pytest.raises(ConfigError, match="a clip has 3 channels, the networks take 2"):
        both.prepared(clips[1])


def test_the_fingerprint_is_of_the_networks_alone(cards) -> None:
    folds = read_folds(cards)
    ensemble = StallEnsemble(folds)
    assert ensemble.fingerprint == StallEnsemble(folds[::-1], passes=3).fingerprint
    assert ensemble.fingerprint != StallEnsemble(folds[:2]).fingerprint
    assert ensemble.facts["rows"] == 8


def test_folds_are_found_by_name_and_missed_when_incomplete(tmp_path) -> None:
    write_folds(tmp_path, count=3)
    assert [c.uri for c in read_folds(tmp_path / "net.yaml")] == [
        str(tmp_path / f"net-fold{n}.yaml") for n in range(3)
    ]
    with pytest.raises(ModelError, match="3 of 5 folds are there: net-fold0.yaml"):
        read_folds(tmp_path / "net.yaml", folds=5)
    (tmp_path / "net-fold1.yaml").unlink()
    with pytest.raises(ModelError, match="folds 1 of .* are missing"):
        read_folds(tmp_path / "net.yaml")
    with pytest.raises(ModelError, match="there is no card"):
        read_folds(tmp_path / "other.yaml")


def test_folds_that_do_not_fit_are_refused(tmp_path, cards) -> None:
    first = read_folds(cards)[0]
    with pytest.raises(ConfigError, match="give each fold once"):
        StallEnsemble((first, first))
    small = read_folds(write_folds(tmp_path, count=1, window=(16, 16, 16)))
    with pytest.raises(ConfigError, match="folds differ in window or channels"):
        StallEnsemble((first, *small))
    with pytest.raises(ConfigError, match="boundaries-specimen.yaml does not answer a clip"):
        StallEnsemble((read_checkpoint("builtin:boundaries-specimen"),))
    with pytest.raises(ConfigError, match="give flips without turns"):
        StallEnsemble((first,), views=views_of(["r90"]))
