"""What docs/tutorials/slurm.md leaves to a cluster: its commands, on a real SLURM."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from volkit.io.open import open_volume
from volkit.testing.workflows import identity_checkpoint, tiny_workflow

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]

COMMAND = [sys.executable, "-c", "from volkit.cli import main; main()"]


def says(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow  # the same page runs on this machine in test_docs
def test_plan_run_and_reprocess_on_slurm_give_what_this_machine_gives(tmp_path: Path) -> None:
    workflow = tiny_workflow(tmp_path, shape=(24, 32, 20))
    identity_checkpoint(tmp_path / "better.yaml", gain=0.8)
    cluster = {
        "system": "slurm",
        "workers": 2,
        "memory_gib": 1.0,
        "queue": "cpu",
        "walltime": "00:10:00",
        "interface": "lo",
        "folder": str(tmp_path / "private"),
        "scratch": str(tmp_path / "scratch"),
        "directives": ["--no-requeue"],
    }
    (tmp_path / "slurm.yaml").write_text(yaml.safe_dump(cluster))
    told = says(tmp_path, "plan", str(workflow), "--cluster", "slurm.yaml")
    assert "memory for each worker: 1.0 GiB" in told
    said = says(tmp_path, "run", str(workflow), "--cluster", "slurm.yaml")
    assert "labels: run/labels.zarr" in said
    says(tmp_path, "run", str(workflow), "--local", "--set", "output=here")
    same = [open_volume(tmp_path / name / "labels.zarr").read() for name in ("run", "here")]
    np.testing.assert_array_equal(*same)
    assert "finished" in says(tmp_path, "status", "run")
    said = says(tmp_path, "reprocess", "run", "--checkpoint", "better.yaml")
    assert "v2: checkpoint" in said
    assert not subprocess.run(
        ["squeue", "-h", "-t", "RUNNING"], capture_output=True, text=True, check=True
    ).stdout
