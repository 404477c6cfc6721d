"""Task files: the six that are published, number by number, and a single volume."""

import json

import pytest

from volkit.datasets.task_file import FOUR_CLASSES, THREE_CLASSES, read_task
from volkit.datasets.task_samples import task_samples
from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box

COMMON = {
    "image_chan": "bossdb://prasad/prasad2020/image",
    "annotation_chan": "bossdb://prasad/prasad_analysis/pixel_labels",
    "xrange_cor": [4600, 4856],
    "yrange_cor": [900, 1156],
    "xrange_stri": [3700, 3956],
    "yrange_stri": [500, 756],
    "xrange_vp": [3063, 3319],
    "yrange_vp": [850, 1106],
    "xrange_zi": [1543, 1799],
    "yrange_zi": [650, 906],
    "z_train": [110, 379],
    "z_val": [380, 409],
    "z_test": [420, 470],
    "tile_size": [256, 256],
}
ROI = "bossdb://prasad/prasad_analysis/roi_labels"
THREE = {"task_type": "3class", "combine_ax_and_bg": 1, "noZI": 0}
FOUR = {"task_type": "noZI", "combine_ax_and_bg": 0, "noZI": 1}
PUBLISHED = {
    "task1": {"annotation_chan": ROI, "zrange": [110, 471], "volume_z": 1},
    "task2_2D_3class": {"zrange": [110, 471], "volume_z": 1, **THREE},
    "task2_2D_4class": {"zrange": [110, 471], "volume_z": 1, **FOUR},
    "task2_3D_3class": {"zrange": [110, 471], "volume_z": 8, **THREE},
    "task2_3D_4class": {"zrange": [110, 471], "volume_z": 8, **FOUR},
    "task3": {
        "zrange": [110, 470],
        "volume_z": 1,
        "task_type": "normal",
        "combine_ax_and_bg": 0,
        "noZI": 0,
    },
}


def published(name: str, folder=None):
    keys = {**COMMON, **PUBLISHED[name]}
    if folder is None:
        return read_task(keys)
    (folder / f"{name}.json").write_text(json.dumps(keys))
    return read_task(folder / f"{name}.json")


@pytest.mark.parametrize(
    ("name", "own", "straddling"),
    [
        ("task1", (1076, 116, 200), (1076, 116, 200)),
        ("task2_2D_3class", (1076, 116, 200), (1076, 116, 200)),
        ("task2_2D_4class", (807, 87, 150), (807, 87, 150)),
        ("task2_3D_3class", (132, 12, 24), (136, 16, 28)),
        ("task2_3D_4class", (99, 9, 18), (102, 12, 21)),
    ],
)
def test_each_file_has_the_samples_that_are_published(name, own, straddling, tmp_path) -> None:
    task = published(name, tmp_path)
    for split, count, more in zip(("train", "val", "test"), own, straddling, strict=True):
        assert len(task_samples(task, split)) == count
        assert len(task_samples(task, split, compat=True)) == more


def test_what_each_file_asks() -> None:
    assert published("task1").kind == "region"
    assert published("task1").classes == {
        "cor": (0, 1),
        "stri": (2, 8),
        "vp": (3, 4),
        "zi": (5, 6, 7),
    }
    assert published("task2_2D_3class").classes == THREE_CLASSES
    assert published("task2_3D_4class").classes == FOUR_CLASSES
    assert list(published("task2_3D_4class").regions) == ["cor", "stri", "vp"]
    assert published("task2_3D_3class").depth == 8
    task3 = published("task3")
    assert task3.box("zi") == Box((110, 650, 1543), (470, 906, 1799))
    assert task3.box("cor", "test") == Box((420, 900, 4600), (470, 1156, 4856))
    assert task3.tile == (256, 256)


