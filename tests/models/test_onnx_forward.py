import json
from hashlib import sha256

import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.checkpoint import load
from volkit.models.onnx_forward import check_taken, exported, open_session, runtime
from volkit.models.onnx_program import OnnxProgram
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


CPU = "CPUExecutionProvider"


def test_the_usual_provider_may_be_named(saved, batch) -> None:
    plain = load(saved, backend="onnxruntime")
    named = load(saved, backend="onnxruntime", providers=(CPU,))
    assert named.identity == plain.identity
    np.testing.assert_array_equal(named(batch), plain(batch))


@pytest.fixture
def has():
    """The providers that are here: others leave to the CPU's what they cannot do."""
    if len(found := runtime().get_available_providers()) == 1:
        pytest.skip("this ONNX Runtime has one provider")
    return found


def test_providers_are_taken_in_the_order_in_which_they_are_named(batch, has) -> None:
    net = nn.Conv3d(1, 2, 3, padding=1).eval()
    model = exported(net, torch.from_numpy(batch))
    assert open_session(runtime(), model, has).get_providers() == has
    assert open_session(runtime(), model, ()).get_providers() == [CPU]
    plain = as_predictor(net, backend="onnxruntime")
    other = as_predictor(net, backend="onnxruntime", providers=has)
    assert other.identity != plain.identity
    np.testing.assert_allclose(other(batch), plain(batch), atol=1e-5)


def test_a_network_that_came_as_onnx_is_computed_by_what_is_named(
    network, card, batch, has, tmp_path
) -> None:
    data = exported(network, torch.from_numpy(batch))
    (tmp_path / "net.onnx").write_bytes(data)
    del card["arguments"]
    card |= {"architecture": "exported", "format": "onnx", "weights": "net.onnx"}
    (tmp_path / "net.json").write_text(json.dumps({**card, "sha256": sha256(data).hexdigest()}))
    answers = []
    for providers in ((), has):
        found = load(tmp_path / "net.json", backend="onnxruntime", providers=providers)
        answers.append(found(batch))
        (program,) = (part for part in found.module.modules() if isinstance(part, OnnxProgram))
        assert program._made().get_providers() == list(providers or [CPU])
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_a_provider_that_is_not_built_in_is_refused_with_those_that_are(saved) -> None:
    asked = ("WarpExecutionProvider", CPU)
    with pytest.raises(ModelError, match=f"has no WarpExecutionProvider; it has .*{CPU}"):
        load(saved, backend="onnxruntime", providers=asked)


def test_a_provider_that_could_not_begin_is_not_replaced_without_a_word() -> None:
    with pytest.raises(ModelError, match=f"not begin with Tensorrt.* and would go on with {CPU}"):
        check_taken(["TensorrtExecutionProvider", CPU], [CPU])
