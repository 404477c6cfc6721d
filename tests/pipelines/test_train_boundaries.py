"""Training by a workflow file: a card comes out, and a second run goes on."""

from pathlib import Path

import pytest
import yaml

from volkit.models.checkpoint import read_checkpoint
from volkit.pipelines.registry import read_workflow

KEYS = {
    "checkpoint": "net.yaml",
    "volumes": [{"image": "image.zarr", "labels": "truth.zarr"}],
    "architecture": "residual_unet3d",
    "arguments": {"widths": [2], "blocks": [1]},
    "scaling": {"kind": "none"},
    "window": [8, 8, 8],
    "patches": {"shape": [8, 8, 8], "batch": 1},
    "optimisation": {"steps": 2, "warmup": 1},
    "precision": "float32",
}


@pytest.fixture
def file(tiny: Path) -> Path:
    path = tiny.with_name("train.yaml")
    path.write_text(yaml.safe_dump(KEYS))
    return path


def test_training_writes_a_checkpoint_and_tells_of_its_steps(file: Path, tmp_path: Path) -> None:
    workflow = read_workflow(
        file, [f"checkpoint={tmp_path / 'net.yaml'}"], default="train_boundaries"
    )
    seen = []
    outcome = workflow.pipeline.run(
        workflow, on_progress=seen.append, on_message=seen.append, replace_stale=False
    )
    assert [(state.stage, state.done, state.total) for state in seen] == [
        ("train", 1, 2),
        ("train", 2, 2),
    ]
    ((name, card),) = outcome.files
    assert (name, card) == ("checkpoint", tmp_path / "net.yaml")
    assert read_checkpoint(card).window == (8, 8, 8)
