"""PipelineTests: what every pipeline must keep; subclass it in the tests of a new one."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from volkit.engine.base import Progress
from volkit.errors import ConfigError
from volkit.pipelines.config import parse_yaml
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import find_pipeline, pipeline_names, read_workflow
from volkit.pipelines.schema import workflow_schema

Contents = dict[str, tuple[int, int]]


class PipelineTests:
    """The contract of a pipeline.

    A subclass gives ``name``, and ``workflow``, which writes a workflow that takes seconds.
    """

    name: str

    def workflow(self, folder: Path) -> Path:
        """Write a small workflow file and what it reads; results go below ``folder``."""
        raise NotImplementedError

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Write the workflow into an empty folder."""
        return self.workflow(tmp_path)

    def test_is_found_by_its_name(self, file: Path) -> None:
        """A workflow file can ask for it."""
        assert self.name in pipeline_names(), f"{self.name} is not among {pipeline_names()}"
        found = find_pipeline(self.name).name
        assert found == self.name, f"what is registered as {self.name} calls itself {found}"
        asked = read_workflow(file).pipeline.name
        assert asked == self.name, f"its workflow file asks for {asked}"

    def test_keys_are_a_frozen_dataclass(self) -> None:
        """What was checked cannot change afterwards."""
        config: Any = find_pipeline(self.name).config
        told = getattr(config, "__dataclass_params__", None)
        assert told is not None, f"{config.__name__} is no dataclass"
        assert told.frozen, f"{config.__name__} is not frozen"

    def test_an_unknown_key_is_named(self, file: Path) -> None:
        """A misspelt key is refused with its name."""
        with pytest.raises(ConfigError, match="no_such_key: unknown key"):
            read_workflow(file, ["no_such_key=1"])

    def test_paths_are_keys(self) -> None:
        """Whatever is resolved against the folder of a file is a key that there is."""
        pipeline = find_pipeline(self.name)
        strange = set(pipeline.paths) - set(_keys(pipeline.config))
        assert not strange, f"paths that are no keys: {', '.join(sorted(strange))}"

    def test_a_workflow_means_the_same_from_anywhere(
        self, file: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Relative paths are meant from the folder of the file."""
        here = read_workflow(file).config
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        assert read_workflow(file).config == here, "it depends on the current folder"

    def test_schema_takes_its_workflow(self, file: Path) -> None:
        """An editor finds nothing wrong with it, and knows each of its keys."""
        jsonschema = pytest.importorskip("jsonschema")
        schema = workflow_schema(self.name)
        jsonschema.Draft7Validator.check_schema(schema)
        tree = parse_yaml(file.read_text(encoding="utf-8"), where=str(file))
        jsonschema.Draft7Validator(schema).validate(tree)
        unknown = set(tree) - set(schema["properties"])
        assert not unknown, f"the schema does not know {', '.join(sorted(unknown))}"

    def test_a_plan_begins_nothing(self, file: Path, tmp_path: Path) -> None:
        """Planning reads and counts; it writes nothing."""
        found = read_workflow(file)
        if found.pipeline.plan is None:
            return
        before = _contents(tmp_path)
        plan = found.pipeline.plan(found.config)
        written = sorted(set(_contents(tmp_path).items()) - set(before.items()))
        assert not written, f"planning wrote {written[0][0]}"
        assert plan.stages, "a plan without stages says nothing"
        empty = [s.name for s in plan.stages if s.voxels <= 0 or s.memory_bytes <= 0]
        assert not empty, f"stages without voxels or memory: {', '.join(empty)}"

    def test_runs_and_does_nothing_twice(self, file: Path) -> None:
        """It leaves what it says; run again, it says the same and computes no block."""
        told: list[Progress] = []
        first, second = _run(file, told), _run(file, told)
        assert first.files, "it names nothing that it wrote"
        gone = [str(p) for _, p in first.files if "://" not in str(p) and not Path(p).exists()]
        assert not gone, f"it names what is not there: {', '.join(gone)}"
        command, *what = first.following
        known = command.startswith("volkit ") or (command == "open" and Path(*what).exists())
        assert known, f"what to do next is {command} {' '.join(map(str, what))}"
        assert (second.files, second.scores) == (first.files, first.scores), "run again, it differs"
        anew = [time.stage for time in second.times if time.resumed < time.blocks]
        assert not anew, f"run again, it computes {', '.join(anew)} again"
        wrong = [state.stage for state in told if not 0 <= state.done <= state.total]
        assert not wrong, f"more blocks done than there are: {', '.join(wrong)}"


def _run(file: Path, told: list[Progress]) -> Outcome:
    found = read_workflow(file)
    return found.pipeline.run(
        found, on_progress=told.append, on_message=lambda text: None, replace_stale=False
    )


def _contents(folder: Path) -> Contents:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in files
    }


def _keys(kind: Any) -> Iterator[str]:
    """List the keys of a dataclass at any depth."""
    if get_origin(kind) in (Union, UnionType, tuple, list, dict):
        for member in get_args(kind):
            yield from _keys(member)
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        for name, told in get_type_hints(kind).items():
            yield name
            yield from _keys(told)
