import pickle
import threading
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models import wrapped as module
from volkit.models.running import Running
from volkit.models.wrapped import callable_digest, wrapped
from volkit.ops.network import Network
from volkit.testing.torch_networks import Identity

WINDOW = (2, 2, 2)


@pytest.fixture(autouse=True)
def nothing_wrapped(monkeypatch):
    monkeypatch.setattr(module, "_WRAPPED", type(module._WRAPPED)())


def scaling(factor: float) -> nn.Module:
    net = Identity()
    with torch.no_grad():
        net.weight.fill_(factor)
    return net


def test_a_module_that_travelled_is_wrapped_once_per_process() -> None:
    network = Network.of(Identity(), window=WINDOW, device="cpu")
    tasks = [pickle.loads(pickle.dumps(network)) for _ in range(3)]
    assert len({id(task.model) for task in tasks}) == 3
    assert len({id(task.predictor()) for task in tasks}) == 1
    assert tasks[0].facts == network.facts


def test_other_weights_or_another_way_of_running_are_another_predictor() -> None:
    one, two = (Network.of(scaling(f), window=WINDOW, device="cpu") for f in (1.0, 2.0))
    coarse = Network.of(scaling(1.0), window=WINDOW, device="cpu", precision="bfloat16")
    assert len({id(n.predictor()) for n in (one, two, coarse)}) == 3
    assert len({str(n.facts) for n in (one, two, coarse)}) == 3
    np.testing.assert_array_equal(two.predictor()(np.ones((1, 2, 2, 2))), 2)


def test_few_modules_are_kept() -> None:
    for factor in range(12):
        net = scaling(float(factor))
        wrapped(net, callable_digest(net), Running("cpu"))
    assert len(module._WRAPPED) == 8


def test_the_way_of_running_reaches_the_predictor(saved) -> None:
    for model in (saved, Identity()):
        plain = Network.of(model, window=WINDOW, device="cpu")
        network = replace(plain, batch=6, compile=True, nonfinite="mark")
        predictor = network.predictor()
        assert predictor.running == Running("cpu", "float32", "torch", True, "mark")
        assert (predictor.limit.full, predictor.limit.fixed) == (6, True)
        assert network.facts == {**plain.facts, "compile": True}
        assert replace(plain, backend="onnxruntime").facts["backend"] == "onnxruntime"


def test_functions_keep_what_they_hold() -> None:
    counts = []
    for _ in range(2):
        calls = []
        network = Network.of(lambda batch, calls=calls: calls.append(1) or batch, window=WINDOW)
        network.predictor()(np.zeros((1, 2, 2, 2)))
        counts.append(len(calls))
    assert counts == [1, 1]


def test_the_digest_is_made_once_and_travels(monkeypatch) -> None:
    network = Network.of(Identity(), window=WINDOW, device="cpu")
    monkeypatch.setattr(cloudpickle, "dumps", lambda value: pytest.fail("pickled again"))
    again = pickle.loads(pickle.dumps(network))
    assert again.facts == network.facts
    again.predictor()


@pytest.mark.parametrize("held", [threading.Lock(), (n for n in ())], ids=["lock", "generator"])
def test_a_model_that_cannot_travel_is_refused(held) -> None:
    def answers(batch):
        return batch if held else -batch

    with pytest.raises(ModelError, match="answers cannot be pickled .*cannot pickle"):
        Network.of(answers, window=WINDOW)
