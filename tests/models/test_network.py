import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ModelError, NonFiniteError
from volkit.models import network as module
from volkit.models.checkpoint import load, save_checkpoint
from volkit.models.predictor import as_predictor
from volkit.testing.networks import identity, ramp
from volkit.testing.torch_networks import Identity, Ramp


@pytest.fixture
def batch():
    return np.random.default_rng(3).random((4, 1, 8, 8, 8), np.float32)


def test_the_answer_is_that_of_the_module(saved, network, batch) -> None:
    with torch.inference_mode():
        expected = network((torch.from_numpy(batch) - 0.5) / 2).softmax(1).numpy()
    answer = load(saved)(batch, scale=(0.5, 2.0, None, None))
    assert answer.dtype == np.float32
    assert answer.flags.c_contiguous
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(answer.sum(1), 1, rtol=1e-5)


def test_an_answer_does_not_depend_on_the_size_of_its_batch(saved, batch) -> None:
    predictor = load(saved)
    alone = np.concatenate([predictor(batch[i : i + 1]) for i in range(len(batch))])
    np.testing.assert_array_equal(alone, predictor(batch))


@pytest.mark.parametrize("activation", ["sigmoid", "none"])
def test_activation(network, card, tmp_path, batch, activation) -> None:
    card["activation"] = activation
    answer = load(save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card))(batch)
    with torch.inference_mode():
        logits = network(torch.from_numpy(batch))
    expected = logits.sigmoid() if activation == "sigmoid" else logits
    np.testing.assert_allclose(answer, expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "none"])
def test_answers_of_an_activation_are_bounded(saved, batch, activation) -> None:
    predictor = load(replace(saved, activation=activation))
    assert predictor.bounded == (activation != "none")
    if predictor.bounded:
        answer = predictor(1e4 * batch)
        assert answer.min() >= 0
        assert answer.max() <= 1


def test_an_answer_may_stay_on_its_device(saved, batch) -> None:
    predictor = load(saved, "cpu")
    answer = predictor.on_device(batch, scale=(0.5, 2.0, None, None))
    assert (answer.device.type, answer.dtype) == ("cpu", torch.float32)
    expected = predictor(batch, scale=(0.5, 2.0, None, None))
    np.testing.assert_array_equal(answer.numpy(), expected)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_is_near(saved, batch, precision) -> None:
    lower = load(saved, "cpu", precision)
    assert lower is not load(saved, "cpu")
    assert lower(batch).dtype == np.float32
    np.testing.assert_allclose(lower(batch), load(saved)(batch), atol=0.02)


@pytest.mark.parametrize(("known", "wrapped"), [(identity, Identity()), (ramp, Ramp())])
def test_modules_and_functions_of_testing_agree(known, wrapped, batch) -> None:
    np.testing.assert_allclose(as_predictor(wrapped)(batch), as_predictor(known)(batch), rtol=1e-6)


def test_a_wrapped_module_is_a_copy(network, batch) -> None:
    network.train()
    predictor = as_predictor(network)
    before = predictor(batch)
    with torch.no_grad():
        network.output.bias += 1
    assert network.training
    assert type(network.output) is nn.Conv3d
    np.testing.assert_array_equal(predictor(batch), before)
    assert predictor.identity != as_predictor(network).identity


def test_one_load_for_many_threads(saved, monkeypatch) -> None:
    reads = []
    read = module.read_module
    monkeypatch.setattr(
        module, "read_module", lambda checkpoint: reads.append(1) or read(checkpoint)
    )
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load(saved), range(32)))
    assert (len(found), len(reads)) == (1, 1)


def test_the_same_weights_used_otherwise_are_loaded_again(saved) -> None:
    assert load(replace(saved, activation="none")) is not load(saved)


def test_a_loaded_predictor_travels_as_its_card(saved, batch) -> None:
    predictor = load(saved)
    assert len(pickle.dumps(predictor)) < 2000
    assert pickle.loads(pickle.dumps(predictor)) is predictor


def test_a_wrapped_predictor_travels_with_its_module(network, batch) -> None:
    predictor = as_predictor(network)
    again = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(again(batch), predictor(batch))
    assert again.identity == predictor.identity


def test_channels_of_the_input_are_compared(saved) -> None:
    with pytest.raises(ModelError, match="takes 1 channels, the volume has 2"):
        load(saved)(np.zeros((1, 2, 8, 8, 8)))


@pytest.mark.parametrize("channels", [(2, 2), (1, 3)])
def test_channels_of_the_card_are_compared(saved, channels) -> None:
    wrong = replace(saved, channels=channels)
    with pytest.raises(ModelError, match=rf"gives channels \({channels[0]}, {channels[1]}\)"):
        load(wrong)


class Strided(nn.Conv3d):
    def __init__(self) -> None:
        super().__init__(1, 1, 3, stride=2, padding=1)


class Two(nn.Identity):
    def forward(self, input):
        return input, input


def test_a_strided_network_is_refused(batch) -> None:
    with pytest.raises(ModelError, match=r"\(4, 1, 4, 4, 4\) to a batch of \(4, 1, 8, 8, 8\)"):
        as_predictor(Strided())(batch)
    with pytest.raises(ModelError, match="answered tuple, expected one tensor"):
        as_predictor(Two())(batch)


def test_nan_is_found(network, batch) -> None:
    with torch.no_grad():
        network.output.bias.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="to finite input") as caught:
        as_predictor(network)(batch)
    assert caught.value.windows == (0, 1, 2, 3)


@pytest.mark.parametrize("model", [Identity(), identity])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_windows_with_nan_are_named_or_marked(batch, model, value) -> None:
    batch[1, 0, 1, 1, 1] = batch[3, 0, 2, 2, 2] = value
    with pytest.raises(NonFiniteError, match="the input holds NaN") as caught:
        as_predictor(model)(batch)
    assert caught.value.windows == (1, 3)
    assert pickle.loads(pickle.dumps(caught.value)).windows == (1, 3)
    marked = as_predictor(model, nonfinite="mark")
    np.testing.assert_array_equal(marked(batch), batch)
    assert marked.identity == as_predictor(model).identity


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("tpv", "auto", "device 'tpv' is unknown; use auto, cpu, cuda or mps"),
        ("cpu", "float8", "precision 'float8' is unknown"),
    ],
)
def test_unknown_places_are_refused(saved, device, precision, message) -> None:
    with pytest.raises(ModelError, match=message):
        load(saved, device, precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_absent_device_is_refused(saved) -> None:
    with pytest.raises(ModelError, match="device 'cuda' is not here"):
        load(saved, "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(("precision", "atol"), [("float32", 1e-3), ("bfloat16", 0.03)])
def test_cuda_agrees_with_the_cpu(saved, batch, precision, atol) -> None:
    answer = load(saved, "cuda", precision)(batch)
    np.testing.assert_allclose(answer, load(saved, "cpu")(batch), atol=atol)
