"""Reprocessing: what a change touches is computed anew, counted by blocks, and nothing else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.engine.stages import find_stages
from volkit.errors import ConfigError, ModelError, SourceError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.ops.segmentation import segment
from volkit.pipelines import segment_neurons
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.reprocess import Changes, prepare
from volkit.pipelines.segment_chain import open_inputs
from volkit.pipelines.version_selection import Limits
from volkit.pipelines.version_stages import stage_volume, version_stages
from volkit.pipelines.versions import read_version, read_versions, version_folder, write_version
from volkit.testing.workflows import identity_checkpoint

VOLUMES = ("prob", "seed_parts", "seeds", "fragments", "labels")
TABLES = ("seed_links", "region_graph", "contingency")
BLOCKS = 12
FIRST_BLOCK = Box((0, 0, 0), (12, 16, 20))


@pytest.fixture
def run(finished, tmp_path: Path) -> Path:
    """A finished run, to be changed; a run may be moved."""
    return Path(shutil.copytree(finished.folder, tmp_path / "run"))


@pytest.fixture(scope="session")
def louder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose answers are others."""
    card = tmp_path_factory.mktemp("louder") / "louder.yaml"
    identity_checkpoint(card, gain=0.8)
    return card


def reprocess(run: Path, **changes: Any) -> Outcome:
    prepared = prepare(run, Changes(**changes))
    return prepared.workflow.pipeline.run(
        prepared.workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
    )


def counts(run: Path, number: int) -> dict[str, tuple[int, int]]:
    """Blocks computed and copied in a version, of what it does not share."""
    return {
        stage.name: (stage.computed, stage.copied)
        for stage in version_stages(run, number)
        if stage.lies_in == number and stage.name in (*VOLUMES, *TABLES)
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {"versions", "lock"} & set(path.relative_to(folder).parts)
    }


def check_equal(run: Path, number: int, fresh: Path) -> None:
    for name in VOLUMES:
        ours, theirs = stage_volume(run, number, name), open_volume(fresh / f"{name}.zarr")
        assert np.array_equal(ours.read(), theirs.read()), name
    reports = (version_folder(run, number), fresh)
    ours, theirs = (json.loads((f / "report" / "scores.json").read_text()) for f in reports)
    assert ours == theirs


def test_a_new_checkpoint_computes_all_that_follows_from_it(run, tiny, louder, tmp_path) -> None:
    before = contents(run)
    outcome = reprocess(run, checkpoint=str(louder))
    assert contents(run) == before
    assert counts(run, 2) == dict.fromkeys((*VOLUMES, *TABLES), (BLOCKS, 0))
    settings = [f"checkpoint={louder}", f"output={tmp_path / 'fresh'}"]
    segment_neurons.run(read_workflow(tiny, settings).config)
    check_equal(run, 2, tmp_path / "fresh")
    assert dict(outcome.files)["labels"] == run / "versions" / "v2" / "labels.zarr"
    version = read_version(run, 2)
    assert version.state == "finished"
    assert version.checkpoint["uri"] == str(louder)
    assert len(version.checkpoint["sha256"]) == 64
    assert version.changes[0].startswith("checkpoint: ")
    assert version.stages["prob"]["computed"] == BLOCKS


def test_a_last_parameter_computes_the_last_stages_alone(run, tiny, tmp_path) -> None:
    reprocess(run, settings=["segment.threshold=0.95"])
    assert counts(run, 2) == {"labels": (BLOCKS, 0), "contingency": (BLOCKS, 0)}
    shared = {stage.name: stage.lies_in for stage in version_stages(run, 2)}
    assert shared["prob"] == shared["fragments"] == shared["region_graph"] == 1
    settings = ["segment.threshold=0.95", f"output={tmp_path / 'fresh'}"]
    segment_neurons.run(read_workflow(tiny, settings).config)
    check_equal(run, 2, tmp_path / "fresh")


def test_a_score_parameter_computes_no_block(run) -> None:
    reprocess(run, settings=["score.pred_zero=ignore"])
    assert counts(run, 2) == {}
    assert (run / "versions" / "v2" / "report" / "scores.json").exists()


