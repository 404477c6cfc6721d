import pickle
import sys

import numpy as np
import pytest

from volkit.errors import ModelError
from volkit.models.predictor import FunctionPredictor, Predictor, as_predictor
from volkit.models.scaling import Scale
from volkit.testing.networks import identity, ramp


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f2", "f4", ">f8", "?", "u8"])
def test_a_function_sees_float32_scaled(dtype) -> None:
    batch = np.ones((2, 3, 4, 5, 6), dtype)
    answer = as_predictor(identity)(batch, scale=Scale(shift=3, divide=2))
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, np.full(batch.shape, -1))


def test_the_batch_is_left_as_it_was() -> None:
    batch = np.ones((1, 1, 2, 2, 2), np.float32)
    batch.setflags(write=False)
    as_predictor(identity)(batch, scale=(1, 2, 0, 1))
    assert batch.min() == 1


def test_a_channel_axis_is_added() -> None:
    assert as_predictor(ramp)(np.zeros((2, 3, 4, 5))).shape == (2, 2, 3, 4, 5)


def test_a_predictor_is_returned_as_it_is() -> None:
    predictor = as_predictor(identity)
    assert isinstance(predictor, Predictor)
    assert as_predictor(predictor) is predictor
    assert not predictor.bounded
    assert isinstance(pickle.loads(pickle.dumps(predictor)), FunctionPredictor)


def test_a_card_or_its_address_is_loaded(saved) -> None:
    assert as_predictor(saved) is as_predictor(saved.uri)


def test_something_else_is_no_model() -> None:
    with pytest.raises(ModelError, match="dict is no model; give a checkpoint"):
        as_predictor({})


@pytest.mark.parametrize("batch", [np.zeros((2, 2, 2)), np.zeros((1, 2, 2, 2), complex)])
def test_a_batch_of_another_kind_is_refused(batch) -> None:
    with pytest.raises(ModelError, match="expected real numbers of shape"):
        as_predictor(identity)(batch)


@pytest.mark.parametrize(
    "function",
    [
        lambda batch: batch[:, :, ::2],
        lambda batch: batch[:1],
        lambda batch: batch[:, 0],
        lambda batch: batch[..., 1:],
    ],
)
def test_a_cut_answer_is_refused_with_both_shapes(function) -> None:
    with pytest.raises(ModelError, match=r"answered \(.*to a batch of \(2, 1, 4, 4, 4\), expected"):
        as_predictor(function)(np.zeros((2, 1, 4, 4, 4)))


def test_nan_is_blamed_on_the_network_or_on_the_input() -> None:
    with pytest.raises(ModelError, match="the network answered NaN or infinity to finite input"):
        as_predictor(lambda batch: batch + np.inf)(np.zeros((1, 2, 2, 2)))
    with pytest.raises(ModelError, match="the input holds NaN or infinity"):
        as_predictor(identity)(np.full((1, 2, 2, 2), np.nan))


def test_functions_need_no_torch(monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    assert as_predictor(identity)(np.zeros((1, 2, 2, 2))).shape == (1, 1, 2, 2, 2)
