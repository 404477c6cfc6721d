"""Parts of the viewer: chunks, indexes, skeletons, frames and states, by numbers known before."""

import json

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ConfigError, ContractError, SourceError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.points.properties import described
from volkit.io.volume import Volume
from volkit.ops.multiscale import pyramid
from volkit.testing.servers.files import FileServer
from volkit.viewer.frame import Frame
from volkit.viewer.layer import label_look, prob_look
from volkit.viewer.marks import Marks
from volkit.viewer.open_layers import Named, kind_of, open_for_view, value_span, volume_layer
from volkit.viewer.served_marks import ServedMarks
from volkit.viewer.served_volume import ServedVolume
from volkit.viewer.skeletons import ServedSkeletons, read_skeletons
from volkit.viewer.state import with_source, zoom
from volkit.viewer.table_layers import marks_layer, table_marks


def stored(path, values, **more) -> Volume:
    channels = values.shape[0] if values.ndim == 4 else None
    more = {"voxel_size_nm": (40, 4, 4), **more}
    volume = create_volume(
        path, shape=values.shape[-3:], dtype=values.dtype, channels=channels, **more
    )
    volume.write(volume.domain, values)
    return volume


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "float16", "bool"])
@pytest.mark.parametrize("channels", [None, 2])
def test_chunks_hold_the_voxels_that_their_names_say(tmp_path, dtype, channels) -> None:
    shape = (5, 6, 7) if channels is None else (channels, 5, 6, 7)
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 99, shape).astype(dtype)
    volume = stored(tmp_path / "a.zarr", values, start=(10, 20, 30))
    served = ServedVolume.of(volume, "image")
    info = json.loads(served.answer("info"))
    assert info["scales"][0]["size"] == [7, 6, 5]
    assert info["scales"][0]["voxel_offset"] == [30, 20, 10]
    assert info["scales"][0]["resolution"] == [4, 4, 40]
    data = served.answer("0/31-37_20-25_12-15")
    found = np.frombuffer(data, np.dtype(info["data_type"])).reshape(-1, 3, 5, 6)
    expected = values[..., 2:5, 0:5, 1:7].astype(info["data_type"])
    assert np.array_equal(found, expected.reshape(found.shape))
    for nothing in ("0/0-6_20-25_12-15", "1/31-37_20-25_12-15", "0/31-31_20-25_12-15", "else"):
        assert served.answer(nothing) is None


def test_what_is_not_stored_is_nothing_and_what_cannot_be_shown_is_refused(tmp_path) -> None:
    volume = create_volume(
        tmp_path / "half.zarr", shape=(4, 64, 64), dtype="uint8", chunk_shape=(4, 32, 32)
    )
    volume.write(Box((0, 0, 0), (4, 32, 64)), np.full((4, 32, 64), 3, np.uint8))
    served = ServedVolume.of(volume, "image")
    assert served.answer("0/0-32_0-32_0-4") == b"\3" * 4096
    assert served.answer("0/0-32_32-64_0-4") is None
    values = open_volume(np.ones((2, 2, 2), np.float32))
    with pytest.raises(ContractError, match=r"float32, which cannot be shown as labels"):
        ServedVolume.of(values, "segmentation")
    channels = open_volume(np.ones((2, 2, 2, 2), np.uint32), axes="czyx")
    with pytest.raises(ContractError, match="has 2 channels; labels have none"):
        ServedVolume.of(channels, "segmentation")


def test_only_what_is_asked_for_is_fetched(tmp_path) -> None:
    """Of 64 stored chunks, a viewer that asks for one costs one, however often it asks."""
    values = np.arange(64**3, dtype=np.uint32).reshape(64, 64, 64)
    create_volume(
        tmp_path / "em.zarr", shape=values.shape, dtype="uint32", voxel_size_nm=(8, 8, 8),
        chunk_shape=(16, 16, 16), shard_shape=(16, 16, 16),
    ).write(Box.from_shape((64, 64, 64)), values)  # fmt: skip
    with FileServer(tmp_path) as server:
        volume = open_volume(f"{server.url}/em.zarr")
        served = ServedVolume.of(volume, "image")
        json.loads(served.answer("info"))
        before = len([r for r in server.requests if "/c/" in r.path])
        assert before == 0
        for _ in range(3):
            data = served.answer("0/16-32_0-16_48-64")
        assert np.array_equal(
            np.frombuffer(data, "<u4").reshape(16, 16, 16), values[48:64, :16, 16:32]
        )
        chunks = {r.path for r in server.requests if "/c/" in r.path}
        assert chunks == {"/em.zarr/0/c/3/0/1"}


