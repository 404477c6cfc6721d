"""Batch: rows checked before anything runs, items that fail alone, and a job that resumes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from volkit.engine.lock import run_lock
from volkit.errors import ConfigError, RunLockedError
from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.pipelines.batch import batch_status, run_batch, told
from volkit.pipelines.batch_file import read_batch
from volkit.pipelines.batch_record import Record, read_record, record_place, write_record
from volkit.pipelines.batch_tiles import tile_count, tiles
from volkit.testing.workflows import tiny_workflow

LEFT, RIGHT = '"0:24,0:48,0:20"', '"0:24,0:48,20:40"'


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workflow, its image, and a mirror of it."""
    folder = tmp_path_factory.mktemp("batch")
    tiny_workflow(folder, block_shape=[12, 24, 20])
    (folder / "mirror.yaml").write_text(
        "pipeline: mirror\ninput: {image: image.zarr}\noutput: copy.zarr\n"
    )
    return folder


@pytest.fixture
def folder(specimen, tmp_path) -> Path:
    """The same, with nothing run."""
    shutil.copytree(specimen, tmp_path / "batch")
    return tmp_path / "batch"


def listed(folder: Path, *rows: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n")
    return path


def mirrors(folder: Path, *rows: str):
    return read_batch(listed(folder, "name,image,box", *rows), workflow=folder / "mirror.yaml")


def states(items) -> dict[str, str]:
    return {item.name: item.state for item in items}


def test_volumes_and_cutouts_run_as_one_job(folder) -> None:
    path = listed(
        folder,
        "name, workflow, image, box, center_um, size_um, segment.threshold, block_shape",
        f"left, , image.zarr, {LEFT}, , , 0.5,",
        'right, , , , "0.115,0.235,0.295","0.24,0.48,0.2", ,"[24, 48, 20]"',
        f"copy, mirror.yaml, image.zarr, {LEFT}, , , ,",
    )
    batch = read_batch(path, workflow=folder / "tiny.yaml")
    seen: list[str] = []
    items = run_batch(batch, on_message=seen.append)
    assert states(items) == {"left": "finished", "right": "finished", "copy": "finished"}
    assert "item 2/3: right" in seen
    assert str(open_volume(folder / "list/left/labels.zarr").domain) == "[0:24, 0:48, 0:20]"
    assert str(open_volume(folder / "list/right/labels.zarr").domain) == "[0:24, 0:48, 20:40]"
    copy = open_volume(folder / "list/copy/volume.zarr")
    whole = open_volume(folder / "image.zarr")
    np.testing.assert_array_equal(copy.read(), whole.read(copy.domain))
    made = json.loads((folder / "list/left/report/run.json").read_text())["parameters"]
    assert made["segment"]["threshold"] == 0.5
    assert made["cluster"]["workers"] == 0

    again: list[str] = []
    progress: list[object] = []
    assert states(run_batch(batch, on_message=again.append, on_progress=progress.append)) == (
        states(items)
    )
    assert again[0] == "item 1/3: left is finished"
    assert progress == []
    assert all(item.attempts == 1 and item.done == item.total > 0 for item in batch_status(batch))


def test_a_bad_volume_does_not_stop_the_others(folder) -> None:
    shutil.copytree(folder / "image.zarr", folder / "bad.zarr")
    files = [p for p in (folder / "bad.zarr").rglob("*") if p.is_file() and "c" in p.parts]
    whole = {path: path.read_bytes() for path in files}
    for path, data in whole.items():
        path.write_bytes(data[:-7])
    batch = mirrors(
        folder,
        f"one,image.zarr,{LEFT}",
        f"torn,bad.zarr,{LEFT}",
        'outside,image.zarr,"0:24,0:48,0:999"',
        f"two,image.zarr,{RIGHT}",
    )
    items = run_batch(batch)
    assert states(items) == {
        "one": "finished", "torn": "failed", "outside": "failed", "two": "finished",
    }  # fmt: skip
    found = {item.name: item for item in items}
    assert "outside" in found["outside"].error
    assert "bad.zarr" in found["torn"].error
    for path, data in whole.items():
        path.write_bytes(data)
    items = run_batch(batch)
    assert states(items)["torn"] == "finished", items
    assert {item.name: item.attempts for item in items} == {
        "one": 1, "torn": 2, "outside": 2, "two": 1,
    }  # fmt: skip


def test_an_interrupted_batch_goes_on(folder) -> None:
    batch = mirrors(folder, f"one,image.zarr,{LEFT}", f"two,image.zarr,{RIGHT}", "all,image.zarr,")
    assert states(batch_status(batch)) == dict.fromkeys(("one", "two", "all"), "waiting")

    def stop(state) -> None:
        if (folder / "list" / "two").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(batch, on_progress=stop)
    assert states(batch_status(batch)) == {
        "one": "finished", "two": "interrupted", "all": "waiting",
    }  # fmt: skip
    assert set(states(run_batch(batch)).values()) == {"finished"}


def test_what_changed_is_done_again_and_what_is_gone_too(folder) -> None:
    batch = mirrors(folder, f"one,image.zarr,{LEFT}", f"two,image.zarr,{RIGHT}")
    run_batch(batch)
    shutil.rmtree(folder / "list" / "two")
    other = mirrors(folder, f"one,image.zarr,{RIGHT}", f"two,image.zarr,{RIGHT}")
    assert states(batch_status(other)) == {"one": "changed", "two": "finished"}
    items = run_batch(other)
    assert states(items) == {"one": "failed", "two": "finished"}
    assert "another box" in items[0].error or "replace" in items[0].error
    assert states(run_batch(other, replace_stale=True)) == {"one": "finished", "two": "finished"}
    assert str(open_volume(folder / "list/one/volume.zarr").domain) == "[0:24, 0:48, 20:40]"


def test_one_cluster_serves_all_items(folder) -> None:
    path = listed(folder, "name,image,box", f"a,image.zarr,{LEFT}", f"b,image.zarr,{RIGHT}")
    batch = read_batch(path, workflow=folder / "mirror.yaml", settings=["cluster.workers=1"])
    said: list[str] = []
    assert set(states(run_batch(batch, on_message=said.append)).values()) == {"finished"}
    assert sum(text.startswith("dashboard: ") for text in said) == 1


def test_two_clients_do_not_work_on_one_batch(folder) -> None:
    batch = mirrors(folder, f"one,image.zarr,{LEFT}")
    with run_lock(record_place(batch)), pytest.raises(RunLockedError, match="is being worked on"):
        run_batch(batch)
    assert read_record(batch, "one") is None


def test_the_lock_of_a_killed_client_holds_nobody_up(folder) -> None:
    batch = mirrors(folder, f"one,image.zarr,{LEFT}")
    killed = (
        "import os\nfrom volkit.engine.lock import run_lock\n"
        f"with run_lock({record_place(batch).uri!r}): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    write_record(batch, "one", Record("running", told(batch.items[0]), {}, "nowhere"))
    assert states(batch_status(batch)) == {"one": "interrupted"}
    assert states(run_batch(batch)) == {"one": "finished"}


def test_yaml_says_the_same(folder) -> None:
    tree = {
        "workflow": "tiny.yaml",
        "output": "runs",
        "set": {"segment": {"threshold": 0.5}},
        "cluster": {"workers": 3},
        "items": [
            {"name": "a", "box": {"start": [0, 0, 0], "stop": [24, 48, 20]}},
            {"name": "b", "image": "image.zarr", "segment": {"threshold": 0.7}},
        ],
    }
    path = listed(folder, yaml.safe_dump(tree), name="list.yaml")
    batch = read_batch(path, settings=["cluster.workers=0"])
    assert batch.output == folder / "runs"
    assert batch.cluster.workers == 0
    a, b = (item.read() for item in batch.items)
    assert a.config.input.box == Box((0, 0, 0), (24, 48, 20))
    assert (a.config.segment.threshold, b.config.segment.threshold) == (0.5, 0.7)
    assert a.config.output == str(folder / "runs" / "a")
    assert b.config.input.image == str(folder / "image.zarr")
    assert batch.items[0].tree() == a.tree


def test_all_that_is_wrong_is_said_at_once_and_where(folder) -> None:
    path = listed(
        folder,
        "name,image,box,segment.treshold,workflow",
        "good,image.zarr,,,",
        "good,image.zarr,,,",
        "b/d,image.zarr,,,",
        "absent,nowhere.zarr,,,",
        'flat,image.zarr,"0:4,0:4",,',
        'empty,image.zarr,"0:4,4:4,0:4",,',
        "typo,image.zarr,,0.5,",
        "lost,image.zarr,,,lost.yaml",
    )
    with pytest.raises(ConfigError) as raised:
        read_batch(path, workflow=folder / "tiny.yaml")
    said = str(raised.value)
    assert "nothing was run" in said
    for wanted in (
        "line 3: name good: line 2 has it, too",
        "line 4: name 'b/d': give letters",
        "line 5 (absent): input.image: ",
        "nowhere.zarr is not there",
        "line 6 (flat): box 0:4,0:4: write z0:z1",
        "line 7 (empty): box 0:4,4:4,0:4 holds no voxel",
        "line 8 (typo): ",
        "segment.treshold: unknown key; did you mean threshold?",
        "line 9 (lost): cannot read the workflow",
    ):
        assert wanted in said
    assert "line 2" not in said.replace("line 2 has it", "")
    assert not (folder / "list").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("image", "a.zarr"), "the first line names each once, with `name`"),
        (("name,image", "a,b,c"), "line 2 has other columns than the 2 of the header"),
        (("name,image",), "there are no items in it"),
        (("name,cluster.workers", "a,2"), "the cluster is shared by all items"),
        (("name,center_um", 'a,"1,2,3"'), "a cutout is a box, or center_um and size_um"),
        (("name,center_um,size_um", 'a,"1,2","1,2,3"'), "write z,y,x in micrometres"),
    ],
)
def test_refuses_a_file_that_makes_no_sense(folder, rows, message) -> None:
    with pytest.raises(ConfigError, match=message):
        read_batch(listed(folder, *rows), workflow=folder / "tiny.yaml")


