"""Versions of a run that picks, and what an earlier run may not leave behind; counted by blocks."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from volkit.cli.app import app
from volkit.engine.stages import find_stages
from volkit.errors import BlockFailedError, ConfigError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.io.points.files import read_points
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.reprocess import Changes, prepare
from volkit.pipelines.reproducible import check_reproducible
from volkit.pipelines.version_selection import Limits
from volkit.pipelines.version_stages import stage_volume, version_stages
from volkit.pipelines.versions import read_version, version_folder, write_version
from volkit.testing.workflows import identity_checkpoint

SHAPE, BLOCK = (16, 32, 64), [16, 32, 32]
PEAKS = {"A": [(4, 9, 10), (9, 20, 50)], "B": [(8, 16, 30), (8, 16, 34), (3, 28, 60)]}
BLOCKS = 2
NAMES = ("A-picks", "A-prob", "B-picks", "B-prob")


def carried_out(workflow: Any, said: list[str] | None = None, **how: Any) -> Any:
    told = said.append if said is not None else str
    options = {"on_progress": None, "on_message": told, "replace_stale": False, **how}
    return workflow.pipeline.run(workflow, **options)


def build(folder: Path) -> Path:
    """Make a finished run over two tomograms that are their own heat maps, with sharp peaks."""
    for name, peaks in PEAKS.items():
        values = np.zeros(SHAPE, np.float32)
        for n, peak in enumerate(peaks):
            values[peak] = 0.9 - 0.1 * n
        volume = create_volume(
            folder / "tomograms" / f"{name}.zarr",
            shape=SHAPE,
            dtype=values.dtype,
            voxel_size_nm=(1.0, 1.0, 1.0),
        )
        volume.write(volume.domain, values)
    identity_checkpoint(folder / "identity.yaml", window=(8, 16, 16))
    identity_checkpoint(folder / "louder.yaml", window=(8, 16, 16), gain=0.7)
    (folder / "project" / "ExperimentRuns" / "A").mkdir(parents=True)
    keys = {
        "pipeline": "pick_particles",
        "input": {"folder": "tomograms"},
        "checkpoint": "identity.yaml",
        "output": "run",
        "block_shape": BLOCK,
        "infer": {"weights": "pyramid", "padding": "constant", "device": "cpu", "batch": 8},
        "pick": {"threshold": 0.5},
        "write": {"formats": ["star", "annotations", "portal"]},
        "cluster": {"workers": 0},
    }
    (folder / "pick.yaml").write_text(yaml.safe_dump(keys))
    carried_out(read_workflow(folder / "pick.yaml"))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("versions"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """The finished run, to be changed; a run may be moved."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def reprocess(run: Path, **changes: Any) -> Any:
    return carried_out(prepare(run, Changes(**changes)).workflow)


def counts(run: Path, number: int) -> dict[str, tuple[int, int]]:
    """Blocks computed and copied in a version, of what it does not share."""
    return {
        stage.name: (stage.computed, stage.copied)
        for stage in version_stages(run, number)
        if stage.lies_in == number and stage.name in NAMES
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"versions", "lock"} & set(path.relative_to(folder).parts)
    }


def picks_of(folder: Path) -> pd.DataFrame:
    return read_points(folder / "picks.parquet")


def test_a_new_checkpoint_computes_all_and_touches_nothing_else(made, run, tmp_path) -> None:
    before, louder = contents(run), made / "louder.yaml"
    outcome = reprocess(run, checkpoint=str(louder))
    assert contents(run) == before
    assert counts(run, 2) == dict.fromkeys(NAMES, (BLOCKS, 0))
    fresh = tmp_path / "fresh"
    carried_out(read_workflow(made / "pick.yaml", [f"checkpoint={louder}", f"output={fresh}"]))
    ours = picks_of(version_folder(run, 2))
    pd.testing.assert_frame_equal(ours, picks_of(fresh))
    # A peak of 0.7 falls below the threshold where the network answers seven tenths of it.
    assert (len(picks_of(run)), len(ours)) == (5, 4)
    star = "picks/B.star"
    assert (version_folder(run, 2) / star).read_bytes() == (fresh / star).read_bytes()
    assert dict(outcome.files)["picks"] == version_folder(run, 2) / "picks.parquet"
    version = read_version(run, 2)
    assert version.state == "finished"
    assert version.changes[0].startswith("checkpoint: identity.yaml")
    assert version.stages["A-prob"]["computed"] == BLOCKS


