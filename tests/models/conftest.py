"""A tiny MeshNet and its card."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from volkit.models.checkpoint import save_checkpoint  # noqa: E402
from volkit.models.meshnet import MeshNet  # noqa: E402

CARD = {
    "architecture": "meshnet",
    "arguments": {"in_channels": 1, "out_channels": 2, "channels": 3, "dilations": [1, 2]},
    "channels": [1, 2],
    "window": [8, 8, 8],
    "margin": [3, 3, 3],
    "activation": "softmax",
}


@pytest.fixture
def card():
    return dict(CARD)


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return MeshNet(**CARD["arguments"]).eval()


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch):
    monkeypatch.setattr("volkit.models.network._LOADED", {})


@pytest.fixture
def saved(network, card, tmp_path: Path):
    return save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card)
