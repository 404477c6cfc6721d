"""Finite numbers: gradients that are none stop a run of either loop, and name the batch."""

import importlib
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from volkit.errors import ModelError
from volkit.models.scaling import Scaling
from volkit.training.finite import check_loss, cut_gradients
from volkit.training.loop import train
from volkit.training.particle_config import HeatMapOptimisation, ParticleTrainConfig
from volkit.training.particle_options import Crops, LabelledTomogram, ParticleKind
from volkit.training.particle_run import train_particles

# The root of a square at 0: the answer and the loss are finite, the gradient is 0 / 0.
PLUGIN = """
import torch

class Rooted(torch.nn.Module):
    def __init__(self, in_channels=1, out_channels=1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(out_channels))

    def forward(self, x):
        return (self.weight.view(1, -1, 1, 1, 1) * x).square().sqrt()
"""


@pytest.fixture
def rooted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package that offers an architecture."""
    (tmp_path / "rooted_network.py").write_text(PLUGIN)
    info = tmp_path / "rooted-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rooted\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[volkit.architectures]\nrooted = rooted_network:Rooted\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return "rooted"


def test_the_boundary_loop_stops_before_it_stores(configured, rooted) -> None:
    config = configured(architecture=rooted, arguments={}, seed=3)
    with pytest.raises(ModelError, match=r"gradients of step 0 are nan, though its loss is 0\.\d+"):
        train(config)
    assert not Path(config.checkpoint).exists()


def test_the_particle_loop_stops_before_it_stores(tmp_path, rooted) -> None:
    uri = "specimen://tomogram?shape=16,32,32&seed=1"
    config = ParticleTrainConfig(
        checkpoint=str(tmp_path / "net.yaml"),
        volumes=(LabelledTomogram(uri, uri),),
        kinds=(ParticleKind("ribosome", 15.0),),
        architecture=rooted,
        scaling=Scaling("none"),
        crops=Crops((16, 16, 16), 1),
        optimisation=HeatMapOptimisation(steps=1, warmup=0, mixup=0),
        seed=4,
    )
    with pytest.raises(ModelError, match=r"gradients of step 0 are nan.*seed 4 draws there"):
        train_particles(config)
    assert not (tmp_path / "net.yaml").exists()


def test_gradients_are_cut_to_their_norm_or_left_alone() -> None:
    layer = nn.Linear(2, 1, bias=False)
    for most, expected in ((1.0, [0.6, 0.8]), (10.0, [3.0, 4.0]), (math.inf, [3.0, 4.0])):
        layer.weight.grad = torch.tensor([[3.0, 4.0]])
        cut_gradients(layer.parameters(), most=most, loss=torch.tensor(0.0), step=0, seed=0)
        torch.testing.assert_close(layer.weight.grad, torch.tensor([expected]))


def test_a_loss_that_is_none_names_its_batch() -> None:
    check_loss(torch.tensor(0.5), step=8, seed=1)
    with pytest.raises(ModelError, match="loss of step 8 is inf .the batch that seed 1 draws"):
        check_loss(torch.tensor(math.inf), step=8, seed=1)
