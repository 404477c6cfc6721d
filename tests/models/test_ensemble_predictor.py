import pickle

import numpy as np
import pytest

from volkit.errors import ModelError
from volkit.models.ensemble import Scales
from volkit.models.ensemble_predictor import (
    DeviceEnsemblePredictor,
    EnsemblePredictor,
    ensemble_predictor,
)
from volkit.models.predictor import FunctionPredictor, Predictor, as_predictor
from volkit.models.roles import Roles
from volkit.models.scaling import Scale
from volkit.models.views import FLIPS, FLIPS_AND_ROTATIONS, views_of
from volkit.testing.networks import Affinities, gradient, identity, ramp

BATCH = np.random.default_rng(0).random((2, 1, 4, 5, 5), np.float32)
NEAREST = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


def times(factor):
    return FunctionPredictor(lambda batch: np.float32(factor) * batch)


def of(*factors, weights=None, **options):
    members = tuple(times(factor) for factor in factors)
    return ensemble_predictor(members, weights or (1.0,) * len(members), **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 3.0), ({"weights": (1.0, 1.0, 2.0)}, 4.25), ({"combine": "max"}, 8.0)],
)
def test_mean_weighted_mean_and_largest(options, expected) -> None:
    answer = of(0, 1, 8, **options)(np.ones((1, 1, 2, 2, 2)))
    np.testing.assert_array_equal(answer, np.full((1, 1, 2, 2, 2), expected))


def test_members_see_their_own_scale() -> None:
    pair = of(1, 1)
    scales = Scales((Scale(0.0, 2.0), Scale(4.0, 1.0)))
    assert pair(np.full((1, 1, 1, 1, 1), 8), scale=scales).item() == (8 / 2 + (8 - 4)) / 2
    assert pair(np.full((1, 1, 1, 1, 1), 8), scale=(0, 2, None, None)).item() == 4