def test_another_threshold_runs_no_network_and_another_distance_nothing(run) -> None:
    reprocess(run, settings=["pick.threshold=0.75"])
    assert counts(run, 2) == {"A-picks": (BLOCKS, 0), "B-picks": (BLOCKS, 0)}
    assert {s.lies_in for s in version_stages(run, 2) if s.name.endswith("-prob")} == {1}
    assert picks_of(version_folder(run, 2))["score"].min() > 0.75
    reprocess(run, settings=["pick.exclusion_nm=6.0"])
    assert counts(run, 3) == {}
    # Two peaks lie 4 nm apart: within max-pooling's reach they would be one already.
    assert len(picks_of(version_folder(run, 3))) == len(picks_of(run)) - 1


def test_a_box_limits_in_every_tomogram(made, run) -> None:
    limits, louder = Limits(boxes=(Box((0, 0, 40), (4, 4, 44)),)), str(made / "louder.yaml")
    reprocess(run, checkpoint=louder, limits=limits)
    found = counts(run, 2)
    assert (found["A-prob"], found["B-prob"]) == ((1, 1), (1, 1))
    old, new = (stage_volume(run, n, "A-prob").read()[0] for n in (1, 2))
    assert (new[..., :32] == old[..., :32]).all()
    assert new[9, 20, 50] == pytest.approx(0.7 * old[9, 20, 50])


def test_where_the_old_network_was_unsure_and_where_masks_say_so(made, run, tmp_path) -> None:
    louder = str(made / "louder.yaml")
    # Of B the peaks are 0.9 and 0.8 in the first block, 0.7 in the second; A has 0.9, and 0.8.
    reprocess(run, checkpoint=louder, limits=Limits(unsure=(0.65, 0.75)))
    found = counts(run, 2)
    assert (found["A-prob"], found["B-prob"]) == ((0, 2), (1, 1))
    old, new = (stage_volume(run, n, "A-prob").read() for n in (1, 2))
    np.testing.assert_array_equal(old, new)
    for name, place in (("A", (0, 0, 40)), ("B", (0, 0, 3))):
        mask = create_volume(
            tmp_path / f"{name}.zarr", shape=SHAPE, dtype=np.uint8, voxel_size_nm=(1.0, 1.0, 1.0)
        )
        values = np.zeros(SHAPE, np.uint8)
        values[place] = 1
        mask.write(mask.domain, values)
    reprocess(run, checkpoint=louder, limits=Limits(mask=f"{tmp_path}/{{name}}.zarr"), base=1)
    found = counts(run, 3)
    assert (found["A-prob"], found["B-prob"]) == ((1, 1), (1, 1))
    old, new = (stage_volume(run, n, "B-prob").read()[0] for n in (1, 3))
    assert (new[..., 32:] == old[..., 32:]).all()
    assert new[8, 16, 30] == pytest.approx(0.7 * old[8, 16, 30])


def test_a_version_that_was_begun_goes_on_block_by_block(made, run) -> None:
    changes = {"checkpoint": str(made / "louder.yaml")}
    reprocess(run, **changes)
    folder = version_folder(run, 2)
    whole = picks_of(folder)
    write_version(run, replace(read_version(run, 2), state="begun", stages={}))
    (folder / "picks.parquet").unlink()
    for stage in find_stages(Place.at(folder)):
        if stage.name == "B-prob":
            stage.ledger.unmark([1])
    seen: dict[str, int] = {}
    carried_out(
        prepare(run, Changes(**changes)).workflow,
        on_progress=lambda state: seen.update({state.stage: state.done - state.resumed}),
    )
    assert read_version(run, 2).state == "finished"
    pd.testing.assert_frame_equal(picks_of(folder), whole)
    assert {name: count for name, count in seen.items() if count} == {"B-prob": 1}


