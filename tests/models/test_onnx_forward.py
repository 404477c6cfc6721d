import numpy as np
import pytest
from torch import nn

from volkit.errors import ModelError
from volkit.models.checkpoint import load
from volkit.models.predictor import as_predictor

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")


@pytest.fixture
def batch():
    return np.random.default_rng(7).random((5, 1, 8, 8, 8), np.float32)


def test_onnx_runtime_answers_as_torch_does_in_batches_of_any_size(saved, batch) -> None:
    plain, other = load(saved, "cpu"), load(saved, backend="onnxruntime")
    assert other.device == "cpu"
    assert other.identity != plain.identity
    answer = other(batch, scale=(0.5, 2.0, None, None))
    np.testing.assert_allclose(answer, plain(batch, scale=(0.5, 2.0, None, None)), atol=1e-5)
    for size in (1, 3):
        alone = other(batch[:size], scale=(0.5, 2.0, None, None))
        np.testing.assert_array_equal(alone, answer[:size])


class Branching(nn.Module):
    def forward(self, batch):
        return batch if batch.sum() > 0 else -batch


def test_what_cannot_be_exported_is_refused(batch) -> None:
    predictor = as_predictor(Branching(), device="cpu", backend="onnxruntime")
    with pytest.raises(ModelError, match="cannot be run by ONNX Runtime .*use backend 'torch'"):
        predictor(batch)


@pytest.mark.parametrize(
    "options", [{"precision": "bfloat16"}, {"compile": True}, {"device": "meta"}]
)
def test_it_is_for_float32_on_the_cpu(saved, options) -> None:
    with pytest.raises(ModelError, match="'onnxruntime' computes on the CPU in float32"):
        load(saved, backend="onnxruntime", **options)
