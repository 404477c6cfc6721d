import logging

import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.checkpoint import load
from volkit.models.forward import Fallback, GraphedForward
from volkit.models.predictor import as_predictor

# Of the compiler of torch, when it is first imported.
own_warnings = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


def twice(batch):
    return 2 * batch


def fails_with(error):
    calls = []

    def fast(batch):
        calls.append(len(batch))
        raise error

    return fast, calls


@pytest.mark.parametrize(
    "error",
    [RuntimeError("No working C++ compiler\nfound"), ImportError("triton"), OSError("full")],
)
def test_what_fails_is_said_once_and_not_tried_again(error, caplog) -> None:
    fast, calls = fails_with(error)
    forward = Fallback(fast, twice, "compiled")
    with caplog.at_level(logging.WARNING):
        assert [forward(torch.ones(1)).item() for _ in range(3)] == [2, 2, 2]
    assert len(calls) == 1
    assert caplog.messages == [
        f"the network cannot be compiled and runs as it is ({str(error).splitlines()[0]})"
    ]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), ModelError("no")])
def test_faults_of_memory_and_network_are_not_hidden(error) -> None:
    fast, _ = fails_with(error)
    with pytest.raises(type(error), match=str(error)):
        Fallback(fast, twice, "compiled")(torch.ones(1))


def test_a_network_that_fails_either_way_is_at_fault(caplog) -> None:
    fast, calls = fails_with(RuntimeError("cannot compile"))
    plain, _ = fails_with(RuntimeError("sizes differ"))
    forward = Fallback(fast, plain, "compiled")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="sizes differ"):
            forward(torch.ones(1))
    assert len(calls) == 2
    assert not caplog.messages


class Stubborn(nn.Conv3d):
    """Calls what no compiler of torch knows."""

    def forward(self, batch):
        ones = (1, 1, 1)
        return torch.mkldnn_convolution(batch, self.weight, self.bias, (0, 0, 0), ones, ones, 1)


@own_warnings
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch lacks oneDNN")
def test_a_network_that_cannot_be_compiled_runs_as_it_is(caplog) -> None:
    batch = np.ones((3, 1, 2, 2, 2), np.float32)
    module = Stubborn(1, 1, 1)
    predictor = as_predictor(module, device="cpu", compile=True)
    with caplog.at_level(logging.WARNING, logger="volkit"):
        answer = predictor(batch)
    np.testing.assert_array_equal(answer, as_predictor(module, device="cpu")(batch))
    assert "the network cannot be compiled and runs as it is" in caplog.text


@own_warnings
@pytest.mark.slow
def test_a_compiled_network_answers_nearly_the_same(saved, caplog) -> None:
    batch = np.random.default_rng(3).random((4, 1, 8, 8, 8), np.float32)
    compiled, plain = load(saved, "cpu", compile=True), load(saved, "cpu")
    assert compiled.identity != plain.identity
    with caplog.at_level(logging.WARNING, logger="volkit"):
        answer = compiled(batch)
    assert not caplog.messages
    np.testing.assert_allclose(answer, plain(batch), atol=1e-5)
    np.testing.assert_array_equal(compiled(batch[:1]), answer[:1])  # filled up to four


@pytest.mark.gpu
@on_cuda
def test_a_recorded_pass_answers_the_same(saved) -> None:
    module = load(saved, "cuda").module
    forward = GraphedForward(module)
    generator = torch.Generator("cuda").manual_seed(1)
    with torch.inference_mode():
        for size in (4, 4, 2, 1, 4):
            batch = torch.rand((size, 1, 8, 8, 8), generator=generator, device="cuda")
            torch.testing.assert_close(forward(batch), module(batch), rtol=0, atol=0)


@own_warnings
@pytest.mark.gpu
@on_cuda
@pytest.mark.slow
def test_compiled_and_recorded_on_cuda(saved, caplog) -> None:
    batch = np.random.default_rng(3).random((4, 1, 8, 8, 8), np.float32)
    with caplog.at_level(logging.WARNING, logger="volkit"):
        answer = load(saved, "cuda", compile=True)(batch)
    assert not caplog.messages
    np.testing.assert_allclose(answer, load(saved, "cpu")(batch), atol=2e-3)