def test_levels_are_scales_and_a_large_volume_is_not_shown_whole(tmp_path) -> None:
    volume = stored(tmp_path / "a.zarr", np.zeros((8, 600, 400), np.uint8))
    frame = Frame.of(volume.scale)
    assert zoom(volume, frame) == 1.0  # voxel by voxel: there is nothing coarser
    pyramid(volume, levels=3)
    volume = open_volume(tmp_path / "a.zarr")
    scales = ServedVolume.of(volume, "image").info()["scales"]
    assert [scale["size"] for scale in scales] == [[400, 600, 8], [200, 300, 8], [100, 150, 8]]
    assert [scale["resolution"] for scale in scales] == [[4, 4, 40], [8, 8, 40], [16, 16, 40]]
    assert zoom(volume, frame) == 600 / 500
    small = stored(tmp_path / "b.zarr", np.zeros((2, 50, 50), np.uint8))
    assert zoom(small, Frame.of(small.scale)) == 0.1


def test_another_volume_lies_where_its_nanometres_say(tmp_path) -> None:
    """A coarser volume of the same tissue begins at the same edge; one beside it is shifted."""
    first = stored(tmp_path / "a.zarr", np.zeros((4, 8, 8), np.uint8), origin_nm=(1000, 0, 0))
    frame = Frame.of(first.scale)
    half = stored(
        tmp_path / "b.zarr", np.zeros((2, 4, 4), np.uint8), voxel_size_nm=(80, 8, 8),
        origin_nm=(1020, 2, 2),
    )  # fmt: skip
    layer = volume_layer(half, frame, name="b", kind="image")
    assert layer.transform is None
    beside = stored(
        tmp_path / "c.zarr", np.zeros((3, 2, 4, 4), np.uint8), origin_nm=(1010, 6, -8)
    )  # fmt: skip
    state = volume_layer(beside, frame, name="c", kind="image").state("http://here/c")
    rows = np.array(state["source"]["transform"]["matrix"])
    assert rows[:, -1].tolist() == [-2.0, 1.5, 0.25, 0.0]
    assert np.array_equal(rows[:, :-1], np.eye(4))
    assert "emitRGB" in state["shader"]
    places = frame.from_nm(np.array([[1000.0, 4.0, 8.0]]))
    assert frame.to_voxels(places).tolist() == [[0.5, 1.5, 2.5]]  # the centre of voxel (0, 1, 2)


def test_kinds_spans_and_colours(tmp_path) -> None:
    prob = open_volume(np.full((2, 2, 2), 0.5, np.float32))
    assert (kind_of(prob, "run/prob.zarr"), kind_of(prob, "em.zarr")) == ("prob", "image")
    assert kind_of(open_volume(np.ones((2, 2, 2), np.uint64)), "x") == "labels"
    ramp = open_volume(np.linspace(0, 1000, 1001).astype(np.uint16).reshape(1, 1, 1001))
    low, high = value_span(ramp, "image")
    assert 350 < low < high < 650  # of the chunk in the middle alone
    assert value_span(prob, "prob") == (0.0, 1.0)
    assert "slider(min=0, max=4, default=0)" in prob_look((0, 1), 5, "float32")["shader"]
    assert label_look({7: "#ff0000"})["segmentColors"] == {"7": "#ff0000"}
    with pytest.raises(ConfigError, match=r"label 7 has the colour 'red'; write it as #rrggbb"):
        label_look({7: "red"})


