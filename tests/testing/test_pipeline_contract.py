"""The contract of pipelines, kept by some of volkit's, and broken in each of its points."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.pipelines import registry
from volkit.pipelines.outcome import Outcome, StageTime
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.registry import Pipeline
from volkit.testing.pipeline_contract import PipelineTests
from volkit.testing.workflows import tiny_workflow


class TestSegmentNeurons(PipelineTests):
    name = "segment_neurons"

    def workflow(self, folder: Path) -> Path:
        return tiny_workflow(folder)


class TestMirror(PipelineTests):
    name = "mirror"

    def workflow(self, folder: Path) -> Path:
        image = create_volume(folder / "em.zarr", shape=(8, 8, 8), dtype=np.uint8)
        image.write(image.domain, np.arange(512, dtype=np.uint8).reshape(8, 8, 8))
        file = folder / "mirror.yaml"
        file.write_text(
            "pipeline: mirror\ninput: {image: em.zarr}\noutput: copy.zarr\nblock_shape: [4, 8, 8]\n"
        )
        return file


@dataclass
class Careless:
    """Keys that can change."""

    output: str
    folder: str = ""


def _careless_plan(config: Careless) -> Plan:
    Path(config.output).mkdir(exist_ok=True)
    (Path(config.output) / "begun").touch()
    stage = StagePlan("all", 1, 1, 1, 1, 1, 1)
    return Plan(Grid(Box.from_shape((1, 1, 1)), (1, 1, 1), (0, 0, 0)), (stage,), 0, None)


def _careless_run(workflow: registry.Workflow, **_: object) -> Outcome:
    time = StageTime("all", 4, 0, 1.0, 1.0)
    return Outcome((("labels", Path("nowhere")),), ("ls", "nowhere"), times=(time,))


class Contract(PipelineTests):
    """Not collected; its tests are called."""

    __test__ = False
    name = "careless"

    def workflow(self, folder: Path) -> Path:
        file = folder / "careless.yaml"
        file.write_text("pipeline: careless\noutput: run\n")
        return file


def test_a_pipeline_that_keeps_nothing_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(
        "careless", Careless, _careless_run, _careless_plan, frozenset({"output", "image"})
    )
    monkeypatch.setattr(f"{__name__}.CARELESS", pipeline, raising=False)
    monkeypatch.setitem(registry._BUILTIN, "careless", f"{__name__}:CARELESS")
    contract, file = Contract(), Contract().workflow(tmp_path)
    with pytest.raises(AssertionError, match="Careless is not frozen"):
        contract.test_keys_are_a_frozen_dataclass()
    with pytest.raises(AssertionError, match="paths that are no keys: image"):
        contract.test_paths_are_keys()
    with pytest.raises(AssertionError, match="planning wrote run/begun"):
        contract.test_a_plan_begins_nothing(file, tmp_path)
    with pytest.raises(AssertionError, match="it names what is not there: nowhere"):
        contract.test_runs_and_does_nothing_twice(file)
