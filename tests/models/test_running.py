import pytest
import torch

from volkit.errors import MissingExtraError, ModelError
from volkit.models import running
from volkit.models.running import Running


def test_auto_becomes_what_is_here() -> None:
    here = Running().resolved()
    assert here.device in ("cpu", "cuda", "mps")
    assert here.precision == "float32"
    assert here.resolved() == here


def test_facts_are_what_changes_answers() -> None:
    assert Running("cpu").facts == Running("cuda", nonfinite="mark").facts
    ways = [{"precision": "bfloat16"}, {"backend": "onnxruntime"}, {"compile": True}]
    assert all(Running(**way).facts != Running().facts for way in ways)


def test_providers_change_answers_unless_they_are_the_usual_one() -> None:
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    plain, same, other, turned = (
        Running(backend="onnxruntime", providers=providers).facts
        for providers in ((), [cpu], (cuda, cpu), (cpu, cuda))
    )
    assert plain == same
    assert other == {**plain, "providers": [cuda, cpu]}
    assert other != turned


def test_providers_are_for_their_backend() -> None:
    with pytest.raises(ModelError, match="are those of backend 'onnxruntime', this one is 'torch'"):
        Running("cpu", providers=("CPUExecutionProvider",)).resolved()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpv"}, "device 'tpv' is unknown; use auto, cpu, cuda or mps"),
        ({"precision": "float8"}, "precision 'float8' is unknown; use one of auto, float32"),
        ({"backend": "jax"}, "backend 'jax' is unknown; use one of torch, onnxruntime"),
        ({"nonfinite": "zero"}, "nonfinite 'zero' is unknown; use one of fail, mark"),
    ],
)
def test_unknown_names_are_refused(options, message) -> None:
    with pytest.raises(ModelError, match=message):
        Running(**options).resolved()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_absent_device_is_refused() -> None:
    with pytest.raises(ModelError, match="device 'cuda' is not here; use auto or cpu"):
        Running("cuda").resolved()


def test_an_absent_backend_is_named_with_its_extra(monkeypatch) -> None:
    monkeypatch.setattr(running, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"onnxruntime.*volkit\[onnx\]"):
        Running(backend="onnxruntime").resolved()
