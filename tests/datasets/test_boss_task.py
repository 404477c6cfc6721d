"""BossTask on a loopback Boss server: voxel by voxel, cached by content, shared out to workers."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from volkit.cli.app import app
from volkit.datasets import BossTask
from volkit.datasets.task_cache import copy_name, fill_cache
from volkit.datasets.task_file import read_task
from volkit.datasets.task_order import ShardedBatches
from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.ops.multiscale import pyramid
from volkit.testing.tissue import TissueSpecimen

# What the server of the fixture holds.
SHAPE = (40, 24, 96)
ORIGIN = (100, 500, 1500)
TISSUE = TissueSpecimen(SHAPE, seed=4)


def here(box: Box) -> Box:
    """Move a box of the channels to the specimen."""
    return box.relative_to(Box.from_shape(SHAPE, ORIGIN))


def cutouts(server) -> int:
    return sum("/cutout/" in request.path for request in server.requests)


def test_sections(keys) -> None:
    task = BossTask(keys, "val")
    assert len(task) == 5 * 3
    assert task.voxel_size_nm == pytest.approx((1170.0,) * 3)
    for n in (0, 6, 14):
        image, classes = task[n]
        box = here(task.samples[n].pieces[0][1])
        assert (image.shape, image.dtype) == ((1, 16, 16), torch.float32)
        assert (classes.shape, classes.dtype) == ((16, 16), torch.int64)
        np.testing.assert_array_equal(image[0] * 255, TISSUE.image(box)[0])
        np.testing.assert_array_equal(classes, TISSUE.labels(box)[0])


def test_axons_may_be_background(keys) -> None:
    task = BossTask({**keys, "combine_ax_and_bg": 1, "noZI": 0}, "test")
    assert len(task) == 8 * 4
    box = here(task.samples[-1].pieces[0][1])
    labels = TISSUE.labels(box)[0]
    assert (labels == 3).any()
    np.testing.assert_array_equal(task[31][1], np.where(labels == 3, 0, labels))


def test_volumes_of_their_own_region(keys) -> None:
    task = BossTask({**keys, "volume_z": 8}, "train")
    assert len(task) == 2 * 3
    image, classes = task[1]
    box = here(task.samples[1].pieces[0][1])
    assert (image.shape, classes.shape) == ((1, 8, 16, 16), (8, 16, 16))
    np.testing.assert_array_equal(image[0] * 255, TISSUE.image(box))
    np.testing.assert_array_equal(classes, TISSUE.labels(box))


def test_volumes_as_published(keys) -> None:
    """The third volume of a region: five sections of its own, three of the next, x before y."""
    task = BossTask({**keys, "volume_z": 8}, "train", compat=True)
    assert len(task) == 3 * 3
    image, classes = task[2]
    boxes = [here(box) for _, box in task.samples[2].pieces]
    assert [box.shape[0] for box in boxes] == [5, 3]
    shown = np.concatenate([TISSUE.image(box) for box in boxes])
    asked = np.concatenate([TISSUE.labels(box) for box in boxes])
    np.testing.assert_array_equal(image[0] * 255, shown.transpose(0, 2, 1))
    np.testing.assert_array_equal(classes, asked.transpose(0, 2, 1))
    assert task[8][0].shape == (1, 5, 16, 16)


def test_regions(keys) -> None:
    labels = keys["annotation_chan"].replace("pixel_labels", "roi_labels")
    task = BossTask({**keys, "annotation_chan": labels, "noZI": 0}, "test")
    assert [task[n][1] for n in range(0, 32, 8)] == [0, 1, 2, 3]
    assert task[0][0].shape == (1, 16, 16)


def test_tiles_without_a_region(tmp_path, keys) -> None:
    """Published, they are cortex; else their box says where they are."""
    stored = {}
    for name, dtype in (("image", np.uint8), ("roi_labels", np.uint8)):
        stored[name] = tmp_path / name
        volume = create_volume(stored[name], shape=(150, 530, 1600), dtype=dtype)
        del volume
    task = {
        **keys,
        "image_chan": str(stored["image"]),
        "annotation_chan": str(stored["roi_labels"]),
        "noZI": 0,
    }
    options = {"missing": "zero"}
    assert [BossTask(task, "val", options=options)[n][1] for n in (0, 5, 19)] == [0, 1, 3]
    seen = BossTask(task, "val", options=options, compat=True)
    assert [seen[n][1] for n in (0, 5, 19)] == [0, 0, 0]
    assert seen.voxel_size_nm is None  # nobody says it


@pytest.mark.parametrize(("size", "level"), [((1, 1, 1), 0), (None, 0), (None, 1)])
def test_a_size_is_told_where_it_is_stated(tmp_path, keys, size, level) -> None:
    """1 nm is a size where it is written; at a coarser level 2 voxels are none."""
    for name, dtype in (("image", np.uint8), ("labels", np.uint64)):
        volume = create_volume(
            tmp_path / name, shape=(10, 40, 120), dtype=dtype, voxel_size_nm=size
        )
        volume.write(volume.domain, np.zeros(volume.shape, dtype))
        pyramid(volume, levels=2)
    here = {
        **{name: [part - 1500 for part in keys[name]] for name in keys if "xrange" in name},
        **{name: [part - 500 for part in keys[name]] for name in keys if "yrange" in name},
        **{f"z_{name}": [0, 4] for name in ("train", "val", "test")},
        "image_chan": str(tmp_path / "image"),
        "annotation_chan": str(tmp_path / "labels"),
    }
    if level:
        here |= {name: [0, 8] for name in keys if "range_" in name} | {"tile_size": [8, 8]}
    task = BossTask({**keys, **here}, "val", options={"level": level})
    assert task.voxel_size_nm == size


def test_masks(keys) -> None:
    single = {name: value for name, value in keys.items() if "range_" not in name}
    for name in ("zrange", "task_type", "combine_ax_and_bg", "noZI"):
        del single[name]
    ranges = {"xrange_vol": [1500, 1596], "yrange_vol": [500, 516]}
    task = BossTask({**single, **ranges, "threshold": 1, "threshold_value": 1}, "val")
    assert len(task) == 5 * 6
    box = here(task.samples[4].pieces[0][1])
    np.testing.assert_array_equal(task[4][1], TISSUE.labels(box)[0] > 1)


def test_copies_are_named_by_content_and_boxes(keys, server, tmp_path) -> None:
    task = BossTask(keys, "val", cache=tmp_path)
    before = [task[n] for n in range(len(task))]
    server.clear_requests()
    again = BossTask(keys, "val", cache=tmp_path)
    for n, (image, classes) in enumerate(before):
        assert torch.equal(again[n][0], image)
        assert torch.equal(again[n][1], classes)
    assert cutouts(server) == 0
    moved = BossTask({**keys, "xrange_cor": [1503, 1519]}, "val", cache=tmp_path)
    box = here(moved.samples[0].pieces[0][1])
    np.testing.assert_array_equal(moved[0][0][0] * 255, TISSUE.image(box)[0])
    assert cutouts(server) > 0
    volume = open_volume(keys["image_chan"])
    names = {copy_name(volume, moved.task.box(name, "val")) for name in moved.task.regions}
    assert names <= {path.name for path in tmp_path.iterdir()}


def test_a_filled_cache_serves_all_splits(keys, server, tmp_path) -> None:
    said = []
    copies = fill_cache(read_task(keys), tmp_path, on_message=said.append)
    assert len(copies) == len(said) == 3 * 3 * 2
    server.clear_requests()
    for split in ("train", "val", "test"):
        task = BossTask(keys, split, cache=tmp_path)
        assert task[len(task) - 1][0].max() > 0
    assert cutouts(server) == 0


def test_workers_have_shards_of_their_own() -> None:
    order = ShardedBatches(103, batch=4, shards=3, seed=2)
    batches = list(order)
    assert len(batches) == len(order)
    assert sorted(n for batch in batches for n in batch) == list(range(103))
    for worker, limits in enumerate(((0, 35), (35, 69), (69, 103))):
        mine = [n for batch in batches[worker : 3 * 8 : 3] for n in batch]
        assert limits[0] <= min(mine) <= max(mine) < limits[1]
    assert list(order) == batches
    assert list(order.of_epoch(1)) != batches
    with pytest.raises(ConfigError, match="give at least 1"):
        ShardedBatches(0, batch=1)


def test_a_loader_gives_every_sample_once(keys) -> None:
    task = BossTask(keys, "val")
    loader = task.loader(batch=4, seed=1)
    images = torch.cat([images for images, _ in loader])
    assert images.shape == (15, 1, 16, 16)
    seen = sorted(image.numpy().tobytes() for image in images)
    assert seen == sorted(task[n][0].numpy().tobytes() for n in range(15))


@pytest.mark.slow
def test_processes_load(keys, tmp_path) -> None:
    task = BossTask(keys, "val", cache=tmp_path)
    batches = list(task.loader(batch=4, workers=2, prefetch=2))
    assert sum(len(images) for images, _ in batches) == 15


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"xrange_cor": [1490, 1506]}, GeometryError, r"the box .* of cor leaves bossdb://"),
        ({"z_val": [136, 145]}, GeometryError, "which covers"),
    ],
)
def test_boxes_that_leave_the_volume(keys, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        BossTask({**keys, **changes}, "val")


@pytest.mark.parametrize(
    ("shape", "dtype", "size", "error", "message"),
    [
        ((39, 24, 96), np.uint64, (1170.0,) * 3, GeometryError, "give channels of the same voxels"),
        ((40, 24, 96), np.float32, (1170.0,) * 3, ContractError, "are float32, which are no codes"),
        ((40, 24, 96), np.uint64, None, GeometryError, "state voxel_size_nm where one"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, keys, shape, dtype, size, error, message) -> None:
    for name, extent, kind in (("image", SHAPE, np.uint8), ("labels", shape, dtype)):
        nm = (1170.0,) * 3 if name == "image" else size
        create_volume(tmp_path / name, shape=extent, dtype=kind, voxel_size_nm=nm)
    here = {
        **{name: [part - 1500 for part in keys[name]] for name in keys if "xrange" in name},
        **{name: [part - 500 for part in keys[name]] for name in keys if "yrange" in name},
        **{f"z_{name}": [0, 8] for name in ("train", "val", "test")},
        "image_chan": str(tmp_path / "image"),
        "annotation_chan": str(tmp_path / "labels"),
    }
    with pytest.raises(error, match=message):
        BossTask({**keys, **here}, "val")


def test_codes_of_another_source(keys) -> None:
    """Codes that the mapping lacks are an error, never background."""
    short = read_task(keys, classes={"rest": (0, 1, 2), "cell": (7,)})
    task = BossTask(short, "test")  # the last sample, in the thalamus, has axons
    with pytest.raises(ContractError, match="have codes of no class: 3; classes are"):
        task[23]


def test_the_command_fills_the_cache(keys, server, tmp_path) -> None:
    (tmp_path / "task.json").write_text(json.dumps(keys))
    done = CliRunner().invoke(app, ["mirror", str(tmp_path / "task.json"), str(tmp_path / "kept")])
    assert done.exit_code == 0, done.output
    assert "val cor: " in done.output
    server.clear_requests()
    assert BossTask(keys, "val", cache=tmp_path / "kept")[0][0].max() > 0
    assert cutouts(server) == 0
