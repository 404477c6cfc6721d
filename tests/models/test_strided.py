"""Strided convolutions of single pixels: the same answers and gradients, no memory destroyed."""

import subprocess
import sys
from ctypes.util import find_library

import pytest
import torch
from torch import nn

from volkit.models.module_loading import module_digest
from volkit.models.strided import SlicedConv2d, slice_strides

# What is checked at every free: the bytes behind each piece of memory.
CHECKED = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}
SCRIPT = """
import torch
from volkit.models.module_loading import lay_out
from volkit.models.scan_networks import SectionNet
torch.set_num_threads(1)
network = SectionNet(sections=3, widths=(2, 4), blocks=(1, 1)).train()
lay_out(network)
for _ in range(4):
    network(torch.randn(3, 1, 32, 32, 32)).square().sum().backward()
print("learnt")
"""


@pytest.mark.skipif(find_library("c_malloc_debug") is None, reason="no glibc that checks memory")
def test_training_with_few_channels_last_keeps_to_its_memory() -> None:
    """Of oneDNN on CPUs with AVX2; where it has no such defect, nothing is shown."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": ":".join(sys.path), **CHECKED},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "learnt\n"), done.stderr


@pytest.mark.parametrize("more", [{}, {"bias": False}, {"stride": (1, 3)}])
def test_answers_and_gradients_are_those_of_the_convolution(more) -> None:
    torch.manual_seed(1)
    plain, sliced = (nn.Conv2d(4, 6, 1, **{"stride": 2, **more}) for _ in range(2))
    sliced.load_state_dict(plain.state_dict())
    slice_strides(sliced)
    assert type(sliced) is SlicedConv2d
    assert module_digest(sliced) == module_digest(plain)
    image = torch.randn(2, 4, 7, 8)
    found = []
    for layer in (plain, sliced):
        given = image.clone().requires_grad_()
        answer = layer(given)
        answer.square().sum().backward()
        found.append([answer, given.grad, *(value.grad for value in layer.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 4, 1, stride=2),
        nn.Conv2d(8, 4, 1, stride=2),
        nn.Conv2d(4, 8, 1),
        nn.Conv2d(4, 8, 3, stride=2),
        nn.Conv2d(4, 8, 1, stride=2, padding=1),
        nn.Conv2d(4, 8, 1, stride=2, groups=2),
        nn.Conv3d(4, 8, 1, stride=2),
    ],
)
def test_others_stay_as_they_are(layer: nn.Module) -> None:
    kind = type(layer)
    slice_strides(layer)
    assert type(layer) is kind
