"""From tomograms to picks: a copick project, a folder with bad files, formats, scores, resuming."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from volkit.errors import BlockFailedError, ConfigError, SourceError
from volkit.io.open import create_volume, open_volume
from volkit.io.points.copick import open_copick
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame
from volkit.io.tables import read_table
from volkit.models.checkpoint import read_checkpoint
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.status import read_status
from volkit.testing.particle_projects import particle_project, perfect_heat, true_points
from volkit.testing.tomograms import TomogramSpecimen
from volkit.testing.workflows import identity_checkpoint

ROOT = Path(__file__).parents[2]
SHAPE = (32, 96, 104)
SEEDS = (6, 15)  # with particles of both classes
RADII = {"ribosome": 15.0, "thyroglobulin": 13.0}
CLASSES = tuple(RADII)


def store(path: Path | str, values: np.ndarray, voxel_size_nm: tuple[float, ...]) -> None:
    volume = create_volume(
        path,
        shape=values.shape[-3:],
        channels=None if values.ndim == 3 else len(values),
        dtype=values.dtype,
        voxel_size_nm=voxel_size_nm,
    )
    volume.write(volume.domain, values)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copick project of two runs with curated picks, and stored heat maps beside it."""
    folder = tmp_path_factory.mktemp("copick")
    config = particle_project(folder, shape=SHAPE, seeds=SEEDS, classes=CLASSES)
    for run in ("TS_1", "TS_2"):
        assert set(open_copick(str(config)).picks(run)["class"]) == set(CLASSES)
    return folder


