"""Workflow files: strict, with the path of what is wrong."""

from dataclasses import dataclass, field
from math import nan
from pathlib import Path

import pytest

from volkit.errors import ConfigError
from volkit.pipelines.batch_file import read_batch
from volkit.pipelines.config import located, override, parse_yaml, read_yaml, validate
from volkit.pipelines.registry import find_pipeline, read_workflow


@dataclass(frozen=True, slots=True)
class Agglomeration:
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.threshold > 1:
            raise ConfigError(f"threshold is {self.threshold}; give a probability, 0 to 1")


@dataclass(frozen=True, slots=True)
class Segment:
    agglomeration: Agglomeration = field(default_factory=Agglomeration)
    tile: tuple[int, int, int] | None = None
    spare: Agglomeration | None = None
    several: tuple[Agglomeration, ...] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    output: str
    segment: Segment = field(default_factory=Segment)


def check(tree: dict[str, object]) -> Keys:
    return validate(tree, Keys, where="em.yaml")


def test_values_arrive_as_the_dataclass_declares() -> None:
    keys = check({"output": "runs/em", "segment": {"tile": [8, 16, 16], "spare": {}}})
    assert keys == Keys("runs/em", Segment(tile=(8, 16, 16), spare=Agglomeration()))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"output": "x", "segment": {"agglomeration": {"treshold": 0.5}}},
            r"em\.yaml: segment\.agglomeration\.treshold: unknown key; did you mean threshold\?",
        ),
        ({"output": "x", "segment": {"spare": {"q": 1}}}, r"segment\.spare\.q: unknown key; known"),
        (
            {"output": "x", "segment": {"several": [{}, {"treshold": 1}]}},
            r"segment\.several\.1\.treshold: unknown key; did you mean threshold\?",
        ),
        ({}, r"output: is missing"),
        ({"output": "x", "segment": {"tile": [8, nan, 1]}}, r"segment\.tile\.1: nan is no value"),
        ({"output": 3}, r"output: 3: input should be text; quote it \(--set 'output=\"3\"'\)"),
        (
            {"output": "x", "segment": {"agglomeration": {"threshold": "0.5"}}},
            r'segment\.agglomeration\.threshold: "0\.5": input should be a valid number',
        ),
        (
            {"output": "x", "segment": {"agglomeration": {"threshold": 7}}},
            r"segment\.agglomeration: threshold is 7\.0; give a probability",
        ),
        ({"output": "x", "segment": {"tile": [8, 16]}}, r"segment\.tile\.2: is missing"),
        ({"output": "x", "segment": {"tile": [8, 16, 1.5]}}, r"segment\.tile\.2: 1\.5: input"),
        ({"output": "x", "segment": [1]}, r"segment: \[1\]: give keys and values"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(tree)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"(?s)outptu: .* output\?.*segment\.tyle: .* tile\?"):
        check({"outptu": "x", "segment": {"tyle": 3}})


def test_yaml_traps_are_closed() -> None:
    assert parse_yaml("rate: 1e-4\nsteps: 1_000", where="x") == {"rate": 1e-4, "steps": 1000}
    with pytest.raises(ConfigError, match=r"x, line 1: the key a stands there twice"):
        parse_yaml("a: 1\na: 2", where="x")
    with pytest.raises(ConfigError, match="x is no YAML"):
        parse_yaml("a: [1", where="x")
    with pytest.raises(ConfigError, match="x is no YAML"):
        parse_yaml("!!python/object/apply:os.getcwd []", where="x")


def test_settings_are_stronger_than_the_file() -> None:
    tree = {"infer": {"batch": 4}}
    changed = override(tree, ["infer.batch=8", "cluster.workers=0", "input.box.start=[1, 2, 3]"])
    assert changed == {
        "infer": {"batch": 8},
        "cluster": {"workers": 0},
        "input": {"box": {"start": [1, 2, 3]}},
    }
    assert tree == {"infer": {"batch": 4}}
    # A key that is there without a value, as a run remembers what was left out.
    assert override({"score": None}, ["score.box=1"]) == {"score": {"box": 1}}
    with pytest.raises(ConfigError, match="--set batch: write it as key.path=value"):
        override(tree, ["batch"])
    with pytest.raises(ConfigError, match="batch holds a value, not further keys"):
        override(tree, ["infer.batch.size=8"])


def test_paths_are_meant_from_the_folder_of_the_file() -> None:
    tree = {"image": "../em.h5::raw", "truth": None, "more": [{"image": "s3://b/em.zarr"}]}
    assert located(tree, {"image", "truth"}, Path("/data/flows")) == {
        "image": "/data/em.h5::raw",
        "truth": None,
        "more": [{"image": "s3://b/em.zarr"}],
    }
    assert located({"image": "builtin:x"}, {"image"}, Path("/d")) == {"image": "builtin:x"}
    assert located({"image": "em.h5::raw"}, {"image"}, Path("/d")) == {"image": "/d/em.h5::raw"}


def test_paths_of_settings_are_meant_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell completes them, and as the command that `next:` names says them."""
    flows, here = tmp_path / "flows", tmp_path / "here"
    flows.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    file = flows / "mine.yaml"
    file.write_text(
        "pipeline: segment_neurons\ninput: {image: em.zarr}\noutput: run\n"
        "checkpoint: builtin:boundaries-specimen\nblock_shape: [8, 8, 8]\n"
        "segment: {threshold: 0.5}\n"
    )
    tree = read_workflow(file).tree
    assert (tree["input"]["image"], tree["output"]) == (f"{flows}/em.zarr", f"{flows}/run")
    settings = ["checkpoint=../nets/net.yaml", "input={image: s3://b/em.zarr, truth: t.zarr}"]
    tree = read_workflow(file, settings).tree
    assert tree["checkpoint"] == f"{tmp_path}/nets/net.yaml"
    assert tree["input"] == {"image": "s3://b/em.zarr", "truth": f"{here}/t.zarr"}
    assert tree["output"] == f"{flows}/run"

    listed = flows / "list.yaml"
    listed.write_text("set: {input.truth: list.yaml}\nitems:\n- {name: a, image: mine.yaml}\n")
    (flows / "em.zarr").touch()
    (here / "own.yaml").touch()
    batch = read_batch(listed, workflow=file, settings=["checkpoint=own.yaml"])
    tree = batch.items[0].tree()
    assert tree == batch.items[0].read().tree
    assert (tree["input"]["truth"], tree["input"]["image"]) == (str(listed), str(file))
    assert tree["checkpoint"] == f"{here}/own.yaml"


def test_unreadable_workflows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the workflow .*nothing.yaml"):
        read_yaml(tmp_path / "nothing.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="holds list; a workflow is a mapping"):
        read_yaml(tmp_path / "list.yaml")
    (tmp_path / "nameless.yaml").write_text("output: x\n")
    with pytest.raises(ConfigError, match="is missing; name one of .*diff, .*segment_neurons"):
        read_workflow(tmp_path / "nameless.yaml")
    with pytest.raises(ConfigError, match="pipeline 'segment_neuron' is unknown; choose one of"):
        find_pipeline("segment_neuron")


@pytest.mark.parametrize("file", sorted(Path(__file__).parents[2].glob("workflows/*.yaml")))
def test_shipped_workflows_are_understood(file: Path) -> None:
    default = "train_boundaries" if file.stem.startswith("train_") else None
    workflow = read_workflow(file, default=default)
    assert isinstance(workflow.config, workflow.pipeline.config)
