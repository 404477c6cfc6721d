"""Schemas: those that are published, and the workflows that ship, in the eyes of an editor."""

import json
import re
import runpy
from pathlib import Path

import jsonschema
import pytest

from volkit.errors import ConfigError
from volkit.pipelines.config import read_yaml
from volkit.pipelines.registry import own_pipelines, pipeline_names
from volkit.pipelines.schema import cluster_schema, key_descriptions, workflow_schema
from volkit.pipelines.segment_affinities_config import SegmentAffinities
from volkit.testing.workflows import tiny_workflow

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "workflows"
SCHEMAS = WORKFLOWS / "schemas"
FILES = sorted(WORKFLOWS.rglob("*.yaml"))
NAMED = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def faults(schema: dict, tree: object) -> list[str]:
    checker = jsonschema.Draft7Validator(schema)
    return sorted(f"{error.json_path}: {error.message}" for error in checker.iter_errors(tree))


@pytest.mark.parametrize("name", sorted(own_pipelines()))
def test_schemas_are_sound(name: str) -> None:
    jsonschema.Draft7Validator.check_schema(workflow_schema(name))


def test_the_published_ones_are_those_of_the_code(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs" / "build_schemas.py"))["build"](tmp_path)
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    published = {path.name: path.read_text() for path in SCHEMAS.iterdir()}
    old = [name for name in fresh if fresh[name] != published.get(name)]
    assert (sorted(published), old) == (sorted(fresh), []), "run python docs/build_schemas.py"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(WORKFLOWS)))
def test_every_workflow_names_its_schema_and_keeps_it(file: Path) -> None:
    named = NAMED.match(file.read_text())
    assert named, "its first line names no schema"
    target = (file.parent / named[1]).resolve()
    tree = read_yaml(file)
    assert target == SCHEMAS / f"{tree.get('pipeline', 'cluster')}.json"
    assert faults(json.loads(target.read_text()), tree) == []


def test_what_volkit_refuses_an_editor_marks(tmp_path: Path) -> None:
    schema, tree = workflow_schema("segment_neurons"), read_yaml(tiny_workflow(tmp_path))
    assert faults(schema, tree) == []
    for change, fault in (
        ({"chekpoint": "x"}, "$: Additional properties are not allowed ('chekpoint' was unexp"),
        ({"block_shape": [1, 2]}, "$.block_shape: [1, 2] is too short"),
        ({"infer": {"weights": "gausian"}}, "$.infer.weights: 'gausian' is not one of ['gaussian'"),
        ({"input": {}}, "$.input: 'image' is a required property"),
        ({"pipeline": "mirror"}, "$.pipeline: 'segment_neurons' was expected"),
        ({"cluster": {"workers": "4"}}, "$.cluster.workers: "),
    ):
        [found] = faults(schema, {**tree, **change})
        assert found.startswith(fault)
    assert "$: 'output' is a required property" in faults(schema, {"pipeline": "segment_neurons"})


def test_one_schema_of_all_tells_pipelines_apart(tmp_path: Path) -> None:
    schema, tree = workflow_schema(), read_yaml(tiny_workflow(tmp_path))
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["properties"]["pipeline"]["enum"] == pipeline_names()
    assert faults(schema, tree) == []
    assert faults(schema, {**tree, "preset": 1}) != []
    assert any("chosen" in fault for fault in faults(schema, {"pipeline": "mirror", "chosen": 1}))
    assert faults(schema, {"pipeline": "nothing"}) != []


def test_keys_carry_the_words_of_docstrings() -> None:
    words = key_descriptions(SegmentAffinities)
    assert words["block_shape"] == "Unit of work, (z, y, x), voxels."  # of the class it is made of
    assert words["offsets"].startswith("From a voxel to the one that each channel of stored")
    assert words["infer"] == words["cluster"] == "See their classes."
    workers = cluster_schema()["properties"]["workers"]
    assert workers["description"].startswith("CPU workers, one process with one thread each")
    assert {one["type"] for one in workers["anyOf"]} == {"integer", "null"}


def test_tuples_are_those_of_draft_7() -> None:
    found = workflow_schema("segment_affinities")
    linkage = found["$defs"]["BasinOptions"]["properties"]["linkage"]
    pairs, none = linkage["anyOf"]
    assert none == {"type": "null"}
    pair = pairs["items"]
    assert [item["type"] for item in pair["items"]] == ["integer", "number"]
    assert (pair["minItems"], pair["maxItems"], pair["additionalItems"]) == (2, 2, False)
    block = found["properties"]["block_shape"]
    assert (block["items"], block["minItems"], block["default"]) == (
        {"type": "integer"},
        3,
        [128, 256, 256],
    )


def test_a_pipeline_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="pipeline 'nothing' is unknown; choose one of"):
        workflow_schema("nothing")