def test_a_volume_without_a_voxel_size_is_refused_unless_one_is_told(tmp_path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(SourceError, match=r"does not say how large .* --voxel-size 40,4,4"):
        open_for_view(str(tmp_path / "em.npy"))
    told = open_for_view(str(tmp_path / "em.npy"), (40, 4, 4))
    assert told.voxel_size_nm == (40, 4, 4)
    one = open_for_view(str(tmp_path / "em.npy"), (1, 1, 1))
    assert one.voxel_size_nm == (1, 1, 1)
    with pytest.raises(ConfigError, match="'label' is no kind of layer; known are image, prob"):
        Named.parse("label=a.zarr")


def test_each_mark_is_in_one_cell_of_one_level_and_is_where_it_was() -> None:
    rng = np.random.default_rng(1)
    places = np.concatenate([rng.random((3000, 3)), 0.5 + 0.1 * rng.random((3000, 3))]) * 1e4
    columns, said = described(pd.DataFrame({"size": np.arange(6000), "score": rng.random(6000)}))
    served = ServedMarks.of(Marks(places, None, columns, said), limit=400)
    info = json.loads(served.answer("info"))
    low, record = np.array(info["lower_bound"]), served.marks.records().dtype
    seen = []
    for level in info["spatial"]:
        grid, chunk = level["grid_shape"], np.array(level["chunk_size"])
        for cell in np.ndindex(*grid):
            data = served.answer(f"{level['key']}/{'_'.join(map(str, cell))}")
            count = int(np.frombuffer(data[:8], "<u8")[0])
            assert count <= level["limit"]
            rows = np.frombuffer(data[8 : 8 + count * record.itemsize], record)
            ids = np.frombuffer(data[8 + count * record.itemsize :], "<u8")
            assert np.allclose(rows["geometry"], places[ids][:, ::-1], rtol=1e-6)
            assert np.array_equal(rows["size"], ids)
            inside = (places[ids][:, ::-1] - low) / chunk
            assert (inside >= np.array(cell) - 1e-9).all()
            assert (inside <= np.array(cell) + 1 + 1e-9).all()
            seen.append(ids)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(6000))
    assert len(info["spatial"]) > 2
    one = np.frombuffer(served.answer("by_id/17"), record)
    assert one["size"] == 17
    for nothing in ("by_id/6000", "0/1_0_0", "99/0_0_0", "0/a_b_c", "else"):
        assert served.answer(nothing) is None


def test_a_million_points_are_served_in_pieces() -> None:
    places = np.random.default_rng(2).random((1_000_000, 3)) * 1e6
    served = ServedMarks.of(Marks(places))
    assert len(served.answer("0/0_0_0")) < 100_000
    assert sum(len(level.members) for level in served.levels) == 1_000_000
    layer = marks_layer(Marks(places), Frame((1, 1, 1), (0, 0, 0)), name="p", colour="#ffffff")
    assert layer.served is not None
    assert len(json.dumps(layer.state("http://here"))) < 2000


def test_tables_are_points_or_boxes_by_their_columns() -> None:
    frame = Frame((40.0, 4.0, 4.0), (-20.0, -2.0, -2.0))
    boxes = pd.DataFrame(
        {"id": [5], "z_start": [1], "y_start": [2], "x_start": [3], "z_stop": [2], "y_stop": [4],
         "x_stop": [6]}
    )  # fmt: skip
    marks = table_marks(boxes, frame, name="objects.csv")
    layer = marks_layer(marks, frame, name="o", colour="#ffffff")
    (one,) = layer.look["annotations"]
    assert (one["pointA"], one["pointB"]) == ([3, 2, 1], [6, 4, 2])
    assert (one["description"], one["props"]) == ("id 5", [5])
    cells = pd.DataFrame({"centroid_z": [1.0], "centroid_y": [2.0], "centroid_x": [3.0]})
    marks = table_marks(cells, frame, name="cells.csv")
    listed = marks_layer(marks, frame, name="c", colour="#ffffff").look["annotations"]
    assert listed[0]["point"] == [3.5, 2.5, 1.5]  # the middle of its voxel
    with pytest.raises(SourceError, match=r"does not say where its rows lie: it has a, b;"):
        table_marks(pd.DataFrame({"a": [1], "b": [2]}), frame, name="t.csv")