def check_first_block(run: Path, louder: Path, limits: Limits) -> None:
    reprocess(run, checkpoint=str(louder), limits=limits)
    found = counts(run, 2)
    assert found["prob"] == (1, BLOCKS - 1)
    assert sum(found["seed_parts"]) == BLOCKS
    old, new = stage_volume(run, 1, "prob").read(), stage_volume(run, 2, "prob").read()
    first = (slice(None), *FIRST_BLOCK.slices)
    whole = replace(read_workflow_of(run), checkpoint=str(louder), output=str(run.parent / "whole"))
    segment_neurons.run(whole)
    fresh = open_volume(str(run.parent / "whole" / "prob.zarr")).read()
    assert (new[first] == fresh[first]).all()
    assert (new[first] != old[first]).any()
    outside = np.ones(new.shape, bool)
    outside[first] = False
    assert (new[outside] == old[outside]).all()
    # What follows is what one gets from these probabilities, whichever blocks were copied.
    config = read_workflow_of(run)
    labels = segment(
        new, options=config.segment, grid=Grid(open_inputs(config).grid.domain, new.shape[1:])
    )
    assert (stage_volume(run, 2, "labels").read() == labels.compute()).all()


def read_workflow_of(run: Path) -> Any:
    return prepare(run, Changes(settings=["score.pred_zero=ignore"], base=1)).workflow.config


def test_a_box_limits(run, louder) -> None:
    check_first_block(run, louder, Limits(boxes=(Box((2, 3, 4), (9, 9, 9)),)))
    assert read_version(run, 2).selection == {"boxes": [[[2, 3, 4], [9, 9, 9]]]}


def test_cutouts_limit(run, tmp_path) -> None:
    file = tmp_path / "cutouts.csv"
    file.write_text("name, z0, z1, y0, y1, x0, x1\na,0,5,0,5,0,5\nb,6,13,8,16,1,2\n")
    limits = Limits(cutouts=file)
    selection = limits.selection(run, 1)
    assert selection is not None
    assert selection.boxes == (Box((0, 0, 0), (5, 5, 5)), Box((6, 8, 1), (13, 16, 2)))
    assert limits.record == {"boxes": [[[0, 0, 0], [5, 5, 5]], [[6, 8, 1], [13, 16, 2]]]}


def test_a_mask_limits(run, louder, tmp_path) -> None:
    mask = create_volume(
        tmp_path / "mask.zarr", shape=(12, 48, 40), dtype=np.uint8, voxel_size_nm=(10, 10, 10)
    )
    values = np.zeros(mask.shape, np.uint8)
    values[FIRST_BLOCK.slices] = 3
    mask.write(mask.domain, values)
    check_first_block(run, louder, Limits(mask=str(tmp_path / "mask.zarr")))


def test_only_where_the_old_network_was_unsure(run, louder) -> None:
    old = stage_volume(run, 1, "prob").read()[0]
    unsure = (old >= 0.45) & (old <= 0.452)
    cut = unsure.reshape(2, 12, 3, 16, 2, 20).any(axis=(1, 3, 5))
    assert 0 < cut.sum() < BLOCKS
    reprocess(run, checkpoint=str(louder), limits=Limits(unsure=(0.45, 0.452)))
    assert counts(run, 2)["prob"] == (cut.sum(), BLOCKS - cut.sum())


def test_a_killed_reprocessing_goes_on(run, louder) -> None:
    changes = {"checkpoint": str(louder), "limits": Limits(boxes=(FIRST_BLOCK,))}
    reprocess(run, **changes)
    folder, labels = version_folder(run, 2), stage_volume(run, 2, "labels").read()
    write_version(run, replace(read_version(run, 2), state="begun", stages={}))
    for stage in find_stages(Place.at(folder)):
        if stage.name == "prob":
            stage.ledger.unmark([0, 5])
        elif stage.name in ("fragments", "labels", "seed_links"):
            shutil.rmtree(folder / f"{stage.name}.ledger")
            shutil.rmtree(folder / f"{stage.name}.zarr", ignore_errors=True)
    reprocess(run, **changes)
    assert [version.number for version in read_versions(run)] == [1, 2]
    assert read_version(run, 2).state == "finished"
    assert (stage_volume(run, 2, "labels").read() == labels).all()
    assert prepare(run, Changes(**changes)).version.state == "finished"


