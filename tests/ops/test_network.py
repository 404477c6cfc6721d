"""Networks as values: views and ensembles through blended inference, read once, blended once."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError
from volkit.geometry import Box, Grid, Windows
from volkit.io.open import open_volume
from volkit.models.card import parse_card
from volkit.models.ensemble import Ensemble, Scales
from volkit.models.roles import Roles
from volkit.models.scaling import Scale
from volkit.models.views import FLIPS, FLIPS_AND_ROTATIONS, views_of
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network, resolved_scale
from volkit.testing.networks import Affinities, gradient, identity

OFFSETS = ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, -3, 0), (0, 0, -3))
LABELS = np.random.default_rng(4).integers(1, 4, (9, 13, 11)).astype(np.float32)
WINDOW = (6, 8, 8)
FIXED = {"kind": "fixed", "divide": 255}


@pytest.fixture
def card():
    def make(uri, **keys):
        plain = {
            "weights": "net.safetensors",
            "sha256": "ab" * 32,
            "architecture": "meshnet",
            "channels": [1, 2],
            "window": [8, 8, 8],
        }
        return parse_card(plain | keys, uri)

    return make


def run(image, network, *, engine=None, block_shape=(5, 6, 7), **options):
    volume = open_volume(image)
    result = infer(
        volume,
        network,
        options=InferenceOptions(stride=(3, 4, 4), **options),
        grid=Grid(volume.domain, block_shape),
        engine=engine,
    )
    return result.read() if engine else result.compute(scheduler="sync")


@pytest.mark.parametrize("views", [FLIPS, FLIPS_AND_ROTATIONS, views_of(["zx", "yr90"])])
def test_affinities_are_the_same_with_and_without_views(views) -> None:
    plain = Network(Affinities(OFFSETS), WINDOW, (0, 0, 0), 6, roles=Roles(OFFSETS))
    np.testing.assert_allclose(
        run(LABELS, replace(plain, views=views)), run(LABELS, plain), rtol=2e-7
    )


def test_vectors_are_the_same_with_and_without_views() -> None:
    plain = Network(gradient, WINDOW, (0, 0, 0), 3, roles=Roles(vectors=((0, 1, 2),)))
    turned = replace(plain, views=FLIPS_AND_ROTATIONS)
    np.testing.assert_array_equal(run(LABELS, turned), run(LABELS, plain))


def test_without_roles_flipped_affinities_would_be_wrong() -> None:
    plain = Network(Affinities(OFFSETS[:3]), WINDOW, (0, 0, 0), 3)
    blind = replace(plain, views=FLIPS)
    assert np.abs(run(LABELS, blind) - run(LABELS, plain)).max() > 0.4


def test_views_average_what_a_network_says_of_places() -> None:
    def place(batch):
        return np.broadcast_to(np.arange(8, dtype=np.float32), batch.shape)

    network = Network(place, WINDOW, views=FLIPS)
    np.testing.assert_allclose(run(LABELS, network), 3.5)  # a place and its mirror image


def test_engines_agree_on_an_ensemble(tmp_path: Path) -> None:
    model = Ensemble((identity, np.negative, np.square), (1, 2, 3), deviation=True)
    network = Network.of(model, window=WINDOW, views=FLIPS)
    assert network.channels == 2
    lazy = run(LABELS, network)
    np.testing.assert_array_equal(run(LABELS, network, engine=JobEngine(tmp_path)), lazy)
    x = LABELS.astype(float)
    answers = np.array([x, -x, x * x])
    mean = np.average(answers, axis=0, weights=[1, 2, 3])
    spread = np.sqrt(np.average((answers - mean) ** 2, axis=0, weights=[1, 2, 3]))
    np.testing.assert_allclose(lazy, [mean, spread], rtol=1e-5, atol=1e-6)


def test_a_list_is_a_mean() -> None:
    got = infer(
        open_volume(LABELS),
        [identity, np.square],
        options=InferenceOptions(window=WINDOW, views=("x",)),
    )
    np.testing.assert_allclose(got.compute()[0], (LABELS + LABELS**2) / 2, rtol=1e-6)


class Counted:
    """A member that counts what it is asked."""

    def __init__(self) -> None:
        self.calls = self.windows = 0

    def __call__(self, batch):
        self.calls += 1
        self.windows += len(batch)
        return batch


class Watched:
    """An array that counts how often it is read, and how much."""

    def __init__(self, array) -> None:
        self.array, self.reads, self.voxels = array, 0, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, part):
        found = self.array[part]
        self.reads, self.voxels = self.reads + 1, self.voxels + found.size
        return found


@pytest.mark.parametrize("views", ["none", "flips"])
def test_four_members_cost_four_passes_and_one_reading(views) -> None:
    alone, members, seen = Counted(), tuple(Counted() for _ in range(4)), []
    raw = np.random.default_rng(1).random((18, 24, 26), np.float32)
    for model, turned in ((alone, "none"), (members, views)):
        watched = Watched(raw)
        options = InferenceOptions(window=WINDOW, stride=(3, 4, 4), seams="exchange", views=turned)
        image = da.from_array(watched, chunks=(9, 12, 13), inline_array=True)
        infer(image, model, options=options).compute(scheduler="sync")
        seen.append((watched.reads, watched.voxels))
    assert seen[0] == seen[1]
    number = len(views_of(views))
    assert alone.windows == len(Windows(Box.from_shape(raw.shape), WINDOW, (3, 4, 4)))
    assert {member.windows for member in members} == {number * alone.windows}
    assert {member.calls for member in members} == {number * alone.calls}
    assert Network.of(members, window=WINDOW, views=views_of(views)).passes == 4 * number


def test_every_member_gets_its_own_scale_from_one_histogram(card) -> None:
    quantile = card("q.yaml", scaling={"kind": "quantile", "low": 0, "high": 1})
    network = Network.of([card("a.yaml"), quantile, card("f.yaml", scaling=FIXED)])
    assert network.needs_histogram
    scales = resolved_scale(network.scaling, [10, 30], [1, 3])
    assert scales == Scales((Scale(), Scale(10.0, 20.0, 10.0, 30.0), Scale(0.0, 255.0)))
    assert resolved_scale(Network.of(quantile).scaling, [10, 30], [1, 3]) == scales.members[1]
    assert not Network.of([card("a.yaml")]).needs_histogram


def test_facts_cover_all_that_decides_and_nothing_else(card) -> None:
    a, b = card("a.yaml"), card("b.yaml", sha256="cd" * 32)
    variants = [
        Network.of(a),
        Network.of(b),
        Network.of([a, b]),
        Network.of([b, a]),
        Network.of(Ensemble((a, b), (1, 2))),
        Network.of(Ensemble((a, b), combine="max")),
        Network.of(Ensemble((a, b), deviation=True)),
        Network.of([a, b], views=FLIPS),
        Network.of(a, views=FLIPS),
        Network.of(a, views=views_of(["x"])),
        Network.of(card("a.yaml", offsets=[[0, 0, -1], None]), views=FLIPS),
        Network.of(card("a.yaml", scaling=FIXED), views=FLIPS),
    ]
    texts = [json.dumps(network.facts, sort_keys=True) for network in variants]
    assert len(set(texts)) == len(variants)
    # What was computed before there were views is known by the same facts.
    assert set(Network.of(a).facts) == {
        "weights", "card", "window", "margin", "channels", "precision"
    }  # fmt: skip
    moved = replace(variants[2], device="cpu", batch=9)
    assert moved.facts == variants[2].facts
    assert [member["weights"] for member in variants[2].facts["members"]] == [a.sha256, b.sha256]
    assert variants[2].origin["members"][1] == {"uri": "b.yaml", "sha256": "cd" * 32}
    assert Network.of(card("a.yaml", offsets=[[0, 0, -1], None])).facts == Network.of(a).facts


def test_it_travels(card) -> None:
    network = Network.of(Ensemble((card("a.yaml"), card("b.yaml")), (1, 2)), views=FLIPS)
    assert pickle.loads(pickle.dumps(network)) == network


def test_the_larger_margin_counts_and_turns_with_the_window(card) -> None:
    a, b = card("a.yaml", margin=[1, 3, 2]), card("b.yaml", margin=[2, 1, 1])
    assert Network.of([a, b]).margin == (2, 3, 2)
    assert Network.of([a, b], views=FLIPS).margin == (2, 3, 2)
    assert Network.of([a, b], views=FLIPS_AND_ROTATIONS).margin == (2, 3, 3)


def test_windows_must_agree_or_be_given(card) -> None:
    pair = [card("a.yaml"), card("nets/b.yaml", window=[8, 16, 16])]
    with pytest.raises(ConfigError, match=r"a.yaml \(8, 8, 8\); b.yaml \(8, 16, 16\); give one"):
        Network.of(pair)
    assert Network.of(pair, window=(8, 8, 8)).window == (8, 8, 8)
    with pytest.raises(ConfigError, match="a callable does not say what it sees"):
        Network.of([identity, identity])


def test_rotations_need_square_windows_and_voxels(card) -> None:
    with pytest.raises(ConfigError, match=r"views r90 rotate windows of \(8, 8, 16\), whose y and"):
        Network.of(card("a.yaml", window=[8, 8, 16]), views=views_of(["z", "r90"]))
    with pytest.raises(ConfigError, match="that a.yaml was trained on; choose flips"):
        Network.of(card("a.yaml", voxel_size_nm=[40, 4, 8]), views=FLIPS_AND_ROTATIONS)
    Network.of(card("a.yaml", window=[8, 8, 16], voxel_size_nm=[40, 4, 8]), views=FLIPS)


def test_channels_must_allow_the_views_before_the_run(card) -> None:
    lone = card("a.yaml", offsets=[[0, 0, -1], None])
    with pytest.raises(ConfigError, match=r"affinity of offset \(0, 0, -1\) becomes that of"):
        infer(LABELS, lone, options=InferenceOptions(views="flips+rotations"))
    with pytest.raises(ConfigError, match="views 'all' is unknown"):
        InferenceOptions(views="all")


def test_probabilities_of_all_members_are_bounded(card) -> None:
    soft, plain = card("a.yaml", activation="sigmoid"), card("b.yaml")
    assert Network.of([soft, soft], views=FLIPS).bounded
    assert not Network.of([soft, plain]).bounded
    assert not Network.of(identity, window=WINDOW).bounded
