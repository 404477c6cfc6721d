"""Annotation layers: byte for byte those of Neuroglancer's own writer, and damage."""

import json

import numpy as np
import pandas as pd
import pytest

from volkit.errors import SourceError
from volkit.io.objects import open_objects
from volkit.io.points.annotations import write_boxes
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame

CENTRES = np.array([[1.5, 2.25, 3.0], [100.0, 50.0, -4.0], [7.0, 8.0, 9.0]])
FRAME = points_frame(CENTRES, ["b", "a", "b"], scores=[0.5, 0.25, 1.0])


def neuroglancers(folder):
    neuroglancer = pytest.importorskip("neuroglancer")
    writing = pytest.importorskip("neuroglancer.write_annotations")
    space = neuroglancer.CoordinateSpace(names=["x", "y", "z"], units="nm", scales=[1, 1, 1])
    properties = [
        neuroglancer.AnnotationPropertySpec(id="score", type="float32"),
        neuroglancer.AnnotationPropertySpec(
            id="class", type="uint16", enum_values=[0, 1], enum_labels=["b", "a"]
        ),
    ]
    writer = writing.AnnotationWriter(space, "point", properties=properties)
    for (z, y, x), score, kind in zip(CENTRES, [0.5, 0.25, 1.0], [0, 1, 0], strict=True):
        writer.add_point([x, y, z], score=score, **{"class": kind})
    writer.write(folder)


def test_the_bytes_are_neuroglancers(tmp_path) -> None:
    neuroglancers(tmp_path / "theirs")
    write_points(tmp_path / "ours", FRAME)
    for name in ("spatial0/0_0_0", "by_id/0", "by_id/1", "by_id/2"):
        ours, theirs = ((tmp_path / side / name).read_bytes() for side in ("ours", "theirs"))
        assert ours == theirs
    ours, theirs = (
        json.loads((tmp_path / side / "info").read_text()) for side in ("ours", "theirs")
    )
    assert ours["@type"] == theirs["@type"]
    assert ours["by_id"] == theirs["by_id"]
    for axis in "xyz":
        assert ours["dimensions"][axis] == pytest.approx(theirs["dimensions"][axis])


def test_boxes_are_neuroglancers_to_the_byte(tmp_path) -> None:
    neuroglancer = pytest.importorskip("neuroglancer")
    writing = pytest.importorskip("neuroglancer.write_annotations")
    lower, upper = CENTRES, CENTRES + np.array([[2, 3, 4], [0, 8, 1], [5, 5, 5]])
    ids = np.array([7, 2**40, 3], np.uint64)
    values = pd.DataFrame(
        {"label": ["b", "a", "b"], "probability": [0.5, 0.25, 1.0], "seen": [True, False, True]}
    )
    place = open_objects(tmp_path / "ours")
    write_boxes(place, (lower, upper), ids, values)
    info = json.loads((tmp_path / "ours" / "info").read_text())
    space = neuroglancer.CoordinateSpace(names=["x", "y", "z"], units="nm", scales=[1, 1, 1])
    properties = [neuroglancer.AnnotationPropertySpec(**p) for p in info["properties"]]
    writer = writing.AnnotationWriter(space, "axis_aligned_bounding_box", properties=properties)
    for n in range(3):
        told = {"probability": values["probability"][n], "seen": int(values["seen"][n])}
        corners = lower[n, ::-1].tolist(), upper[n, ::-1].tolist()
        code = 1 if values["label"][n] == "a" else 0
        writer.add_axis_aligned_bounding_box(*corners, id=int(ids[n]), label=code, **told)
    writer.write(tmp_path / "theirs")
    theirs = json.loads((tmp_path / "theirs" / "info").read_text())
    assert info["annotation_type"].lower() == theirs["annotation_type"].lower()
    for name in ("spatial0/0_0_0", *(f"by_id/{n}" for n in ids)):
        ours, others = ((tmp_path / side / name).read_bytes() for side in ("ours", "theirs"))
        assert ours == others
    assert (np.array(info["lower_bound"]) <= lower.min(0)[::-1]).all()
    assert (np.array(info["upper_bound"]) > upper.max(0)[::-1]).all()
    before = lower - np.array([[0, 0, 0], [0, 8, 1], [0, 0, 2]])
    with pytest.raises(SourceError, match="3 boxes of 3 ids, of which 2 end before they begin"):
        write_boxes(place, (lower, before), ids, values)
    with pytest.raises(SourceError, match="3 boxes of 1 ids"):
        write_boxes(place, (lower, upper), np.zeros(3, np.uint64), values)


def test_reads_what_neuroglancer_wrote(tmp_path) -> None:
    neuroglancers(tmp_path / "theirs")
    assert read_points(tmp_path / "theirs").equals(FRAME)


def test_scales_other_than_nanometres_and_classes_by_name(tmp_path) -> None:
    write_points(tmp_path / "layer", FRAME)
    info = json.loads((tmp_path / "layer/info").read_text())
    info["dimensions"]["z"] = [4e-9, "m"]
    (tmp_path / "layer/info").write_text(json.dumps(info))
    found = read_points(tmp_path / "layer", PointOptions(class_name="c"))
    assert found["z_nm"].tolist() == [6.0, 400.0, 28.0]
    assert found["class"].tolist() == ["c"] * 3


def test_damage(tmp_path) -> None:
    folder = tmp_path / "layer"
    write_points(folder, FRAME)
    whole = json.loads((folder / "info").read_text())
    for change, message in (
        ({"annotation_type": "LINE"}, "expected unsharded points in x, y and z, found LINE"),
        ({"spatial": [{"key": "s", "sharding": {}}]}, "x, y, z, sharded"),
        ({"@type": "neuroglancer_multiscale_volume"}, "expected unsharded points"),
        ({"dimensions": {"x": [1e-9, "m"]}}, "found POINT in x"),
    ):
        (folder / "info").write_text(json.dumps({**whole, **change}))
        with pytest.raises(SourceError, match=message):
            read_points(folder)
    bare = [{"id": "score", "type": "float32"}]
    (folder / "info").write_text(json.dumps({**whole, "properties": bare}))
    with pytest.raises(SourceError, match="should hold 3 points of 16 bytes and their ids"):
        read_points(folder)
    (folder / "info").write_text(json.dumps(whole))
    chunk = folder / "spatial0/0_0_0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(SourceError, match="it is damaged: write it again"):
        read_points(folder)
    (folder / "info").write_text("{}")
    with pytest.raises(SourceError, match="is no annotation layer"):
        read_points(folder)
    two = points_frame([[0, 0, 0]] * 2, "a", tomograms=["t1", "t2"])
    with pytest.raises(SourceError, match="a layer is of one tomogram"):
        write_points(folder, two)
