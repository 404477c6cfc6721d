"""A finished run of the tiny workflow, shared by the tests of pipelines."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from volkit.engine.job import JobEngine
from volkit.pipelines import segment_neurons
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import Workflow, read_workflow
from volkit.testing.workflows import tiny_workflow


@dataclass(frozen=True)
class Finished:
    file: Path
    workflow: Workflow
    outcome: Outcome
    folder: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_workflow(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def finished(tiny: Path) -> Finished:
    workflow = read_workflow(tiny)
    folder = Path(workflow.config.output)
    outcome = segment_neurons.run(workflow.config, JobEngine(folder))
    return Finished(tiny, workflow, outcome, folder)