def test_a_sample_lies_in_its_own_region_unless_asked_as_published() -> None:
    """Published: the last volume of a region holds 5, 5 or 2 sections of its own."""
    task = published("task2_3D_4class")
    for split, last in (("train", 5), ("val", 5), ("test", 2)):
        own = task_samples(task, split)
        assert {len(s.pieces) for s in own} == {1}
        assert {s.sections for s in own} == {8}
        seen = task_samples(task, split, compat=True)
        each = len(seen) // 3
        first, second, end = (seen[each * k - 1] for k in (1, 2, 3))
        assert [name for name, _ in first.pieces] == ["cor", "stri"]
        assert [name for name, _ in second.pieces] == ["stri", "vp"]
        assert [box.shape[0] for _, box in first.pieces] == [last, 8 - last]
        assert first.pieces[1][1].start[0] == task.splits[split][0]
        assert [box.shape[0] for _, box in end.pieces] == [last]


def test_tiles_are_rows_then_columns() -> None:
    task = read_task({**COMMON, **PUBLISHED["task3"], "tile_size": [128, 64]})
    assert task.tile == (64, 128)
    boxes = [s.pieces[0][1].start for s in task_samples(task, "test")[:9]]
    assert boxes[:3] == [(420, 900, 4600), (420, 900, 4728), (420, 964, 4600)]
    assert boxes[8] == (421, 900, 4600)


SINGLE = {
    "image_chan": "bossdb://kasthuri2015/ac4/em",
    "annotation_chan": "bossdb://kasthuri2015/ac4/synapse",
    "xrange_vol": [0, 1024],
    "yrange_vol": [0, 512],
    "z_train": [0, 80],
    "z_val": [80, 90],
    "z_test": [90, 100],
    "volume_z": 1,
    "tile_size": [256, 256],
}


def test_a_single_volume_with_a_threshold() -> None:
    task = read_task({**SINGLE, "threshold": 1, "threshold_value": 3})
    assert (task.kind, task.threshold) == ("mask", 3)
    assert len(task_samples(task, "train")) == 80 * 2 * 4
    assert read_task(SINGLE).kind == "classes"
    other = {"rest": (0,), "synapse": (1, 2)}
    assert read_task(SINGLE, classes=other).classes == other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "has colour that is unknown, and lacks nothing"),
        ({"yrange_vol": None}, "no yrange for vol"),
        ({"z_val": None}, "lacks z_val"),
        ({"z_val": [90, 80]}, "half-open ranges"),
        ({"z_val": [-1, 80]}, "from 0 on"),
        ({"z_val": [1.5, 80]}, "give two whole numbers"),
        ({"tile_size": [256]}, "tile_size is .256.; give two"),
        ({"volume_z": 0}, "samples of 0 sections"),
        ({"volume_z": True}, "volume_z is True; give a whole number"),
        ({"image_chan": 7}, "give the address of a volume"),
        ({"threshold": 1}, "threshold_value is None"),
    ],
)
def test_files_that_make_no_sense(changes, message) -> None:
    keys = {**SINGLE, **changes}
    with pytest.raises(ConfigError, match=message):
        read_task({name: value for name, value in keys.items() if value is not None})


def test_codes_must_not_be_shared() -> None:
    with pytest.raises(ConfigError, match="codes of its own"):
        read_task(SINGLE, classes={"a": (0, 1), "b": (1,)})
    with pytest.raises(ConfigError, match="kind 'colour' is unknown"):
        read_task(SINGLE, kind="colour")  # type: ignore[arg-type]


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(SourceError, match="cannot be read as a task file"):
        read_task(tmp_path / "absent.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ConfigError, match="holds list"):
        read_task(tmp_path / "list.json")


def test_regions_and_splits_by_name() -> None:
    task = read_task(SINGLE)
    with pytest.raises(ConfigError, match="no region 'cor'"):
        task.box("cor", "train")
    with pytest.raises(ConfigError, match="the task has no zrange"):
        task.box("vol")
    with pytest.raises(GeometryError, match="holds a sample of 1 sections"):
        task_samples(read_task({**SINGLE, "tile_size": [2048, 2048]}), "val")
