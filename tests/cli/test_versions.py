"""Versions of a run on the command line: what it prints, and how it ends."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from volkit.pipelines import segment_neurons
from volkit.pipelines.registry import read_workflow
from volkit.testing.workflows import tiny_workflow

Says = Callable[..., str]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tiny_workflow(tmp_path_factory.mktemp("versions"), shape=(24, 32, 20))
    segment_neurons.run(read_workflow(file).config)
    return file.parent / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_a_version_from_its_making_to_its_removal(run, says) -> None:
    change = ("reprocess", run, "--set", "segment.fragments.seeds.threshold=0.4")
    said = says(*change)
    assert "v2: segment.fragments.seeds.threshold: 0.5 became 0.4" in said
    assert "prob                 4/4 blocks, was done" in said
    assert said.splitlines()[-1].split()[:3] == ["next:", "volkit", "promote"]
    assert "v2 is that already, and finished" in says(*change)

    table = says("versions", run).splitlines()
    rows = [line for line in table[1:] if line.startswith("v")]  # long cells go on below
    assert [row.split()[:2] for row in rows] == [["v1", "*"], ["v2", "finished"]]
    assert "prob" in rows[1]

    assert "v2 is current" in says("promote", run, "v2")
    told = says("gc", run, "--dry-run")
    assert "v1 labels: " in told
    assert "would be freed" in told
    assert (run / "labels.zarr").exists()
    assert says("gc", run).splitlines()[:-1] == told.splitlines()[:-1]
    assert not (run / "labels.zarr").exists()
    assert (run / "prob.zarr").exists()
    assert "v1 of" in says("rollback", run, code=1)
    assert says("gc", run) == "0 B freed\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reprocess", "{run}"), "nothing would change from v1"),
        (("reprocess", "{run}", "--checkpoint", "none.yaml"), "there is no card at"),
        (("reprocess", "{run}", "--box", "1:2"), "--box 1:2: write three ranges"),
        (("reprocess", "{run}", "--unsure", "half"), "--unsure half: write two probabilities"),
        (
            ("reprocess", "{run}", "--mask", "m.zarr", "--unsure", "0,1"),
            "mask and unsure are given; limit the work in one way",
        ),
        (("reprocess", "{run}", "--from", "x"), "'x' is no version; give one such as v2"),
        (("reprocess", "nowhere"), "there is no run in"),
        (("promote", "{run}", "v5"), "there is no v5 in"),
        (("rollback", "{run}"), "there is nothing to go back to"),
        (("versions", "nowhere"), "there is no run in nowhere"),
        (("gc", "{run}", "--keep", "v4"), "--keep v4"),
    ],
)
def test_what_cannot_be_ends_in_one_message(run, says, arguments, message) -> None:
    said = says(*(argument.format(run=run) for argument in arguments), code=1)
    assert message in " ".join(said.split())
    assert said.startswith("error: ")
    assert not (run / "versions").exists()