def test_deviation_is_over_members_and_views() -> None:
    views = views_of(["x"])
    pair = ensemble_predictor(
        (as_predictor(ramp), times(0)), (1.0, 3.0), views=(views[0],), deviation=True
    )
    with pytest.raises(ModelError, match=r"answered \(2, 2, 4, 5, 5\) and \(2, 1, 4, 5, 5\)"):
        pair(BATCH)
    members = as_predictor(ramp), as_predictor(lambda batch: -ramp(batch))
    got = ensemble_predictor(members, (1.0, 3.0), views=views, deviation=True)(BATCH)
    answers = [s * v.undo(ramp(v.apply(BATCH))).astype(float) for s in (1, -1) for v in views]
    weights = [1, 1, 3, 3]
    mean = np.average(answers, axis=0, weights=weights)
    deviation = np.sqrt(np.average((answers - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(got, np.concatenate([mean, deviation], axis=1), rtol=1e-5)


def test_equal_answers_deviate_by_nothing() -> None:
    got = of(0.1, 0.1, 0.1, views=FLIPS, deviation=True)(BATCH)
    assert not got[:, 1].any()
    np.testing.assert_allclose(got[:, 0], np.float32(0.1) * BATCH[:, 0], rtol=3e-7)


def test_affinities_deviate_by_nothing_at_faces_too() -> None:
    labels = np.round(BATCH)
    network = Affinities(NEAREST)
    turned = ensemble_predictor(
        (as_predictor(network),),
        (1.0,),
        views=FLIPS_AND_ROTATIONS,
        roles=Roles(NEAREST),
        deviation=True,
    )
    got = turned(labels)
    np.testing.assert_array_equal(got[:, :3], network(labels))
    assert not got[:, 3:].any()


def test_a_window_thinner_than_an_offset_has_only_its_own_answer() -> None:
    far = Affinities(((0, 0, -7),))
    turned = ensemble_predictor((as_predictor(far),), (1.0,), views=FLIPS, roles=Roles(far.offsets))
    np.testing.assert_array_equal(turned(BATCH), far(BATCH))


@pytest.mark.parametrize("views", [FLIPS, FLIPS_AND_ROTATIONS])
def test_what_lies_in_the_margin_is_not_shifted_out_of_it(views) -> None:
    offsets, margin = (*NEAREST, (-2, 0, 0), (0, -2, 0), (0, 0, -2)), (1, 2, 2)
    labels = np.random.default_rng(8).integers(0, 3, (1, 1, 7, 9, 9))

    def valid(batch):
        answer = np.full((1, 6, *batch.shape[2:]), 1000, np.float32)  # nothing that counts
        answer[:, :, 1:-1, 2:-2, 2:-2] = Affinities(offsets)(batch)[:, :, 1:-1, 2:-2, 2:-2]
        return answer

    turned = ensemble_predictor(
        (as_predictor(valid),),
        (1.0,),
        views=views,
        roles=Roles(offsets),
        margin=margin,
        deviation=True,
    )
    got = turned(labels)[:, :, 1:-1, 2:-2, 2:-2]
    np.testing.assert_array_equal(got[:, :6], valid(labels)[:, :, 1:-1, 2:-2, 2:-2])
    assert not got[:, 6:].any()


def test_windows_cut_at_faces_need_not_be_square() -> None:
    cut = BATCH[..., :3]
    turned = ensemble_predictor((as_predictor(identity),), (1.0,), views=FLIPS_AND_ROTATIONS)
    np.testing.assert_allclose(turned(cut), cut, rtol=1e-6)


def test_components_of_a_turned_vector_keep_their_direction() -> None:
    turned = ensemble_predictor(
        (as_predictor(gradient),),
        (1.0,),
        views=FLIPS_AND_ROTATIONS,
        roles=Roles(vectors=((0, 1, 2),)),
        deviation=True,
    )
    got = turned(BATCH)
    np.testing.assert_allclose(got[:, :3], gradient(BATCH), rtol=1e-6)
    assert not got[:, 3:].any()


def test_a_mean_stays_within_the_bounds_of_its_members() -> None:
    one = np.ones((1, 1, 3, 3, 3))
    for weights in ((0.1, 0.2, 0.7), (1 / 3, 1 / 3, 1 / 3), (3.3, 1e-3, 7.7)):
        assert of(1, 1, 1, weights=weights, views=FLIPS)(one).max() <= 1
        almost = float(np.nextafter(np.float32(1), np.float32(0)))
        assert of(almost, 1, almost, weights=weights)(one).max() <= 1


def test_what_a_function_keeps_is_left_as_it_was() -> None:
    kept = np.ones((1, 1, 2, 2, 2), np.float32)
    pair = ensemble_predictor(
        (as_predictor(lambda batch: kept), times(5)), (1.0, 1.0), views=FLIPS, deviation=True
    )
    pair(np.ones((1, 1, 2, 2, 2)))
    assert kept.min() == kept.max() == 1


def test_it_is_a_predictor_that_travels() -> None:
    pair = ensemble_predictor((as_predictor(identity), as_predictor(ramp)), (1.0, 1.0))
    assert isinstance(pair, Predictor)
    assert type(pair) is EnsemblePredictor
    assert pair.identity is None
    assert not pair.bounded
    assert pickle.loads(pickle.dumps(pair)) == pair


def test_members_on_a_device_are_combined_there(saved, tmp_path) -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    from volkit.models.checkpoint import load, save_checkpoint
    from volkit.models.meshnet import MeshNet

    with torch.random.fork_rng():
        torch.manual_seed(6)
        other = MeshNet(**saved.arguments)
    second = save_checkpoint(
        other.state_dict(),
        tmp_path / "other.yaml",
        {
            "architecture": "meshnet",
            "arguments": saved.arguments,
            "channels": [1, 2],
            "window": [8, 8, 8],
            "margin": [3, 3, 3],
            "activation": "softmax",
        },
    )
    members = load(saved, "cpu"), load(second, "cpu")
    for combine, roles in (("mean", Roles(((0, 0, -1), None))), ("max", Roles())):
        options = {"views": FLIPS, "roles": roles, "combine": combine, "deviation": True}
        there = ensemble_predictor(members, (1.0, 3.0), **options)
        assert isinstance(there, DeviceEnsemblePredictor)
        assert there.device == "cpu"
        assert there.bounded
        here = EnsemblePredictor(members, (1.0, 3.0), FLIPS, roles, combine, deviation=True)
        answer = there.on_device(BATCH)
        assert isinstance(answer, torch.Tensor)
        np.testing.assert_allclose(answer.numpy(), here(BATCH), rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(there(BATCH), answer.numpy())
        assert there.identity
        assert pickle.loads(pickle.dumps(there)).identity == there.identity
    assert here.identity != ensemble_predictor(members[::-1], (1.0, 3.0), **options).identity
