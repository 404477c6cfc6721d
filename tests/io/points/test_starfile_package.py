"""The package starfile: it reads the STAR files that we write, and we read what it writes."""

import numpy as np
import pandas as pd
import pytest

from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame

starfile = pytest.importorskip("starfile")
CENTRES = [[1.0012444, 2.5, 3.25], [40.0, 0.1, 7.0], [3.0, 2.0, 1.0]]


def test_the_package_reads_what_we_write(tmp_path) -> None:
    frame = points_frame(
        CENTRES, ["ribosome", "virus like", "ribosome"], scores=[0.5, 0.25, 1.0], tomograms="TS_1"
    )
    write_points(tmp_path / "p.star", frame, PointOptions(voxel_size_nm=(0.5, 0.5, 0.5)))
    blocks = starfile.read(tmp_path / "p.star")
    assert list(blocks) == ["optics", "particles", "volkit_classes"]
    particles = blocks["particles"]
    names = [f"rlnCoordinate{axis}" for axis in "ZYX"]
    np.testing.assert_array_equal(particles[names].to_numpy(), np.array(CENTRES) / 0.5)
    assert particles["rlnTomoName"].tolist() == ["TS_1"] * 3
    assert particles["rlnClassNumber"].tolist() == [1, 2, 1]
    assert particles["rlnAutopickFigureOfMerit"].tolist() == [0.5, 0.25, 1.0]
    assert blocks["optics"]["rlnTomoTiltSeriesPixelSize"].tolist() == [5.0]
    assert blocks["volkit_classes"]["volkitClassName"].tolist() == ["ribosome", "virus like"]


@pytest.mark.parametrize("names", [["a", "b", "a"], ["virus like", "", "it's"]])
def test_we_read_what_the_package_writes(tmp_path, names) -> None:
    particles = pd.DataFrame(
        {
            "rlnTomoName": ["TS_1", "TS_2", "TS 3"],
            "rlnCoordinateX": [3.25, 7.0, 1.0],
            "rlnCoordinateY": [2.5, 0.125, 2.0],
            "rlnCoordinateZ": [1.0, 40.0, 3.0],
            "rlnClassNumber": [1, 2, 3],
            "rlnOpticsGroup": [1, 1, 1],
        }
    )
    # A block of one row is written as pairs where it is a dict, as RELION itself has it.
    blocks = {
        "optics": {"rlnOpticsGroup": 1, "rlnTomoTiltSeriesPixelSize": 10.0},
        "particles": particles,
        "volkit_classes": pd.DataFrame({"rlnClassNumber": [1, 2, 3], "volkitClassName": names}),
    }
    starfile.write(blocks, tmp_path / "p.star")
    found = read_points(tmp_path / "p.star")
    expected = points_frame(
        [[1.0, 2.5, 3.25], [40.0, 0.125, 7.0], [3.0, 2.0, 1.0]],
        names,
        tomograms=["TS_1", "TS_2", "TS 3"],
    )
    pd.testing.assert_frame_equal(found, expected)
    # And once more through ours: nothing is lost on the way.
    write_points(tmp_path / "q.star", found, PointOptions(voxel_size_nm=(1.0, 1.0, 1.0)))
    again = starfile.read(tmp_path / "q.star")["particles"]
    assert again["rlnCoordinateZ"].tolist() == particles["rlnCoordinateZ"].tolist()
    pd.testing.assert_frame_equal(read_points(tmp_path / "q.star"), expected)
