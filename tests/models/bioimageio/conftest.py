"""Small networks, and packages of them."""

from pathlib import Path

import pytest
import torch

from volkit.models.architectures import build
from volkit.models.checkpoint import save_checkpoint
from volkit.testing.model_packages import UNET


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unet() -> torch.nn.Module:
    torch.manual_seed(3)
    return build("monai:UNet", **UNET).eval()


@pytest.fixture
def card(unet, tmp_path: Path):
    """A checkpoint of volkit's own, with classes, a margin and a voxel size."""
    return save_checkpoint(
        unet.state_dict(),
        tmp_path / "own" / "net.yaml",
        {
            "architecture": "monai:UNet",
            "arguments": dict(UNET),
            "channels": [1, 2],
            "window": [8, 16, 16],
            "margin": [0, 2, 2],
            "scaling": {"kind": "fixed", "shift": 10.0, "divide": 255.0},
            "activation": "sigmoid",
            "classes": ["inside", "outside"],
            "voxel_size_nm": [40.0, 8.0, 8.0],
            "description": "A network of tests.",
            "licence": "CC-BY-4.0",
            "attribution": "A. Tester",
            "training_data": "noise",
        },
    )
