"""Copick's own package: it reads the picks that we write, and we read what it writes.

It needs zarr below 3 and so cannot be installed beside volkit: it works in an interpreter of its
own, which VOLKIT_COPICK_PYTHON names (``python -m venv there && there/bin/pip install copick``).
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.io.open import open_volume
from volkit.io.points.copick import open_copick
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame
from volkit.testing.particle_projects import particle_project

PYTHON = os.environ.get("VOLKIT_COPICK_PYTHON")
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="VOLKIT_COPICK_PYTHON names no interpreter that has the package copick"
)

READ = """
import copick, json, sys
root = copick.from_file(sys.argv[1])
picks = [
    {"run": run.name, "user": p.user_id, "session": p.session_id, "class": p.pickable_object_name,
     "points": [[q.location.z, q.location.y, q.location.x, q.score] for q in p.points]}
    for run in root.runs for p in run.picks
]
objects = {o.name: o.radius for o in root.pickable_objects}
print(json.dumps({"objects": objects, "picks": picks}))
"""

WRITE = """
import copick, numpy as np, sys
from copick.models import CopickPoint
root = copick.from_file(sys.argv[1])
run = root.new_run("TS_7")
spacing = run.new_voxel_spacing(10.012)
tomogram = spacing.new_tomogram("denoised")
values = np.arange(8 * 10 * 12, dtype=np.float32).reshape(8, 10, 12)
tomogram.from_numpy(values)
picks = run.new_picks(object_name="thyroglobulin", user_id="curation", session_id="0")
picks.points = [
    CopickPoint(location={"x": 11.5, "y": 22.25, "z": 33.125}, score=0.75),
    CopickPoint(location={"x": 1.0, "y": 2.0, "z": 3.0}),
]
picks.store()
"""


def copick(code: str, config: Path) -> str:
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", "-c", code, str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    names = ("ribosome", "thyroglobulin")
    return particle_project(tmp_path, shape=(32, 64, 64), seeds=(6,), classes=names)


def test_the_package_reads_what_we_write(project: Path) -> None:
    found = points_frame([[0.1, 2.0, 3.0], [4.5, 5.0, 6.25]], "ribosome", scores=[0.5, 0.25])
    write_points(project, found, PointOptions(tomogram="TS_1", user="net", session="3"))
    told = json.loads(copick(READ, project))
    assert told["objects"] == {"ribosome": 150.0, "thyroglobulin": 130.0}
    ours = [each for each in told["picks"] if each["user"] == "net"]
    assert ours == [
        {
            "run": "TS_1",
            "user": "net",
            "session": "3",
            "class": "ribosome",
            "points": [[1.0, 20.0, 30.0, 0.5], [45.0, 50.0, 62.5, 0.25]],
        }
    ]
    curated = {each["class"]: len(each["points"]) for each in told["picks"] if each not in ours}
    truth = read_points(project, PointOptions(user="curation"))
    assert curated == truth["class"].value_counts().to_dict()


def test_we_read_what_the_package_writes(project: Path) -> None:
    copick(WRITE, project)
    found = open_copick(str(project))
    assert found.runs == ("TS_1", "TS_7")
    expected = points_frame(
        [[3.3125, 2.225, 1.15], [0.3, 0.2, 0.1]],
        "thyroglobulin",
        scores=[0.75, 1.0],
        tomograms="TS_7",
    )
    pd.testing.assert_frame_equal(found.picks("TS_7", user="curation"), expected)
    volume = open_volume(found.tomogram("TS_7", kind="denoised"))
    values = np.arange(8 * 10 * 12, dtype=np.float32).reshape(8, 10, 12)
    np.testing.assert_array_equal(volume.read(), values)
    assert volume.voxel_size_nm == pytest.approx((1.0012,) * 3)