def test_refuses_yaml_and_workflows_that_make_no_sense(folder) -> None:
    with pytest.raises(ConfigError, match="no list of items; give a list of items, or workflow"):
        read_batch(listed(folder, "items: 3", name="list.yaml"))
    with pytest.raises(ConfigError, match="the keys item; give a list of items"):
        read_batch(listed(folder, "item: []", name="list.yaml"))
    with pytest.raises(ConfigError, match=r"item 1 \(a\): workflow: is missing"):
        read_batch(listed(folder, "[{name: a}]", name="list.yaml"))
    rows = ("name,workflow", "a,tiny.yaml", "b,mirror.yaml")
    tiny_workflow(folder, cluster={"workers": 2})
    with pytest.raises(ConfigError, match="its workflows name different clusters"):
        read_batch(listed(folder, *rows))
    with pytest.raises(ConfigError, match=r"cannot read the batch file .*absent.csv"):
        read_batch(folder / "absent.csv")


extents = st.tuples(*[st.integers(1, 30)] * 3)


@given(extents, st.tuples(*[st.tuples(st.integers(1, 12), st.integers(0, 11))] * 3))
def test_tiles_cover_every_voxel_and_none_is_idle(shape, pairs) -> None:
    size = tuple(s for s, _ in pairs)
    overlap = tuple(o % s for s, o in pairs)
    domain = Box.from_shape(shape, (3, -4, 5))
    count = np.zeros(shape, int)
    found = list(tiles(domain, size, overlap))
    for _, box in found:
        inside = box.relative_to(domain).slices
        assert (count[inside] == 0).any()  # it has something of its own
        count[inside] += 1
    assert count.min() == 1
    assert len(found) == np.prod(tile_count(domain, size, overlap))
    assert len({name for name, _ in found}) == len(found)
    assert [name for name, _ in found] == sorted(name for name, _ in found)


def test_the_list_that_is_shipped_is_understood() -> None:
    hpc = Path(__file__).parents[2] / "workflows" / "hpc"
    batch = read_batch(hpc / "whole_brain.csv", settings=["checkpoint=builtin:boundaries-specimen"])
    assert len(batch.items) == 5
    assert batch.cluster.system == "slurm"
    assert batch.items[2].read().config.segment.threshold == 0.75


def test_refuses_tiles_that_do_not_advance() -> None:
    with pytest.raises(ConfigError, match="tiles of 4 voxels that overlap by 4 on axis y"):
        tile_count(Box.from_shape((9, 9, 9)), (4, 4, 4), (0, 4, 0))
