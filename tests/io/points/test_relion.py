"""STAR files: what RELION writes, by hand, and damage."""

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.star import format_star, parse_star
from volkit.io.points.table import points_frame

RELION_4 = """
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnTomoTiltSeriesPixelSize #3
1 'optics group 1'   1.540

# version 30001

data_particles

loop_
_rlnTomoName #1
_rlnCoordinateX #2
_rlnCoordinateY #3
_rlnCoordinateZ #4
_rlnClassNumber #5
TS_1   100.0  200.0  300.0  2
TS_2   10.0   20.0   30.0   1
"""

RELION_5 = """
data_particles
loop_
_rlnTomoName
_rlnCenteredCoordinateXAngst
_rlnCenteredCoordinateYAngst
_rlnCenteredCoordinateZAngst
_rlnTomoTiltSeriesPixelSize
TS_1 10.0 -20.0 0.0 10.0
"""


def test_pixels_of_a_tilt_series(tmp_path) -> None:
    (tmp_path / "p.star").write_text(RELION_4)
    found = read_points(tmp_path / "p.star")
    assert found["tomogram"].tolist() == ["TS_1", "TS_2"]
    assert found["class"].tolist() == ["class 2", "class 1"]
    np.testing.assert_allclose(found.iloc[0, 1:4].to_numpy(float), [46.2, 30.8, 15.4])
    named = read_points(tmp_path / "p.star", PointOptions(class_name="ribosome", tomogram="TS_2"))
    assert named["class"].tolist() == ["ribosome"]


def test_from_the_middle(tmp_path) -> None:
    (tmp_path / "p.star").write_text(RELION_5)
    with pytest.raises(SourceError, match="counts from the middle of the tomogram; pass shape"):
        read_points(tmp_path / "p.star", PointOptions(class_name="a"))
    how = PointOptions(class_name="a", shape=(100, 200, 300))
    found = read_points(tmp_path / "p.star", how)
    assert found.iloc[0, 1:4].tolist() == [50.0, 98.0, 151.0]


def test_names_of_classes_survive(tmp_path) -> None:
    frame = points_frame([[1, 2, 3]] * 3, ["virus like", "a", "it's"], scores=[0.1, 0.2, 0.3])
    write_points(tmp_path / "p.star", frame, PointOptions(voxel_size_nm=(1.0, 1.0, 1.0)))
    found = read_points(tmp_path / "p.star")
    assert found["class"].tolist() == ["virus like", "a", "it's"]
    blocks = parse_star((tmp_path / "p.star").read_text(), uri="p.star")
    assert blocks["particles"]["rlnClassNumber"] == ["1", "2", "3"]
    assert blocks["optics"]["rlnTomoTiltSeriesPixelSize"] == ["10.0"]


def test_star_round_trip() -> None:
    blocks = {"a": {"x": ["1", "two words", "#3", "_4", ""]}, "b": {"y": ["it's", 'say "so"']}}
    assert parse_star(format_star(blocks), uri="f") == blocks


def test_a_size_of_zero_is_no_size(tmp_path) -> None:
    (tmp_path / "p.star").write_text(RELION_4.replace("1.540", "0.000"))
    with pytest.raises(SourceError, match="counts voxels and states voxels of 0.0 Å; pass voxel_"):
        read_points(tmp_path / "p.star")
    found = read_points(tmp_path / "p.star", PointOptions(voxel_size_nm=(3.0, 2.0, 1.0)))
    assert found.iloc[0, 1:4].tolist() == [900, 400, 100]


def test_damage(tmp_path) -> None:
    path = tmp_path / "p.star"
    path.write_text(RELION_4.rstrip()[:-1])
    with pytest.raises(SourceError, match="has 4 values, its table 5 columns; it may be cut off"):
        read_points(path)
    path.write_text(RELION_4.replace("100.0", "here"))
    with pytest.raises(SourceError, match="has a value that is no number"):
        read_points(path)
    path.write_text("loop_\n_a\n")
    with pytest.raises(SourceError, match="line 1 stands before any data_ block"):
        read_points(path)
    path.write_text("data_\n_a 1 2\n")
    with pytest.raises(SourceError, match="gives _a 2 values; a pair has one"):
        read_points(path)
    path.write_text("data_x\n_a 1\n")
    with pytest.raises(SourceError, match="has no table with _rlnCoordinateZ.*blocks are x"):
        read_points(path)
    path.write_text(RELION_4.replace("_rlnClassNumber", "_rlnOther"))
    with pytest.raises(SourceError, match="does not say what its points are; pass class_name"):
        read_points(path)
    one, flat = points_frame([[0, 0, 0]], "a"), PointOptions(voxel_size_nm=(2.0, 1.0, 1.0))
    with pytest.raises(SourceError, match="RELION has one pixel size"):
        write_points(path, one, flat)
