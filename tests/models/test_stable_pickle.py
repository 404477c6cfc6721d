"""Digests of callables: the same in every process, another one for what answers otherwise."""

import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.stable_pickle import stable_pickle
from volkit.models.wrapped import callable_digest

# As a notebook has them: defined where they cannot be imported from.
NOTEBOOK = """
import torch
from torch import nn
from volkit.models.wrapped import callable_digest
{space}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm3d(2)
        for name in "abcdef":
            self.register_buffer(name, torch.ones(2), persistent=False)
    def forward(self, x):
        return self.norm(self.conv(x))

def double(batch):
    return [2 * b for b in batch]

torch.manual_seed(0)
print(callable_digest(Net()), callable_digest(double), callable_digest(lambda b: Net))
"""


def test_a_session_that_begins_again_finds_the_same_digests(tmp_path) -> None:
    said = []
    for seed, space in (("1", ""), ("2", "\n\n")):
        script = tmp_path / f"{seed}.py"
        script.write_text(NOTEBOOK.format(space=space))
        exec_it = f"exec(compile(open({str(script)!r}).read(), {str(script)!r}, 'exec'))"
        done = subprocess.run(
            [sys.executable, "-c", exec_it],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.split())
    assert said[0] == said[1]
    assert len(set(said[0])) == 3


def conv(seed: int = 0, **changes) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv3d(1, 1, 3, **changes)


def test_what_answers_otherwise_has_another_digest() -> None:
    doubled = conv().double()
    nudged = conv()
    with torch.no_grad():
        nudged.weight[0, 0, 0, 0, 0] += 1e-7
    factor = 2
    models = [
        conv(),
        conv(1),
        conv(padding=1),
        doubled,
        nudged,
        nn.Sequential(conv()),
        lambda b: b,
        lambda b: b + 1,
        lambda b: b + 2,
        lambda b: b + factor,
        lambda b: abs(b),
    ]
    assert len({callable_digest(model) for model in models}) == len(models)


def test_training_does_not_show_and_neither_does_memory() -> None:
    net = conv()
    copy = conv().eval()
    copy.weight = nn.Parameter(net.weight.detach().clone().transpose(2, 4).contiguous())
    copy.weight = nn.Parameter(copy.weight.transpose(2, 4))  # the same values in another order
    assert callable_digest(net) == callable_digest(copy) == callable_digest(conv())


def test_tensors_of_every_kind_are_told() -> None:
    for kind in (torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64):
        model = nn.Identity()
        model.register_buffer("a", torch.ones((), dtype=kind))
        assert len(callable_digest(model)) == 64


def noted(line: int, names: tuple[str, ...], factor: int = 2) -> type:
    """A notebook's class, with what Python 3.13 notes in it: its line, and names as a set gave."""
    told = {"__module__": "__main__", "factor": factor}
    return type("Net", (), told | {"__firstlineno__": line, "__static_attributes__": names})


def test_where_a_class_begins_and_the_order_of_its_attributes_do_not_show() -> None:
    """On every Python: what 3.13 notes by itself is written into the class by hand."""
    first = stable_pickle(noted(1, ("a", "b")))
    assert stable_pickle(noted(7, ("b", "a"))) == first
    assert stable_pickle(noted(1, ("a", "b"), factor=3)) != first


def test_what_cannot_travel_is_refused() -> None:
    model = nn.Identity()
    model.lock = threading.Lock()
    with pytest.raises(ModelError, match="Identity cannot be pickled"):
        callable_digest(model)