def test_a_version_that_was_repaired_goes_on(run) -> None:
    changes = {"settings": ["segment.threshold=0.95"]}
    reprocess(run, **changes)
    for stage in find_stages(Place.at(version_folder(run, 2))):
        if stage.name == "labels":
            stage.ledger.unmark([3])
    shutil.rmtree(run / "prob.zarr")
    assert prepare(run, Changes(**changes)).version.state == "begun"
    reprocess(run, **changes)
    assert prepare(run, Changes(**changes)).version.state == "finished"
    assert counts(run, 2)["prob"] == (BLOCKS, 0)  # what was lost is its own now


def test_a_version_of_a_version(run, louder) -> None:
    reprocess(run, checkpoint=str(louder), limits=Limits(boxes=(FIRST_BLOCK,)))
    reprocess(run, settings=["segment.threshold=0.95"], base=2)
    assert set(counts(run, 3)) == {"labels", "contingency"}
    shared = {stage.name: stage.lies_in for stage in version_stages(run, 3)}
    assert shared["prob"] == 2
    assert read_version(run, 3).parameters["checkpoint"] == str(louder)


def forget_report(run: Path) -> None:
    (run / "report" / "run.json").unlink()


def unfinish(run: Path) -> None:
    for stage in find_stages(Place.at(run)):
        if stage.name == "labels":
            stage.ledger.unmark([3])


def change_report(run: Path, *path: str, value: str) -> None:
    file = run / "report" / "run.json"
    tree = node = json.loads(file.read_text())
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    file.write_text(json.dumps(tree))


def other_volkit(run: Path) -> None:
    change_report(run, "versions", "volkit", value="9.8.7")


def other_pipeline(run: Path) -> None:
    change_report(run, "parameters", "pipeline", value="mirror")


def newer_record(run: Path) -> None:
    (run / "versions" / "v1").mkdir(parents=True)
    (run / "versions" / "v1" / "version.json").write_text('{"format": 99, "volkit": "9.8.7"}')


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (forget_report, SourceError, r"is not finished, or its pipeline.*finish it first"),
        (unfinish, SourceError, r"v1 of .* is not finished \(stage labels is not\)"),
        (shutil.rmtree, SourceError, "there is no run in"),
        (other_volkit, ConfigError, r"was made by volkit 9\.8\.7, this is"),
        (other_pipeline, ConfigError, "a run of mirror, which has no versions"),
        (newer_record, ConfigError, r"written by volkit 9\.8\.7 in format 99"),
    ],
)
def test_a_run_that_cannot_be_derived_from(run, louder, damage, error, message) -> None:
    damage(run)
    with pytest.raises(error, match=message):
        prepare(run, Changes(checkpoint=str(louder)))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({}, ConfigError, "nothing would change from v1"),
        ({"settings": ["cluster.workers=1"]}, ConfigError, "nothing would change from v1"),
        ({"settings": ["output=x"]}, ConfigError, "lies beside the others"),
        ({"settings": ["segment.treshold=1"]}, ConfigError, "did you mean threshold"),
        ({"checkpoint": "nothing.yaml"}, ModelError, "there is no card at .*nothing.yaml"),
        ({"settings": ["segment.threshold=0.95"], "base": 4}, ConfigError, "there is no v4.* v1$"),
    ],
)
def test_changes_that_cannot_be(run, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        prepare(run, Changes(**changes))
    assert not (run / "versions").exists()


def test_limits_that_cannot_be(run, louder, tmp_path) -> None:
    create_volume(tmp_path / "coarse.zarr", shape=(8, 8, 8), dtype=np.uint8)
    file = tmp_path / "cutouts.csv"
    file.write_text("z0,z1,y0,y1,x0,x1\n0,1,0,1,0,1\n0,1,5,4,0,1\n")
    for limits, message in (
        ({"mask": str(tmp_path / "coarse.zarr")}, "give a mask of the run's own voxels"),
        ({"mask": "nothing.zarr"}, "does not exist"),
        ({"cutouts": file}, r"cutouts\.csv, line 3: box stops"),
        ({"cutouts": tmp_path / "none.csv"}, "cannot read the cutouts"),
        ({"boxes": (FIRST_BLOCK,), "unsure": (0.0, 1.0)}, "limit the work in one way"),
        ({"boxes": (Box((99, 0, 0), (100, 1, 1)),)}, "touches no block"),
    ):
        with pytest.raises((ConfigError, SourceError, ValueError), match=message):
            reprocess(run, checkpoint=str(louder), limits=Limits(**limits))
