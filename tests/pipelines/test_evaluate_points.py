"""Evaluating points: files in, tables, scores and a figure out; by command too."""

import json

import pytest
from typer.testing import CliRunner

from volkit.cli.app import app
from volkit.errors import ConfigError
from volkit.io.points.files import write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame
from volkit.io.tables import read_table
from volkit.ops.particle_convention import CZII
from volkit.pipelines.evaluate import score
from volkit.pipelines.evaluate_config import Evaluate
from volkit.pipelines.evaluate_points_config import PointScoring

ONE = PointScoring(radius_nm={"a": 6.0}, match="one_to_one")


def test_tables_scores_and_figure(tmp_path) -> None:
    truth = points_frame([[0, 0, 0], [0, 0, 50]], "a", tomograms=["t1", "t2"])
    pred = points_frame([[0, 0, 1], [0, 0, 90]], "a", scores=[0.9, 0.3], tomograms=["t1", "t2"])
    write_points(tmp_path / "truth.csv", truth)
    write_points(tmp_path / "pred.parquet", pred)
    told: list[str] = []
    config = Evaluate(
        pred=str(tmp_path / "pred.parquet"),
        truth=str(tmp_path / "truth.csv"),
        output=str(tmp_path / "out"),
        points=ONE,
        thresholds=(0.1, 0.5),
    )
    found = score(config, on_message=told.append)
    assert told == []
    assert found.found.score == pytest.approx(17 / (17 + 16 + 1))
    assert found.found.best_score == pytest.approx(17 / (17 + 16))
    for name, place in found.outcome.files:
        assert place.is_file(), name
    tomograms = read_table(tmp_path / "out" / "tomograms.csv")[0]
    assert tomograms[["tomogram", "hits", "false", "missed"]].to_numpy().tolist() == [
        ["t1", 1, 0, 0],
        ["t2", 0, 1, 1],
    ]
    stored = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert stored["best"]["threshold"] == {"a": 0.5}
    assert stored["made"]["parameters"]["pred"].endswith("pred.parquet")


def test_the_command_scores_a_submission_of_the_challenge(shared_data, tmp_path) -> None:
    folder = shared_data / "cryoet"
    submission = folder / "czii_fbeta_vectors" / "C_drop_every_3rd.csv"
    truth = folder / "czii_ts99_9" / "solution.csv"
    output = ["--output", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, ["evaluate", str(submission), str(truth), *output])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["score"] == pytest.approx(0.668277125562444, abs=1e-15)


def test_a_project_against_its_curated_picks(tmp_path) -> None:
    project = tmp_path / "project"
    (project / "ExperimentRuns" / "TS_1").mkdir(parents=True)
    points = points_frame([[0, 0, 0], [0, 0, 50]], "ribosome", tomograms="TS_1")
    for user, rows in (("curation", points), ("net", points[:1])):
        write_points(project, rows, PointOptions(format="copick", user=user))
    config = Evaluate(
        pred=str(project),
        truth=str(project),
        output=str(tmp_path / "out"),
        kind="points",
        points=PointScoring(user="net", true_user="curation", radius_nm={"ribosome": 15.0}),
    )
    only = score(config).found.classes[0]
    assert (only.hits, only.false, only.missed) == (1, 0, 1)


def test_one_tomogram_that_only_one_table_names(tmp_path) -> None:
    write_points(tmp_path / "truth.csv", points_frame([[0, 0, 0]], "a", tomograms="t1"))
    write_points(tmp_path / "pred.csv", points_frame([[0, 0, 1]], "a"))
    names = {"pred": str(tmp_path / "pred.csv"), "truth": str(tmp_path / "truth.csv")}
    config = Evaluate(output=str(tmp_path / "out"), points=ONE, **names)
    with pytest.raises(ConfigError, match="only one of prediction and truth has a column tomogram"):
        score(config)
    chosen = PointScoring(radius_nm={"a": 6.0}, tomogram="t1")
    assert score(Evaluate(output=str(tmp_path / "out"), points=chosen, **names)).found.score == 1


def test_the_convention_is_the_challenges_unless_said_otherwise() -> None:
    assert PointScoring().convention == CZII
    assert PointScoring(radius_nm={"a": 1.0}).convention.weights == {"a": 1.0}
    with pytest.raises(ConfigError, match="without a radius"):
        PointScoring(weight={"nucleosome": 1.0})
