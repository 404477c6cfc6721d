"""Files of timm: every name and shape of two published networks, and where each weight goes.

The tables are written out from timm's published source (timm/models/convnext.py, resnet.py and
timm/layers/squeeze_excite.py), not from our networks; their sizes are those that timm states.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from volkit.errors import ModelError
from volkit.models.convnext import ConvNeXt
from volkit.models.resnet_rs import ResNetRS
from volkit.models.timm_weights import fitted_colours, load_timm

Shapes = dict[str, tuple[int, ...]]
NANO = {"widths": (80, 160, 320, 640), "blocks": (2, 2, 8, 2)}


def both(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def convnext_nano() -> Shapes:
    """``convnext_nano``: patch stem, layers on pixels as convolutions, a normalised head."""
    found: Shapes = {"stem.0.weight": (80, 3, 4, 4), "stem.0.bias": (80,), **both("stem.1", 80)}
    before = 80
    for stage, (width, count) in enumerate(zip(*NANO.values(), strict=True)):
        if stage:
            at = f"stages.{stage}.downsample"
            found |= both(f"{at}.0", before)
            found |= {f"{at}.1.weight": (width, before, 2, 2), f"{at}.1.bias": (width,)}
        for block in range(count):
            at = f"stages.{stage}.blocks.{block}"
            found |= {f"{at}.gamma": (width,), **both(f"{at}.norm", width)}
            found |= {f"{at}.conv_dw.weight": (width, 1, 7, 7), f"{at}.conv_dw.bias": (width,)}
            wide = 4 * width
            found |= {f"{at}.mlp.fc1.weight": (wide, width, 1, 1), f"{at}.mlp.fc1.bias": (wide,)}
            found |= {f"{at}.mlp.fc2.weight": (width, wide, 1, 1), f"{at}.mlp.fc2.bias": (width,)}
        before = width
    return found | both("head.norm", 640) | {"head.fc.weight": (1000, 640), "head.fc.bias": (1000,)}


def normalised(name: str, width: int) -> Shapes:
    counted = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}
    return both(name, width) | counted | {f"{name}.num_batches_tracked": ()}


def resnetrs50() -> Shapes:
    """``resnetrs50``: a deep stem, a strided convolution named maxpool, squeeze of a quarter."""
    found: Shapes = {"conv1.0.weight": (32, 3, 3, 3), **normalised("conv1.1", 32)}
    found |= {"conv1.3.weight": (32, 32, 3, 3), **normalised("conv1.4", 32)}
    found |= {"conv1.6.weight": (64, 32, 3, 3), **normalised("bn1", 64)}
    found |= {"maxpool.0.weight": (64, 64, 3, 3), **normalised("maxpool.1", 64)}
    into = 64
    for layer, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), 1):
        for block in range(count):
            at, out = f"layer{layer}.{block}", 4 * width
            found |= {f"{at}.conv1.weight": (width, into, 1, 1), **normalised(f"{at}.bn1", width)}
            found |= {f"{at}.conv2.weight": (width, width, 3, 3), **normalised(f"{at}.bn2", width)}
            found |= {f"{at}.conv3.weight": (out, width, 1, 1), **normalised(f"{at}.bn3", out)}
            found |= {f"{at}.se.fc1.weight": (width, out, 1, 1), f"{at}.se.fc1.bias": (width,)}
            found |= {f"{at}.se.fc2.weight": (out, width, 1, 1), f"{at}.se.fc2.bias": (out,)}
            if block == 0:  # an average comes first, which has no weights
                found |= {f"{at}.downsample.1.weight": (out, into, 1, 1)}
                found |= normalised(f"{at}.downsample.2", out)
            into = out
    return found | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}


def learnt(shapes: Shapes) -> int:
    counted = ("running_mean", "running_var", "num_batches_tracked")
    return sum(prod(shape) for name, shape in shapes.items() if not name.endswith(counted))


def numbered(shapes: Shapes) -> Iterator[tuple[str, torch.Tensor]]:
    """Fill every tensor with a number of its own, so that each can be found again."""
    for number, (name, shape) in enumerate(shapes.items(), 1):
        dtype = torch.int64 if name.endswith("tracked") else torch.float32
        yield name, torch.full(shape, number, dtype=dtype)


CASES = [
    (convnext_nano, 15_593_560, ConvNeXt, {"in_channels": 5, **NANO}, "stem.0.weight"),
    (resnetrs50, 35_691_912, ResNetRS, {"in_channels": 1}, "conv1.0.weight"),
]


@pytest.mark.parametrize(("table", "count", "kind", "arguments", "first"), CASES)
def test_a_published_file_fills_the_backbone(
    tmp_path: Path, table, count: int, kind: type[nn.Module], arguments, first: str
) -> None:
    shapes = table()
    assert learnt(shapes) == count
    stored = dict(numbered(shapes))
    save_file(stored, tmp_path / "model.safetensors")
    backbone = kind(**arguments)
    load_timm(backbone, tmp_path / "model.safetensors")
    state = backbone.state_dict()
    unused = {name for name in shapes if name not in state}
    assert unused
    assert all(name.startswith(("head.", "fc.")) for name in unused)
    colours = fitted_colours(stored[first], arguments["in_channels"])
    for name, value in state.items():
        if name == first:
            torch.testing.assert_close(value, colours)
        elif not name.endswith("num_batches_tracked"):
            assert tuple(value.shape) == shapes[name], name
            assert bool((value == stored[name].flatten()[0]).all()), name


def test_a_variant_with_another_stem_is_refused_by_name(tmp_path: Path) -> None:
    """``convnext_nano_ols`` has two convolutions in its stem."""
    shapes = {n: s for n, s in convnext_nano().items() if not n.startswith("stem.")}
    shapes |= {"stem.0.weight": (80, 3, 3, 3), "stem.0.bias": (80,)}
    shapes |= {"stem.1.weight": (80, 80, 3, 3), "stem.1.bias": (80,), **both("stem.2", 80)}
    save_file(dict(numbered(shapes)), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"stem\.2\.weight"):
        load_timm(ConvNeXt(3, **NANO), tmp_path / "model.safetensors")
