"""Copick projects: roots, tomograms and picks, as the challenge laid them out and otherwise."""

import json

import numpy as np
import pytest

from volkit.errors import ConfigError, SourceError
from volkit.io.open import create_volume, open_volume
from volkit.io.points.copick import open_copick
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "radius": 150, "color": [0, 255, 0, 255]},
    {"name": "membrane", "is_particle": False, "label": 2, "radius": None},
]


@pytest.fixture
def project(tmp_path):
    """A project of two roots with a configuration, and one file of picks without a user's name."""
    config = {
        "config_type": "filesystem",
        "name": "czii",
        "description": "two roots",
        "version": "1.0.0",
        "pickable_objects": OBJECTS,
        "overlay_root": f"local://{tmp_path}/overlay",
        "overlay_fs_args": {"auto_mkdir": True},
        "static_root": "static",
    }
    (tmp_path / "copick.config").write_text(json.dumps(config))
    for kind in ("denoised", "wbp"):
        uri = tmp_path / "static/ExperimentRuns/TS_1/VoxelSpacing10.000" / f"{kind}.zarr"
        volume = create_volume(
            uri,
            shape=(4, 5, 6),
            dtype=np.float32,
            chunk_shape=(4, 5, 6),
            voxel_size_nm=(1.0012444,) * 3,
        )
        volume.write(volume.domain, np.ones((4, 5, 6), np.float32))
    picks = tmp_path / "overlay/ExperimentRuns/TS_1/Picks"
    picks.mkdir(parents=True)
    place = {"location": {"x": 6072.464, "y": 4038.0, "z": 715.679}, "instance_id": 0}
    curated = {
        "pickable_object_name": "ribosome",
        "user_id": "curation",
        "session_id": "0",
        "run_name": "TS_1",
        "voxel_spacing": None,
        "unit": "angstrom",
        "points": [{**place, "transformation_": np.eye(4).tolist()}],
        "trust_orientation": False,
    }
    (picks / "ribosome.json").write_text(json.dumps(curated))
    return tmp_path


def test_reads_tomograms_and_picks(project) -> None:
    found = open_copick(str(project / "copick.config"))
    assert found.runs == ("TS_1",)
    assert found.radius_nm == {"ribosome": 15.0, "membrane": None}
    volume = open_volume(found.tomogram("TS_1", kind="denoised"))
    assert volume.voxel_size_nm == pytest.approx((1.0012444,) * 3)
    assert volume.read().sum() == 120
    picks = found.picks("TS_1", user="curation")
    assert picks.iloc[0].tolist() == ["TS_1", 71.5679, 403.8, 607.2464, 1.0, "ribosome"]
    assert len(found.picks("TS_1", session="7")) == 0
    # The same without a configuration, and one file alone.
    assert read_points(project).equals(picks)
    single = project / "overlay/ExperimentRuns/TS_1/Picks/ribosome.json"
    assert read_points(single).equals(picks)


def test_writes_picks_that_it_reads(project) -> None:
    uri = project / "copick.config"
    frame = points_frame([[1, 2, 3], [4, 5, 6.5]], "ribosome", scores=[0.5, 0.25])
    write_points(uri, frame, PointOptions(tomogram="TS_1", user="net", session="3"))
    stored = project / "overlay/ExperimentRuns/TS_1/Picks/net_3_ribosome.json"
    told = json.loads(stored.read_text())
    assert told["points"][1]["location"] == {"x": 65.0, "y": 50.0, "z": 40.0}
    assert told["unit"] == "angstrom"
    mine = read_points(uri, PointOptions(tomogram="TS_1", user="net"))
    assert mine["score"].tolist() == [0.5, 0.25]
    assert len(read_points(uri)) == 3
    assert len(read_points(uri, PointOptions(class_name="membrane"))) == 0


def test_a_tomogram_that_is_not_there(project) -> None:
    found = open_copick(str(project / "copick.config"))
    with pytest.raises(SourceError, match="has no run 'TS_9'; its runs are TS_1"):
        found.tomogram("TS_9", kind="denoised")
    with pytest.raises(SourceError, match="0 tomograms of ctfdeconvolved .*denoised at 10 Å, wbp"):
        found.tomogram("TS_1", kind="ctfdeconvolved")
    with pytest.raises(SourceError, match="2 tomograms of any type"):
        found.tomogram("TS_1")
    with pytest.raises(SourceError, match="0 tomograms of wbp at 13.3"):
        found.tomogram("TS_1", kind="wbp", voxel_spacing=13.3)


def test_picks_that_do_not_belong(project) -> None:
    uri = project / "copick.config"
    with pytest.raises(SourceError, match="name proteasome, which is no object of the project"):
        write_points(uri, points_frame([[0, 0, 0]], "proteasome"), PointOptions(tomogram="TS_1"))
    one = points_frame([[0, 0, 0]], "ribosome")
    with pytest.raises(ConfigError, match="user is 'a_b'; names of copick have no"):
        write_points(uri, one, PointOptions(tomogram="TS_1", user="a_b"))
    with pytest.raises(SourceError, match="name their run; pass tomogram"):
        write_points(uri, one)


def test_damage(project) -> None:
    picks = project / "overlay/ExperimentRuns/TS_1/Picks/ribosome.json"
    whole = json.loads(picks.read_text())
    for damage, message in (
        ({"unit": "pixel"}, "'ribosome' in 'pixel' cannot be read"),
        ({"points": [{"location": {"x": 1}}]}, "a point without location"),
        ({"pickable_object_name": None}, "cannot be read; expected points"),
    ):
        picks.write_text(json.dumps({**whole, **damage}))
        with pytest.raises(SourceError, match=message):
            read_points(project)
    picks.write_text("{")
    with pytest.raises(SourceError, match="holds no picks of copick"):
        read_points(project)


def test_configurations_that_cannot_be_used(tmp_path) -> None:
    path = tmp_path / "c.json"
    for content, message in (
        (
            {"overlay_root": "local://o", "config_type": "cryoet_data_portal"},
            "projects of type fil",
        ),
        ({"pickable_objects": []}, "is no configuration of copick"),
        ({"overlay_root": "ssh:///there"}, "mount it, or copy it here"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(SourceError, match=message):
            open_copick(str(path))
    with pytest.raises(SourceError, match="does not exist"):
        open_copick(str(tmp_path / "no.json"))


def test_object_stores() -> None:
    from volkit.io.objects.protocol import open_objects

    root = open_objects("memory://copick-project")
    root.put("ExperimentRuns/TS_1/Picks/.keep", b"")
    frame = points_frame([[1, 2, 3]], "ribosome", tomograms="TS_1")
    how = PointOptions(format="copick")
    write_points("memory://copick-project", frame, how)
    assert read_points("memory://copick-project", how).equals(frame)