def workflow(folder: Path, name: str, **changes):
    keys = {
        "pipeline": "pick_particles",
        "output": f"runs/{name}",
        "block_shape": [32, 48, 52],
        "cluster": {"workers": 0},
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(
        yaml.safe_dump({key: value for key, value in keys.items() if value is not None})
    )
    return read_workflow(path)


def carried_out(found, said=None):
    say = print if said is None else said.append
    return found.pipeline.run(found, on_progress=None, on_message=say, replace_stale=False)


FROM_PROJECT = {
    "input": {"copick": "copick.json", "kind": "denoised", "heat": "heat/{name}.zarr"},
    "classes": list(CLASSES),
    "pick": {"threshold": 0.5, "exclusion_nm": {"ribosome": 10.0, "thyroglobulin": 8.0}},
    "truth": {"user": "curation", "radius_nm": RADII},
    "write": {"formats": ["star", "csv", "czii", "portal", "annotations", "copick"]},
}


@pytest.fixture(scope="module")
def finished(project: Path):
    """A finished run from the project, with what it came to."""
    found = workflow(project, "all", **FROM_PROJECT)
    return found, carried_out(found), project / "runs" / "all"


def test_a_perfect_network_finds_all_and_nothing_else(project: Path, finished) -> None:
    _, outcome, output = finished
    scores = json.loads((output / "report" / "scores.json").read_text())
    assert (scores["czii"]["score"], scores["one_to_one"]["score"]) == (1.0, 1.0)
    assert dict(row[:2] for row in outcome.scores)["score, one to one"] == "1.000000"
    picks = read_points(output / "picks.parquet")
    truth = open_copick(str(project / "copick.json"))
    for run in ("TS_1", "TS_2"):
        ours, theirs = (
            frame.sort_values(["class", "z_nm", "y_nm"])[["z_nm", "y_nm", "x_nm"]].to_numpy()
            for frame in (picks[picks["tomogram"] == run], truth.picks(run, user="curation"))
        )
        assert len(ours) == len(theirs) > 3
        assert np.abs(ours - theirs).max() < 0.51 * 1.0012444
    table = pd.read_csv(output / "report" / "tomograms.csv")
    assert table["hits"].sum() == len(picks)
    assert not table[["false", "missed"]].to_numpy().any()


def test_every_format_holds_the_same_points(project: Path, finished) -> None:
    _, _, output = finished
    picks, _, record = read_table(output / "picks.parquet")
    assert record["tomograms"][0] | {"inputs": None} == {
        "name": "TS_1",
        "state": "finished",
        "picks": int((picks["tomogram"] == "TS_1").sum()),
        "voxel_size_nm": [1.0012444] * 3,
        "inputs": None,
    }
    pd.testing.assert_frame_equal(read_points(output / "picks.csv"), picks)
    challenge = read_points(output / "submission.csv")
    pd.testing.assert_frame_equal(challenge.assign(score=picks["score"]), picks)
    order = ["tomogram", "class", "z_nm", "y_nm", "x_nm"]
    star = pd.concat([read_points(output / "picks" / f"TS_{n}.star") for n in (1, 2)])
    pd.testing.assert_frame_equal(star.reset_index(drop=True), picks)
    copied = open_copick(str(project / "copick.json"))
    written = pd.concat([copied.picks(run, user="volkit") for run in copied.runs])
    ours, theirs = (f.sort_values(order).reset_index(drop=True) for f in (written, picks))
    pd.testing.assert_frame_equal(ours, theirs)
    one = picks[picks["tomogram"] == "TS_1"]
    portal = [output / "picks" / f"TS_1-{name}.ndjson" for name in CLASSES]
    assert sum(len(read_points(path)) for path in portal) == len(one)
    assert len(read_points(output / "picks" / "TS_1.annotations")) == len(one)
    assert (output / "report" / "figures" / "TS_2.png").read_bytes()[:4] == b"\x89PNG"


def test_a_second_run_computes_nothing_and_says_the_same(finished) -> None:
    found, outcome, output = finished
    before = {p: p.read_bytes() for p in output.rglob("*") if p.suffix in (".star", ".png", ".csv")}
    again = carried_out(found)
    assert [time.resumed for time in again.times] == [time.blocks for time in again.times]
    assert again.scores == outcome.scores
    assert {path: path.read_bytes() for path in before} == before


def test_picks_that_are_no_longer_found_are_not_left_behind(project: Path, finished) -> None:
    changes = {
        **FROM_PROJECT,
        "pick": {"threshold": {"ribosome": 0.5, "thyroglobulin": 2.0}},
        "write": {"formats": ["portal", "copick"], "user": "again"},
    }
    kept = project / "runs" / "fewer" / "picks" / "TS_1-thyroglobulin.ndjson"
    for told, there in ((FROM_PROJECT["pick"], True), (changes["pick"], False)):
        found = workflow(project, "fewer", **{**changes, "pick": told})
        found.pipeline.run(found, on_progress=None, on_message=print, replace_stale=True)
        again = open_copick(str(project / "copick.json")).picks("TS_1", user="again")
        assert ("thyroglobulin" in set(again["class"])) == there == kept.exists()
        assert "ribosome" in set(again["class"])


def test_tomograms_of_a_bucket_are_listed(project: Path) -> None:
    heat = open_volume(project / "heat" / "TS_1.zarr")
    for place, values in (("tomograms", heat.read()[0]), ("heat", heat.read())):
        store(f"memory://picking/{place}/TS_1.zarr", values, heat.voxel_size_nm)
    told = {"folder": "memory://picking/tomograms", "heat": "memory://picking/heat/{name}.zarr"}
    changes = {**FROM_PROJECT, "input": told, "truth": None, "write": {"formats": []}}
    outcome = carried_out(workflow(project, "bucket", **changes))
    assert [name for name, _ in outcome.files] == ["picks", "figures", "report"]
    assert set(read_points(dict(outcome.files)["picks"])["tomogram"]) == {"TS_1"}


def test_status_and_plan_name_the_stages(finished) -> None:
    found, _, output = finished
    stages = [stage.stage for stage in read_status(output).stages]
    assert [name for name in stages if "/" not in name][:2] == ["TS_1-picks", "TS_2-picks"]
    plan = found.pipeline.plan(found.config)
    assert [(stage.name, stage.blocks) for stage in plan.stages] == [("picks", 2 * 4)]
    assert plan.problems() == []
    assert plan.advice == ()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tomograms of which some are bad, and a network that says what it sees."""
    folder = tmp_path_factory.mktemp("folder")
    specimen = TomogramSpecimen(SHAPE, seed=SEEDS[0], density=1.0)
    truth = true_points(specimen, CLASSES)
    heat = perfect_heat(truth, CLASSES, SHAPE, specimen.voxel_size_nm).max(axis=0)
    tomograms = folder / "tomograms"
    tomograms.mkdir()
    for name in ("a", "d"):
        store(tomograms / f"{name}.zarr", heat, specimen.voxel_size_nm)
    (tomograms / "b.mrc").write_bytes(b"no map")
    store(tomograms / "c.zarr", np.full(SHAPE, np.nan, np.float32), specimen.voxel_size_nm)
    (tomograms / "notes.txt").write_text("not a tomogram")
    all_of_one = truth.assign(**{"class": pd.Series(["boundary"] * len(truth), dtype="str")})
    named = [points_frame(all_of_one.iloc[:, :3], "boundary", tomograms=n) for n in "acd"]
    write_points(folder / "truth.csv", pd.concat(named, ignore_index=True))
    identity_checkpoint(folder / "identity.yaml", window=(8, 32, 32))
    return folder


NETWORK = {
    "input": {"folder": "tomograms"},
    "checkpoint": "identity.yaml",
    "infer": {"stride": [8, 16, 16], "weights": "pyramid", "device": "cpu", "batch": 8},
    "truth": {"points": "truth.csv", "radius_nm": {"boundary": 13.0}},
}


@pytest.fixture(scope="module")
def marred(folder: Path):
    """What came of a folder with two bad tomograms, with what was said."""
    found = workflow(folder, "marred", **NETWORK)
    said: list[str] = []
    with pytest.raises(BlockFailedError, match="2 of 4 tomograms failed") as error:
        carried_out(found, said)
    return found, str(error.value), said, folder / "runs" / "marred"


def test_bad_tomograms_are_named_and_the_others_are_picked(marred) -> None:
    _, error, said, output = marred
    assert "  b: " in error
    assert "  c: " in error
    assert "tomograms/b.mrc" in error
    record = json.loads((output / "report" / "run.json").read_text())
    states = {each["name"]: each["state"] for each in record["tomograms"]}
    assert states == {"a": "finished", "b": "failed", "c": "failed", "d": "finished"}
    picks = read_points(output / "picks.parquet")
    assert set(picks["tomogram"]) == {"a", "d"}
    scores = json.loads((output / "report" / "scores.json").read_text())
    assert scores["tomograms"] == ["a", "d"]
    assert scores["czii"]["score"] == scores["one_to_one"]["score"] == 1.0
    assert any(line.startswith("tomogram 4/4: d: ") for line in said)
    assert "2 of 4 tomograms failed" in read_status(output).failure


def test_what_is_finished_is_neither_computed_again_nor_changed(folder: Path, marred) -> None:
    found, _, _, output = marred
    before = (output / "picks.parquet").read_bytes()
    done: list[tuple[str, int, int]] = []
    with pytest.raises(BlockFailedError, match="2 of 4 tomograms failed"):
        found.pipeline.run(
            found,
            on_progress=lambda state: done.append((state.stage, state.resumed, state.total)),
            on_message=print,
            replace_stale=False,
        )
    assert {(r, n) for stage, r, n in done if stage in ("a-prob", "d-prob")} == {(4, 4)}
    assert (output / "picks.parquet").read_bytes() == before


def test_a_plan_says_what_will_fail(marred) -> None:
    found = marred[0]
    plan = found.pipeline.plan(found.config)
    assert [stage.name for stage in plan.stages] == ["prob", "picks"]
    assert plan.stages[0].blocks == 3 * 4
    assert plan.stages[0].passes > 0
    assert any(text.startswith("b will fail, and the others go on: ") for text in plan.advice)


def test_the_command_exits_with_1_and_names_them(project: Path, warm_python) -> None:
    heat = [{"heat": "heat/TS_1.zarr"}, {"heat": "heat/TS_9.zarr"}]
    changes = {"input": {"tomograms": heat}, "truth": None, "write": {"formats": ["star"]}}
    workflow(project, "command", **{**FROM_PROJECT, **changes})
    command = ("-c", "from volkit.cli import main; main()", "run", "command.yaml")
    done = warm_python(*command, folder=project, environment={**os.environ, "COLUMNS": "120"})
    assert done.returncode == 1, done.stdout
    assert "1 of 2 tomograms failed" in done.stderr
    assert "  TS_9: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "runs" / "command" / "report" / "figures" / "TS_1.png").exists()


def test_weights_with_the_published_floor_find_the_same_dimmer(folder: Path, marred) -> None:
    changes = {**NETWORK, "input": {"tomograms": ["tomograms/a.zarr"]}}
    changes["infer"] = {**NETWORK["infer"], "weights": "pyramid-published"}
    changes["pick"] = {"threshold": 0.05}
    carried_out(workflow(folder, "published", **changes))
    table = pd.read_csv(folder / "runs" / "published" / "report" / "tomograms.csv")
    assert (table["hits"].sum(), table["missed"].sum()) == (5, 0)
    # The floor dims what few windows see: a threshold of 0.5 would lose some of them.
    picks = read_points(folder / "runs" / "published" / "picks.parquet")
    ours = read_points(folder / "runs" / "marred" / "picks.parquet", PointOptions(tomogram="a"))
    assert len(ours) == 5 > (picks["score"] > 0.5).sum()


def test_truth_that_lies_outside_fails_its_tomogram(folder: Path) -> None:
    far = points_frame([[1.0, 2.0, 3.0], [1.0, 2.0, 300.0]], "boundary")
    write_points(folder / "far.csv", far)
    item = {"image": "tomograms/a.zarr", "truth": "far.csv"}
    changes = {**NETWORK, "input": {"tomograms": [item]}, "truth": None}
    with pytest.raises(ConfigError, match="truth.radius_nm does not name boundary"):
        carried_out(workflow(folder, "outside", **changes))
    changes["truth"] = {"radius_nm": {"boundary": 13.0}}
    with pytest.raises(BlockFailedError, match="1 of 2 points lie outside"):
        carried_out(workflow(folder, "outside", **changes))


def test_a_tomogram_without_voxel_size_is_refused(folder: Path) -> None:
    np.save(folder / "plain.npy", np.zeros(SHAPE, np.float32))
    changes = {**NETWORK, "input": {"tomograms": ["plain.npy"]}, "truth": None}
    with pytest.raises(BlockFailedError, match="does not say how large its voxels are"):
        carried_out(workflow(folder, "plain", **changes))
    changes["input"] = {**changes["input"], "voxel_size_nm": [1.0, 1.0, 1.0]}
    outcome = carried_out(workflow(folder, "sized", **changes))
    assert outcome.scores == ()
    assert len(read_points(dict(outcome.files)["picks"])) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": {}}, "nothing given; give exactly one"),
        ({"input": {"folder": "a", "copick": "b"}}, "copick and folder given"),
        ({"input": {"folder": "a", "runs": ["b"]}}, "choose from a copick project"),
        ({"input": {"folder": "a", "heat": "b.zarr"}}, "where the tomogram's name stands"),
        ({"input": {"tomograms": [{"name": "a"}]}}, "neither image nor heat"),
        ({"input": {"tomograms": [{"image": "a", "het": "b"}]}}, "did you mean heat"),
        ({"checkpoint": None}, "neither checkpoint and stored heat maps given"),
        ({"pick": {"treshold": 1}}, "did you mean threshold"),
        ({"write": {"formats": ["stra"]}}, "write.formats"),
        ({"write": {"formats": ["copick"]}}, "write.copick is missing"),
        ({"truth": {"beta": 1.0}}, "truth.points is missing"),
        ({"output": "s3://bucket/run"}, "give a folder of this machine"),
    ],
)
def test_a_workflow_that_makes_no_sense_is_refused(folder: Path, changes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        workflow(folder, "refused", **{**NETWORK, **changes})


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"pick": {"threshold": {"ribosome": 0.1}}}, ConfigError, "the classes are boundary"),
        ({"input": {"folder": "nowhere"}}, SourceError, "is no folder"),
        ({"input": {"folder": "runs"}}, SourceError, "has no .mrc"),
        ({"input": {"tomograms": ["a.mrc", "b/a.mrc"]}}, ConfigError, "a, more than one of them"),
        ({"classes": ["ribosome"]}, ConfigError, "the card says boundary"),
        ({"input": {"copick": "tomograms"}}, SourceError, "is no copick project"),
    ],
)
def test_what_all_tomograms_share_is_checked_first(folder, marred, changes, kind, message) -> None:
    found = workflow(folder, "refused", **{**NETWORK, **changes})
    with pytest.raises(kind, match=message):
        found.pipeline.plan(found.config)


def test_a_project_without_the_type_of_tomogram_names_what_it_has(project: Path) -> None:
    told = {**FROM_PROJECT["input"], "kind": "wbp"}
    found = workflow(project, "absent", **{**FROM_PROJECT, "input": told})
    with pytest.raises(SourceError, match="0 tomograms of wbp at any Å; it has denoised"):
        found.pipeline.plan(found.config)


def test_the_workflow_that_ships_can_be_planned() -> None:
    found = read_workflow(ROOT / "workflows" / "particles" / "pick.yaml")
    plan = found.pipeline.plan(found.config)
    assert [stage.name for stage in plan.stages] == ["prob", "picks"]
    assert open_volume(found.config.input.tomograms[0].image).shape == (64, 256, 256)


@pytest.mark.parametrize("name", ["pick", "ablation"])
def test_the_workflows_that_ship_pick_a_small_tomogram(tmp_path: Path, name: str) -> None:
    uri = "specimen://tomogram?shape=32,96,104&seed=6&density=1"
    settings = [
        f'input.tomograms=[{{name: S, image: "{uri}", truth: "{uri}"}}]',
        f"output={tmp_path}",
        "infer.device=cpu",
        "cluster.workers=0",
    ]
    outcome = carried_out(read_workflow(ROOT / f"workflows/particles/{name}.yaml", settings))
    assert outcome.scores[0][0] == "score"
    record = json.loads((tmp_path / "report" / "run.json").read_text())
    assert [each["state"] for each in record["tomograms"]] == ["finished"]
    card = read_checkpoint("builtin:particles-specimen")
    told = read_table(tmp_path / "picks.parquet")[2]["parameters"]["pick"]["threshold"]
    assert told in (None, card.thresholds)