def strict(state: object) -> str:
    """What a browser would be sent, which takes no NaN."""
    return json.dumps(state, allow_nan=False)


def test_what_nobody_knows_is_sent_as_json_too() -> None:
    frame = Frame((1.0, 1.0, 1.0), (-0.5, -0.5, -0.5))
    table = pd.DataFrame(
        {"z": [1.0, np.nan, 3.0, 4.0], "y": [1.0, 2, 3, 4], "x": [1.0, 2, 3, 4],
         "score": [0.25, 0.5, np.nan, np.inf], "other": [np.nan] * 4}
    )  # fmt: skip
    layer = marks_layer(table_marks(table, frame, name="t"), frame, name="t", colour="#ffffff")
    listed = layer.look["annotations"]
    assert layer.name == "t (1 without a place)"
    assert [one["point"] for one in listed] == [[1.5, 1.5, 1.5], [3.5, 3.5, 3.5], [4.5, 4.5, 4.5]]
    assert [one["props"] for one in listed] == [[0.25, 0.0], [0.25, 0.0], [0.25, 0.0]]
    assert [one["description"] for one in listed[1:]] == [
        "score nan, other nan",  # what is said of it hides nothing
        "score inf, other nan",
    ]
    assert "least_score" not in layer.look["shader"]  # of one score that is known
    assert '"name": "t (1 without a place)"' in strict(layer.state("http://here"))
    table.loc[1, "z"] = 2.0
    layer = marks_layer(table_marks(table, frame, name="t"), frame, name="t", colour="#ffffff")
    assert "slider(min=0.25, max=0.5, default=0.25)" in layer.look["shader"]
    assert layer.name == "t"


def test_skeletons_are_read_and_mistakes_named_by_their_line(tmp_path) -> None:
    file = tmp_path / "cell-12.swc"
    file.write_text("# made by hand\n1 1 3 2 1 0.5 -1\n7 3 6 5 4 0.25 1\n")
    found = read_skeletons(tmp_path)
    assert list(found) == [12]
    assert found[12].places_nm.tolist() == [[1000, 2000, 3000], [4000, 5000, 6000]]
    assert read_skeletons(file, "nm")[12].places_nm[0].tolist() == [1, 2, 3]
    frame = Frame((10.0, 10.0, 10.0), (-5.0, -5.0, -5.0))
    data = ServedSkeletons(found, frame).answer("12")
    assert np.frombuffer(data[:8], "<u4").tolist() == [2, 1]
    places = np.frombuffer(data[8:32], "<f4").reshape(2, 3)
    assert places.tolist() == [[3005, 2005, 1005], [6005, 5005, 4005]]
    assert np.frombuffer(data[32:40], "<u4").tolist() == [1, 0]
    assert np.frombuffer(data[40:], "<f4").tolist() == [500, 250]
    file.write_text("1 1 3 2 1 0.5 -1\n2 3 x\n")
    with pytest.raises(SourceError, match=r"line 2: '2 3 x' is no node"):
        read_skeletons(file)
    file.write_text("1 1 3 2 1 0.5 9\n")
    with pytest.raises(SourceError, match="node 1 has the parent 9, which is not there"):
        read_skeletons(file)
    with pytest.raises(SourceError, match="holds no skeletons"):
        read_skeletons(tmp_path / "nothing.swc")


def test_a_layer_gets_another_source_and_the_rest_stays() -> None:
    state = {"position": [1, 2, 3], "layers": [
        {"name": "labels", "source": "a"},
        {"name": "cut", "source": [{"url": "b", "transform": 1}], "visible": False},
    ]}  # fmt: skip
    found = with_source(state, "cut", "c", instead_of="labels")
    assert found == {"position": [1, 2, 3], "layers": [
        {"name": "labels", "source": "a", "visible": False},
        {"name": "cut", "source": {"url": "c", "transform": 1}, "visible": True},
    ]}  # fmt: skip
    assert with_source(state, "labels", "c")["layers"][0] == {"name": "labels", "source": "c"}
