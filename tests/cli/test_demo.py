"""The command demo: it copies workflows, runs one, and is taken up where it was."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

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


def test_workflows_alone(tmp_path: Path) -> None:
    said = says(tmp_path, "demo", "--no-run")
    assert said.split() == ["workflows:", str(Path("volkit-demo", "workflows"))]
    assert not (tmp_path / "volkit-demo" / "runs").exists()


def test_a_demo_scores_and_goes_on_from_where_it_was(tmp_path: Path) -> None:
    says(tmp_path, "demo", "here", "--no-run")
    workflow = tmp_path / "here" / "workflows" / "segment_neurons.yaml"
    tree = yaml.safe_load(workflow.read_text())
    tree["input"] = {
        "image": "specimen://em?shape=16,48,48&seed=42",
        "truth": "specimen://em?shape=16,48,48&seed=42&part=truth",
    }
    tree["block_shape"] = [16, 48, 48]
    workflow.write_text(yaml.safe_dump(tree))
    first = says(tmp_path, "demo", "here", "--local")
    assert re.search(r"Rand F +0\.\d+", first)
    assert (tmp_path / "here" / "runs" / "segment_neurons" / "report" / "index.html").exists()
    again = says(tmp_path, "demo", "here", "--local")
    assert "prob                 1/1 blocks, was done" in again
