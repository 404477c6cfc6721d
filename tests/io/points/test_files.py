"""Files of points: every format gives back what it was given, and refuses what is wrong."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import ConfigError, ContractError, SourceError
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import POINTS, PointChecks, points_frame
from volkit.io.tables import read_table

SIZE = (1.0012444,) * 3
ORIGIN = (5.0, -2.0, 0.5)
# Decimal ångström, as instruments give them.
decimals = st.integers(-(10**7), 10**7).map(lambda n: n / 1000)
kinds = st.sampled_from(["ribosome", "apo-ferritin", "virus-like-particle"])
rows = st.lists(
    st.tuples(st.tuples(decimals, decimals, decimals), kinds, st.sampled_from([0.25, 0.5, 1.0])),
    min_size=1,
    max_size=6,
)


def table(rows, tomogram="TS_1"):
    centres = np.array([row[0] for row in rows]) / 10
    names, scores = [row[1] for row in rows], [row[2] for row in rows]
    return points_frame(centres, names, scores=scores, tomograms=tomogram)


def ordered(frame):
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


@settings(max_examples=12)
@given(rows)
def test_tables_and_the_challenge_come_back_exactly(tmp_path_factory, rows) -> None:
    folder, frame = tmp_path_factory.mktemp("points"), table(rows)
    for name in ("picks.parquet", "picks.csv"):
        write_points(folder / name, frame, provenance={"model": "m"})
        pd.testing.assert_frame_equal(read_points(folder / name), frame)
        assert read_table(folder / name)[2] == {"model": "m"}
    how = PointOptions(format="czii")
    write_points(folder / "submission.csv", frame, how)
    expected = frame.assign(score=1.0)  # which the challenge has not
    pd.testing.assert_frame_equal(read_points(folder / "submission.csv"), expected)
    text = pd.read_csv(folder / "submission.csv")
    assert text[["z", "y", "x"]].to_numpy().tolist() == [list(row[0]) for row in rows]


@settings(max_examples=12)
@given(rows)
def test_copick_comes_back_exactly(tmp_path_factory, rows) -> None:
    root, frame = tmp_path_factory.mktemp("project"), table(rows)
    (root / "ExperimentRuns" / "TS_1").mkdir(parents=True)
    write_points(root, frame, PointOptions(format="copick", user="me", session="2"))
    pd.testing.assert_frame_equal(ordered(read_points(root)), ordered(frame))
    assert len(read_points(root, PointOptions(user="you"))) == 0


@settings(max_examples=12)
@given(rows, st.sampled_from(["picks.star", "picks_point.ndjson"]))
def test_voxels_come_back_closely(tmp_path_factory, rows, name) -> None:
    folder, frame = tmp_path_factory.mktemp("points"), table(rows)
    if name.endswith("ndjson"):
        frame = frame.assign(**{"class": "ribosome"}).astype({"class": "str"})
    how = PointOptions(voxel_size_nm=SIZE, origin_nm=ORIGIN)
    write_points(folder / name, frame, how)
    found = read_points(folder / name, PointOptions(origin_nm=ORIGIN))
    columns = list(found.columns)
    pd.testing.assert_frame_equal(found, frame[columns], rtol=1e-12, atol=1e-9)


def test_annotations_come_back_as_float32(tmp_path) -> None:
    rng = np.random.default_rng(2)
    frame = points_frame(rng.random((20, 3)) * 900 - 50, ["b", "a"] * 10, scores=rng.random(20))
    write_points(tmp_path / "layer", frame)
    found = read_points(tmp_path / "layer")
    pd.testing.assert_frame_equal(found, frame, rtol=1e-6, atol=0)
    single = frame[["z_nm", "y_nm", "x_nm"]].to_numpy(np.float32)
    np.testing.assert_array_equal(found[["z_nm", "y_nm", "x_nm"]].to_numpy(np.float32), single)


def test_nothing_comes_back_as_nothing(tmp_path) -> None:
    nothing = points_frame([], [])
    how = PointOptions(voxel_size_nm=SIZE, class_name="ribosome", tomogram="TS_1")
    for name in ("a.parquet", "b.csv", "c.star", "d.ndjson", "layer"):
        write_points(tmp_path / name, nothing, how)
        found = read_points(tmp_path / name, PointOptions(class_name="ribosome"))
        assert len(found) == 0
        POINTS.check(found[list(POINTS.names)])


def test_object_stores() -> None:
    frame = points_frame([[1, 2, 3]], "ribosome", tomograms="TS_1")
    for name in ("a.parquet", "b.star", "layer"):
        write_points(f"memory://points/{name}", frame, PointOptions(voxel_size_nm=(1.0,) * 3))
        found = read_points(f"memory://points/{name}", PointOptions(tomogram="TS_1"))
        assert found[["z_nm", "y_nm", "x_nm"]].to_numpy().tolist() == [[1, 2, 3]]


def test_the_shared_solution(shared_data) -> None:
    folder = shared_data / "cryoet" / "czii_ts99_9"
    checks = PointChecks(
        classes=(
            "apo-ferritin",
            "beta-amylase",
            "beta-galactosidase",
            "ribosome",
            "thyroglobulin",
            "virus-like-particle",
        ),
        extent_nm=((0, 0, 0), (184.3, 630.8, 630.8)),
        unique=True,
    )
    found = read_points(folder / "solution.csv", PointOptions(checks=checks))
    assert found["class"].value_counts().sort_index().tolist() == [36, 21, 24, 65, 49, 13]
    assert found.iloc[0].tolist() == ["TS_99_9", 71.5679, 403.8, 607.2464, 1.0, "apo-ferritin"]


@pytest.mark.parametrize(
    ("frame", "checks", "message"),
    [
        ([[0, 0, np.inf]], PointChecks(), "1 of 1 points are NaN or infinite, the first is row 0"),
        ([[0, 0, 1]], PointChecks(classes=("b",)), "are of a class that is none of b"),
        (
            [[0, 0, 0], [0, 9, 0]],
            PointChecks(extent_nm=((0, 0, 0), (8, 8, 8))),
            "1 of 2 .* outside",
        ),
        ([[0, 0, 1]] * 2, PointChecks(unique=True), "1 of 2 points lie where another one does"),
    ],
)
def test_what_comes_in_is_checked(tmp_path, frame, checks, message) -> None:
    rows = points_frame(frame, "a", tomograms="t")
    rows.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(SourceError, match=message):
        read_points(tmp_path / "a.csv", PointOptions(checks=checks))
    with pytest.raises(SourceError, match=message):
        write_points(tmp_path / "b.csv", rows, PointOptions(checks=checks))
    assert not (tmp_path / "b.csv").exists()


def test_points_in_other_tomograms_are_not_duplicates() -> None:
    rows = points_frame([[0, 0, 1]] * 2, "a", tomograms=["t1", "t2"])
    write_points("memory://two/a.csv", rows, PointOptions(checks=PointChecks(unique=True)))
    assert len(read_points("memory://two/a.csv", PointOptions(tomogram="t2"))) == 1
    with pytest.raises(SourceError, match="has no points of 't3'; it has t1, t2"):
        read_points("memory://two/a.csv", PointOptions(tomogram="t3"))


def test_tables_that_others_wrote(tmp_path) -> None:
    text = "z_nm,y_nm,x_nm,score,class\n1,2,3,1,ribosome\n"
    (tmp_path / "whole.csv").write_text(text)
    POINTS.check(read_points(tmp_path / "whole.csv"))
    (tmp_path / "short.csv").write_text("z_nm,y_nm\n1,2\n")
    with pytest.raises(ContractError, match="short.csv: the table has columns z_nm, y_nm"):
        read_points(tmp_path / "short.csv")


def test_what_is_not_there_or_not_understood(tmp_path) -> None:
    with pytest.raises(SourceError, match="picks.star does not exist"):
        read_points(tmp_path / "picks.star")
    with pytest.raises(SourceError, match="is no copick project"):
        read_points(tmp_path / "folder")
    with pytest.raises(ConfigError, match="no suffix that tells its format"):
        read_points(tmp_path / "picks.txt")
    with pytest.raises(ConfigError, match="format is 'dynamo'; choose one of table"):
        PointOptions(format="dynamo")
    (tmp_path / "s.csv").write_text("id,experiment,particle_type,x,y,z\n0,T,a,1,2,here\n")
    with pytest.raises(SourceError, match="s.csv cannot be read as CSV of points"):
        read_points(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text("id,experiment,particle_type,x,y,z\n0,,a,1,2,3\n")
    with pytest.raises(SourceError, match="has rows without experiment"):
        read_points(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text("id,experiment,x,y,z\n0,T,1,2,3\n")
    with pytest.raises(SourceError, match="has no column particle_type"):
        read_points(tmp_path / "s.csv", PointOptions(format="czii"))
    one, how = points_frame([[1, 2, 3]], "a"), PointOptions(format="czii")
    with pytest.raises(SourceError, match="name their tomogram; pass tomogram"):
        write_points(tmp_path / "s.csv", one, how)


def test_the_portal_states_class_and_voxels_beside_the_points(tmp_path) -> None:
    folder = tmp_path / "VoxelSpacing10.012" / "Annotations"
    folder.mkdir(parents=True)
    line = {"type": "orientedPoint", "location": {"x": 10, "y": 20.5, "z": 3}, "instance_id": 1}
    (folder / "ribo-1.0_orientedpoint.ndjson").write_text(json.dumps(line) + "\n\n")
    uri = folder / "ribo-1.0_orientedpoint.ndjson"
    with pytest.raises(SourceError, match="does not say what its points are"):
        read_points(uri)
    beside = {"annotation_object": {"name": "ribosome"}}
    (folder / "ribo-1.0.json").write_text(json.dumps(beside))
    found = read_points(uri)
    assert found.iloc[0, :3].tolist() == pytest.approx([3.0036, 20.5246, 10.012])
    assert found["score"].tolist() == [1.0]
    assert found["class"].tolist() == ["ribosome"]
    (folder / "ribo-1.0_orientedpoint.ndjson").write_text('{"location": {"x": 1}}\n')
    with pytest.raises(SourceError, match="line 1 is no point"):
        read_points(uri)
    moved = tmp_path / "a_point.ndjson"
    moved.write_text(json.dumps(line))
    with pytest.raises(SourceError, match="counts voxels and states no voxel size; pass voxel_s"):
        read_points(moved, PointOptions(class_name="ribosome"))
    two = points_frame([[0, 0, 0]] * 2, ["a", "b"])
    with pytest.raises(SourceError, match="one class of one tomogram in a file, these are a, b"):
        write_points(moved, two, PointOptions(voxel_size_nm=SIZE))
