"""The command demo: it copies workflows, runs one, and is taken up where it was."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

COMMAND = ("-c", "from volkit.cli import main; main()", "demo")


@pytest.fixture
def says(tmp_path: Path, warm_python) -> Callable[..., str]:
    """Run the command in an empty folder; what it prints."""

    def run(*arguments: str) -> str:
        wide = {**os.environ, "COLUMNS": "120"}
        done = warm_python(*COMMAND, *arguments, folder=tmp_path, environment=wide)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_workflows_alone(tmp_path: Path, says) -> None:
    said = says("--no-run")
    assert said.split() == ["workflows:", str(Path("volkit-demo", "workflows"))]
    assert not (tmp_path / "volkit-demo" / "runs").exists()


def test_a_demo_scores_and_goes_on_from_where_it_was(tmp_path: Path, says) -> None:
    says("here", "--no-run")
    workflow = tmp_path / "here" / "workflows" / "segment_neurons.yaml"
    tree = yaml.safe_load(workflow.read_text())
    tree["input"] = {
        "image": "specimen://em?shape=16,48,48&seed=42",
        "truth": "specimen://em?shape=16,48,48&seed=42&part=truth",
    }
    tree["block_shape"] = [16, 48, 48]
    workflow.write_text(yaml.safe_dump(tree))
    first = says("here", "--local")
    assert re.search(r"Rand F +0\.\d+", first)
    assert (tmp_path / "here" / "runs" / "segment_neurons" / "report" / "index.html").exists()
    again = says("here", "--local")
    assert "prob                 1/1 blocks, was done" in again