def test_commands_make_and_promote_a_version(made, run) -> None:
    def say(*arguments: object) -> str:
        done = CliRunner().invoke(app, [str(each) for each in arguments])
        assert done.exit_code == 0, done.output
        return done.output.replace("\n", "")

    assert "v2: checkpoint: identity.yaml" in say(
        "reprocess", run, "--checkpoint", made / "louder.yaml"
    )
    assert say("promote", run, "v2").endswith("versions/v2/report")
    assert "v2 *" in say("versions", run)
    assert "v1 is current" in say("rollback", run)


def test_sample_blocks_come_out_again(made, run) -> None:
    workflow = read_workflow(made / "pick.yaml", [f"output={run}"])
    rows = {row.stage: row for row in check_reproducible(workflow)}
    assert set(rows) >= {"A-prob", "B-prob"}
    assert all(row.checked > 0 and not row.differences for row in rows.values())
    # And what is not as it was is found.
    prob = open_volume(run / "B-prob.zarr")
    values = prob.read()
    values[0, 1, 1, 1] += 0.25
    prob.write(prob.domain, values)
    rows = {row.stage: row for row in check_reproducible(workflow)}
    assert [name for name, row in rows.items() if row.differences] == ["B-prob"]
    assert rows["B-prob"].differences[0].voxels == 1


def test_a_version_does_not_replace_picks_in_a_project(made, tmp_path) -> None:
    into = tmp_path / "into"
    told = ["write.formats=[copick]", f"write.copick={made / 'project'}", f"output={into}"]
    carried_out(read_workflow(made / "pick.yaml", told))
    picks = made / "project" / "ExperimentRuns" / "A" / "Picks" / "volkit_1_boundary.json"
    before = picks.read_bytes()
    changes = {"checkpoint": str(made / "louder.yaml")}
    with pytest.raises(ConfigError, match="session 1, are those of .*--set write.session=NAME"):
        reprocess(into, **changes)
    reprocess(into, **changes, settings=["write.session=again"])
    assert picks.read_bytes() == before
    assert picks.with_name("volkit_again_boundary.json").exists()


def test_a_tomogram_that_fails_or_is_left_out_keeps_no_files_of_an_earlier_run(tmp_path) -> None:
    folder = build(tmp_path)
    run, workflow = folder / "run", read_workflow(folder / "pick.yaml")
    left = {
        "picks/B.star",
        "picks/B-boundary.ndjson",
        "picks/B-boundary.json",
        "picks/B.annotations/info",
        "report/figures/B.png",
    }
    assert left <= set(contents(run))
    shutil.rmtree(folder / "tomograms" / "B.zarr")
    (folder / "tomograms" / "B.zarr").mkdir()
    with pytest.raises(BlockFailedError, match="1 of 2 tomograms failed"):
        carried_out(workflow)
    assert not [path for path in contents(run) if "B" in path and path.startswith(("pi", "re"))]
    assert set(picks_of(run)["tomogram"]) == {"A"}
    record = json.loads((run / "report" / "run.json").read_text())
    assert [each["state"] for each in record["tomograms"]] == ["finished", "failed"]
    # What a person put there stays; what the run wrote of A goes, once A is of it no more.
    (run / "picks" / "C.star").write_text("of a person")
    shutil.copytree(folder / "tomograms" / "A.zarr", folder / "D.zarr")
    carried_out(read_workflow(folder / "pick.yaml", [f"input={{tomograms: [{folder}/D.zarr]}}"]))
    names = {path.name for path in (run / "picks").iterdir()}
    assert names == {"C.star", "D.star", "D.annotations", "D-boundary.ndjson", "D-boundary.json"}
