"""Pyramids: the same levels however they are made, and nothing half made is shown."""

import json
import os
import shutil
import signal
from pathlib import Path

import cloudvolume
import numpy as np
import ome_zarr_models.v05
import pytest
import tensorstore
import yaozarrs
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from volkit.engine.cluster import local_client
from volkit.errors import (
    BlockFailedError,
    ConfigError,
    GeometryError,
    SourceError,
    StaleLedgerError,
)
from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume
from volkit.io.sources import OpenOptions
from volkit.kernels.downsample import mean, mode
from volkit.ops import level_plan, multiscale
from volkit.ops.level_plan import level_factors
from volkit.ops.multiscale import pyramid
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.s3 import S3Server
from volkit.testing.strategies import shapes

STEPS = [(1, 2, 2), (2, 3, 1)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one stored object, read in pieces."""
    monkeypatch.setattr(level_plan, "_INPUT_BYTES", 256)


def values_of(shape, dtype="uint8", channels=None, seed=0) -> np.ndarray:
    lead = () if channels is None else (channels,)
    return np.random.default_rng(seed).integers(0, 5, (*lead, *shape)).astype(dtype)


def stored(uri, values: np.ndarray, **layout) -> Volume:
    volume = create_volume(
        uri,
        shape=values.shape[-3:],
        dtype=values.dtype,
        channels=values.shape[0] if values.ndim == 4 else None,
        **layout,
    )
    volume.write(volume.domain, values)
    return open_volume(uri)


def expected_levels(values: np.ndarray, start, steps, kernel) -> list[np.ndarray]:
    found = [values]
    for step in steps:
        found.append(kernel(found[-1], step, start=start))
        start = tuple(a // f for a, f in zip(start, step, strict=True))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def without_times(found: dict[str, bytes]) -> dict[str, bytes]:
    """Fingerprints hold when and where the source was written."""
    arrays = {}
    for name, data in found.items():
        if name.endswith("zarr.json"):
            document = json.loads(data)
            document["attributes"].get("volkit", {}).pop("fingerprint", None)
            data = json.dumps(document).encode()
        arrays[name] = data
    return arrays


@pytest.mark.usefixtures("small_blocks")
def test_levels_do_not_depend_on_storage_and_blocks() -> None:
    """Laws 1 and 3: for every place, shape, chunk and shard."""

    @settings(max_examples=25)
    @given(
        kernel=st.sampled_from([mean, mode]),
        shape=shapes(largest=12),
        start=shapes(smallest=-7, largest=7),
        chunk=shapes(largest=5),
        shards=shapes(largest=2),
        steps=st.lists(shapes(largest=4), min_size=1, max_size=2),
        channels=st.sampled_from([None, 1, 2]),
    )
    def holds(kernel, shape, start, chunk, shards, steps, channels) -> None:
        values = values_of(shape, channels=channels)
        volume = stored(
            "memory://levels/em.zarr",
            values,
            start=start,
            chunk_shape=chunk,
            shard_shape=tuple(c * s for c, s in zip(chunk, shards, strict=True)),
            overwrite=True,
        )
        try:
            level_factors(shape, (1, 1, 1), factors=steps)
        except ConfigError:  # an axis of one voxel does not shrink
            return
        made = pyramid(volume, method=kernel.__name__, factors=steps)
        assert made.levels == 1 + len(steps)
        for level, expected in enumerate(expected_levels(values, start, steps, kernel)):
            np.testing.assert_array_equal(made.at_level(level).read(), expected)

    holds()


def test_places_of_levels(tmp_path: Path) -> None:
    """The centre of a coarse voxel is the middle of the centres of its fine ones."""
    volume = stored(
        tmp_path / "em.zarr",
        values_of((5, 9, 12)),
        start=(-3, 5, 8),
        voxel_size_nm=(40, 4, 3.5),
        origin_nm=(7, -20, 0.25),
    )
    made = pyramid(volume, factors=STEPS)
    total = np.ones(3, int)
    for level, step in enumerate(STEPS, 1):
        total = total * step
        coarse = made.at_level(level)
        assert coarse.voxel_size_nm == tuple(total * volume.voxel_size_nm)
        for voxel in ((0, 0, 0), coarse.domain.start, (3, 4, 5)):
            fine = [np.arange(v * f, (v + 1) * f) for v, f in zip(voxel, total, strict=True)]
            middle = [a.mean() for a in fine]
            assert coarse.scale.to_nm(voxel) == pytest.approx(volume.scale.to_nm(middle), abs=1e-6)
    assert [str(made.at_level(n).domain) for n in range(3)] == [
        "[-3:2, 5:14, 8:20]",
        "[-3:2, 2:7, 4:10]",
        "[-2:1, 0:3, 4:10]",
    ]
    part = made.cutout(level_0=Box((-3, 6, 8), (1, 12, 20)))
    assert str(part.at_level(1).domain) == "[-3:1, 3:6, 4:10]"


@pytest.mark.parametrize("channels", [None, 2])
def test_other_readers_and_validators(tmp_path: Path, channels) -> None:
    folder = tmp_path / "em.zarr"
    values = values_of((20, 30, 40), "uint16", channels)
    volume = stored(
        folder, values, voxel_size_nm=(40, 4, 4), chunk_shape=(4, 8, 8), shard_shape=(8, 16, 16)
    )
    pyramid(volume, factors=STEPS)
    yaozarrs.validate_zarr_store(str(folder))
    image = ome_zarr_models.v05.Image.from_zarr(zarr.open_group(folder, mode="r"))
    datasets = image.ome_attributes.multiscales[0].datasets
    assert [dataset.path for dataset in datasets] == ["0", "1", "2"]
    steps = datasets[2].coordinateTransformations
    assert steps[0].scale[-3:] == [80.0, 24.0, 8.0]
    assert steps[1].translation[-3:] == [20.0, 10.0, 2.0]
    for level, expected in enumerate(expected_levels(values, (0, 0, 0), STEPS, mean)):
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(folder / str(level))},
        }
        array = tensorstore.open(spec, read=True).result()
        np.testing.assert_array_equal(array.read().result(), expected)
        assert array.fill_value == 0
        inner = array.spec().to_json()["metadata"]["codecs"][0]["configuration"]["codecs"]
        assert inner[-1] == {"name": "zstd", "configuration": {"level": 1, "checksum": True}}


def test_labels_take_the_most_frequent_id(tmp_path: Path) -> None:
    labels = values_of((8, 8, 8), "uint64") * np.uint64(2**60)
    made = pyramid(stored(tmp_path / "labels.zarr", labels), levels=2)
    np.testing.assert_array_equal(made.at_level(1).read(), mode(labels, (2, 2, 2), start=(0, 0, 0)))


def failing_at(step, first: int = 0):
    """A mean that has no room for some blocks of the level that is made with a step."""

    def failing(values, factor, *, start):
        if factor == step and start[2] >= first:
            raise MemoryError("no room")
        return mean(values, factor, start=start)

    return failing


def test_a_level_is_listed_once_it_is_finished(tmp_path, monkeypatch, small_blocks) -> None:
    folder = tmp_path / "em.zarr"
    volume = stored(folder, values_of((8, 16, 16)), chunk_shape=(4, 4, 4))
    identity, seen = volume.identity, []
    with monkeypatch.context() as patch:
        patch.setitem(multiscale._KERNELS, "mean", failing_at(STEPS[1], first=4))
        with pytest.raises(BlockFailedError, match="no room") as caught:
            pyramid(volume, factors=STEPS, on_progress=seen.append)
    assert any("level 2 on block" in note for note in caught.value.__notes__)
    assert open_volume(folder).levels == 2
    assert (folder / "2" / "zarr.json").exists()
    before = contents(folder / "1")
    seen.clear()
    pyramid(volume, factors=STEPS, on_progress=seen.append)
    assert {state.stage for state in seen} == {"level 2"}
    assert seen[0].resumed > 0
    assert seen[-1].done == seen[-1].total
    assert open_volume(folder).levels == 3
    assert contents(folder / "1") == before
    assert open_volume(folder).identity == identity
    assert [p.name for p in tmp_path.iterdir()] == ["em.zarr"]


def test_unfinished_levels_of_another_kind(tmp_path, monkeypatch, small_blocks) -> None:
    volume = stored(tmp_path / "em.zarr", values_of((8, 16, 16)), chunk_shape=(4, 4, 4))
    with monkeypatch.context() as patch:
        patch.setitem(multiscale._KERNELS, "mean", failing_at(STEPS[0]))
        with pytest.raises(BlockFailedError, match="no room"):
            pyramid(volume, factors=STEPS)
    with pytest.raises(StaleLedgerError, match="method: mean became mode"):
        pyramid(volume, factors=STEPS, method="mode")
    made = pyramid(volume, factors=STEPS, method="mode", replace_levels=True)
    np.testing.assert_array_equal(
        made.at_level(1).read(), mode(volume.read(), STEPS[0], start=(0, 0, 0))
    )


def test_levels_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "em.zarr"
    volume = stored(folder, values_of((8, 16, 16)))
    pyramid(volume, factors=STEPS[:1])
    before = contents(folder / "1")
    seen = []
    pyramid(volume, factors=STEPS, on_progress=seen.append)
    assert {state.stage for state in seen} == {"level 2"}
    assert contents(folder / "1") == before
    pyramid(volume, factors=STEPS[:1])
    assert open_volume(folder).levels == 3
    with pytest.raises(
        SourceError,
        match="lists level 1 already, made by mean of 1 x 2 x 2; asked for by mean of 2 x 2 x 2",
    ):
        pyramid(volume, factors=(2, 2, 2), levels=2)
    made = pyramid(volume, factors=(2, 2, 2), levels=2, replace_levels=True)
    assert made.levels == 2
    assert not (folder / "2").exists()
    np.testing.assert_array_equal(
        made.at_level(1).read(), mean(volume.read(), (2, 2, 2), start=(0, 0, 0))
    )
    yaozarrs.validate_zarr_store(str(folder))


def foreign(folder: Path, levels: int = 2, axes: str = "tczyx") -> np.ndarray:
    values = values_of((1, 1, 6, 8, 10))
    values = values[(0,) * (5 - len(axes))]
    group = zarr.create_group(folder)
    datasets = []
    for level in range(levels):
        array = group.create_array(
            name=f"s{level}", data=values, chunks=values.shape, dimension_names=list(axes)
        )
        assert array.shape == values.shape
        scale = [1.0] * (len(axes) - 3) + [0.04, 0.004, 0.004]
        datasets.append(
            {"path": f"s{level}", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    kinds = {"t": "time", "c": "channel"}
    named = [
        {"name": a, "type": kinds[a]}
        if a in kinds
        else {"name": a, "type": "space", "unit": "micrometer"}
        for a in axes
    ]
    image = {"name": "em", "axes": named, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    zarr.consolidate_metadata(folder)
    return values


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_groups_of_other_programs(tmp_path: Path) -> None:
    folder = tmp_path / "em.zarr"
    values = foreign(folder, levels=1)
    volume = open_volume(folder)
    made = pyramid(volume, factors=STEPS)
    assert (made.levels, made.shape) == (3, values.shape[-3:])
    assert sorted(p.name for p in folder.iterdir()) == ["s0", "s1", "s2", "zarr.json"]
    for level, expected in enumerate(expected_levels(values[0, 0], (0, 0, 0), STEPS, mean)):
        np.testing.assert_array_equal(made.at_level(level).read(), expected)
    assert made.at_level(2).voxel_size_nm == pytest.approx((80, 24, 8))
    assert made.at_level(2).origin_nm == pytest.approx((20, 10, 2))
    yaozarrs.validate_zarr_store(str(folder))
    ome_zarr_models.v05.Image.from_zarr(zarr.open_group(folder, mode="r"))


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_levels_of_other_programs_are_refused_unless_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "em.zarr"
    values = foreign(folder)
    with pytest.raises(SourceError, match="level 1 already, made by another program; asked .*--re"):
        pyramid(open_volume(folder), factors=STEPS)
    made = pyramid(open_volume(folder), factors=STEPS, replace_levels=True)
    np.testing.assert_array_equal(
        made.at_level(1).read(), mean(values[0, 0], STEPS[0], start=(0, 0, 0))
    )


def test_an_array_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "em.zarr"
    volume = stored(folder, values_of((8, 8, 8)))
    zarr.create_array(folder / "1", shape=(3,), dtype="u1")
    with pytest.raises(SourceError, match="an array '1' that is not among its levels .*move it"):
        pyramid(volume, levels=2)


def test_what_cannot_have_levels(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((4, 4, 4), np.uint8))
    plain = zarr.create_array(tmp_path / "plain.zarr", data=np.zeros((4, 4, 4), np.uint8))
    assert plain.shape == (4, 4, 4)
    for name in ("em.npy", "plain.zarr"):
        with pytest.raises(
            SourceError, match=r"no levels can be added.*volkit mirror .*\.zarr, then"
        ):
            pyramid(open_volume(tmp_path / name), levels=2)
    volume = stored(tmp_path / "em.zarr", values_of((8, 8, 8), "float32"))
    with pytest.raises(GeometryError, match="whole volume at level 0, this handle is level 0 of"):
        pyramid(volume.cutout(Box((0, 0, 0), (4, 4, 4))), levels=2)
    with pytest.raises(ConfigError, match="float32, which have no most frequent one"):
        pyramid(volume, levels=2, method="mode")
    with pytest.raises(ConfigError, match="method 'max'; choose 'mean', 'mode' or 'auto'"):
        pyramid(volume, levels=2, method="max")
    made = pyramid(volume, levels=2)
    with pytest.raises(GeometryError, match="this handle is level 1"):
        pyramid(made.at_level(1), levels=2)


def test_a_missing_chunk_is_no_zero(tmp_path: Path, small_blocks) -> None:
    folder = tmp_path / "em.zarr"
    volume = stored(folder, values_of((8, 8, 8)) + np.uint8(1), chunk_shape=(4, 4, 4))
    (folder / "0" / "c" / "1" / "0" / "1").unlink()
    with pytest.raises(BlockFailedError, match=r"chunk \(1, 0, 1\)") as caught:
        pyramid(volume, levels=2)
    assert any("level 1 on block" in note for note in caught.value.__notes__)
    assert open_volume(folder).levels == 1
    made = pyramid(open_volume(folder, missing="zero"), levels=2)
    assert (made.at_level(1).read() == 0).sum() == 8


def test_notes_lie_where_they_are_told_and_go_alone(tmp_path, monkeypatch, small_blocks) -> None:
    volume = stored(tmp_path / "em.zarr", values_of((8, 16, 16)), chunk_shape=(4, 4, 4))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").write_text("kept")
    seen = []

    def look(state) -> None:
        seen.extend(p.name for p in (tmp_path / "runs").iterdir())

    pyramid(volume, factors=STEPS, root=str(tmp_path / "runs"), on_progress=look)
    assert set(seen) == {"mine", "em.zarr.pyramid"}
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["mine"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["em.zarr", "runs"]


def test_removed_voxels_are_computed_again(tmp_path, monkeypatch, small_blocks) -> None:
    folder = tmp_path / "em.zarr"
    volume = stored(folder, values_of((8, 16, 16)), chunk_shape=(4, 4, 4))
    with monkeypatch.context() as patch:
        patch.setitem(multiscale._KERNELS, "mean", failing_at(STEPS[0], first=8))
        with pytest.raises(BlockFailedError, match="no room"):
            pyramid(volume, factors=STEPS)
    shutil.rmtree(folder / "1")
    made = pyramid(volume, factors=STEPS)
    np.testing.assert_array_equal(
        made.at_level(1).read(), mean(volume.read(), STEPS[0], start=(0, 0, 0))
    )


def test_workers_make_the_same_bytes(tmp_path: Path) -> None:
    values = values_of((40, 60, 60), "uint16")
    for name in ("here", "there"):
        stored(tmp_path / name / "em.zarr", values, chunk_shape=(8, 8, 8), shard_shape=(16, 16, 16))
    pyramid(open_volume(tmp_path / "here" / "em.zarr"), levels=3)
    with local_client(2) as client:
        pyramid(open_volume(tmp_path / "there" / "em.zarr"), levels=3, client=client)
    here, there = (without_times(contents(tmp_path / name)) for name in ("here", "there"))
    assert here == there


SCRIPT = """
import sys
from volkit.io import open_volume
from volkit.ops import level_plan
from volkit.ops.multiscale import pyramid
level_plan._INPUT_BYTES = 4096
pyramid(open_volume(sys.argv[1]), factors=[(1, 2, 2), (2, 2, 2)],
        on_progress=lambda state: print(state, flush=True), replace_levels=len(sys.argv) > 2)
"""


@pytest.mark.parametrize("replace", [False, True])
def test_sigkill_at_any_time_leaves_the_same_bytes(
    tmp_path: Path, replace: bool, warm_python
) -> None:
    """Law 5; killed again and again, each time a little later."""
    folder, whole = tmp_path / "em.zarr", tmp_path / "whole" / "em.zarr"
    volume = stored(folder, values_of((16, 64, 64)), chunk_shape=(4, 4, 4), shard_shape=(4, 8, 8))
    if replace:
        pyramid(volume, levels=2, method="mode")
    shutil.copytree(folder, whole)
    arguments = ["replace"] if replace else []

    for line in (2, 6):
        with warm_python.begin("-c", SCRIPT, folder, *arguments) as process:
            process.wait_for(lambda: process.out.read_text().count("\n") >= line)  # noqa: B023
            os.kill(process.pid, signal.SIGKILL)
        assert process.wait().returncode == -signal.SIGKILL
        assert open_volume(folder).levels <= 3
    ended = warm_python("-c", SCRIPT, folder, *arguments)
    said = ended.stdout
    assert ended.returncode == 0, ended.stderr
    assert "level 1" not in said or "resumed=0" not in said
    pyramid(open_volume(whole), factors=[(1, 2, 2), (2, 2, 2)], replace_levels=True)
    assert without_times(contents(folder)) == without_times(contents(whole))
    assert [p.name for p in tmp_path.iterdir()] == ["em.zarr", "whole"]


def test_in_an_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    values = values_of((20, 20, 20))
    with S3Server() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        uri = f"{server.bucket('brain')}/em.zarr?endpoint={server.endpoint}&region=us-east-1"
        volume = stored(uri, values, chunk_shape=(8, 8, 8))
        made = pyramid(volume, factors=STEPS)
        assert made.levels == 3
        for level, expected in enumerate(expected_levels(values, (0, 0, 0), STEPS, mean)):
            np.testing.assert_array_equal(made.at_level(level).read(), expected)
        keys = {r.path.partition("?")[0] for r in server.requests if r.method == "PUT"}
        assert any("/em.zarr.pyramid/level_1.ledger/" in key for key in keys)
        from volkit.io.objects.protocol import open_objects

        left = open_objects(uri.replace("/em.zarr", ""), OpenOptions()).keys()
        assert {key.split("/")[0] for key in left} == {"em.zarr"}


@pytest.mark.parametrize("shards", [None, (8, 8, 8)])
@pytest.mark.parametrize("dtype", ["uint8", "uint64"])
def test_precomputed_layers(tmp_path: Path, small_blocks, shards, dtype) -> None:
    values = values_of((20, 24, 28), dtype)
    uri = f"precomputed://{tmp_path / 'layer'}"
    start, size = (3, 6, 9), (40, 4, 4)
    layout = {"chunk_shape": (4, 4, 4), "shard_shape": shards, "voxel_size_nm": size}
    volume = stored(uri, values, start=start, **layout)
    identity = volume.identity
    made = pyramid(volume, factors=STEPS)
    kernel = mean if dtype == "uint8" else mode
    for level, expected in enumerate(expected_levels(values, start, STEPS, kernel)):
        coarse = made.at_level(level)
        np.testing.assert_array_equal(coarse.read(), expected)
        cloud = cloudvolume.CloudVolume(
            f"precomputed://file://{tmp_path / 'layer'}", mip=level, progress=False
        )
        np.testing.assert_array_equal(np.asarray(cloud[:])[..., 0].T, expected)
        assert tuple(cloud.voxel_offset)[::-1] == coarse.domain.start
    assert made.at_level(2).voxel_size_nm == (80, 24, 8)
    assert made.at_level(2).origin_nm == (20, 10, 2)
    assert open_volume(uri).identity == identity
    assert sorted(p.name for p in tmp_path.iterdir()) == ["layer"]
    before = contents(tmp_path / "layer")
    assert pyramid(open_volume(uri), factors=STEPS).levels == 3
    assert contents(tmp_path / "layer") == before


def test_unfinished_precomputed_levels(tmp_path: Path, small_blocks, monkeypatch) -> None:
    """Interrupted at every second block, of two levels."""
    values = values_of((8, 16, 16))
    volume = stored(f"precomputed://{tmp_path / 'layer'}", values, chunk_shape=(4, 4, 4))
    seen = []

    def failing(values, factor, *, start):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(start)
        return mean(values, factor, start=start)

    attempts, finished = 0, False
    with monkeypatch.context() as patch:
        patch.setitem(multiscale._KERNELS, "mean", failing)
        while not finished and attempts < 20:
            made: list = []
            attempts += 1
            try:
                pyramid(open_volume(volume.uri), factors=STEPS, on_progress=seen.append)
                finished = True
            except KeyboardInterrupt:
                pass
    assert finished
    assert attempts > 4
    assert any(state.resumed > 0 for state in seen)
    for level, expected in enumerate(expected_levels(values, (0, 0, 0), STEPS, mean)):
        np.testing.assert_array_equal(open_volume(volume.uri, level=level).read(), expected)
    with pytest.raises(SourceError, match="made by mean of 1 x 2 x 2; asked for by mode of 1 x 2"):
        pyramid(volume, factors=STEPS, method="mode")
    again = pyramid(volume, factors=(2, 2, 2), levels=2, replace_levels=True)
    assert again.levels == 2
    np.testing.assert_array_equal(
        again.at_level(1).read(), mean(values, (2, 2, 2), start=(0, 0, 0))
    )
    assert sorted(p.name for p in (tmp_path / "layer").iterdir() if p.is_dir()) == [
        "1_1_1",
        "2_2_2",
    ]


def test_what_is_reached_over_http_is_read_only(tmp_path: Path) -> None:
    stored(tmp_path / "em.zarr", values_of((8, 8, 8)))
    stored(f"precomputed://{tmp_path / 'layer'}", values_of((8, 8, 8)))
    with FileServer(tmp_path) as server:
        for uri in (f"{server.url}/em.zarr", f"precomputed://{server.url}/layer"):
            with pytest.raises(SourceError, match=r"read-only.*volkit mirror"):
                pyramid(open_volume(uri), levels=2)


def test_real_segmentation(shared_data: Path, tmp_path: Path) -> None:
    """Pinky40: against the most frequent id as scipy finds it, on a corner."""
    source = open_volume(f"{shared_data / 'em/seunglab/pinky40_seg_crop256.h5'}::seg")
    part = Box.from_shape((64, 128, 128), source.domain.start)
    labels = source.read(part)
    made = pyramid(stored(tmp_path / "labels.zarr", labels, voxel_size_nm=(40, 4, 4)), levels=3)
    assert [made.at_level(n).shape for n in range(3)] == [
        (64, 128, 128),
        (64, 64, 64),
        (64, 32, 32),
    ]
    _, ids = np.unique(labels, return_inverse=True)
    windows = ids.reshape(64, 64, 2, 64, 2).transpose(0, 1, 3, 2, 4).reshape(64, 64, 64, 4)
    expected = stats.mode(windows, axis=-1).mode
    np.testing.assert_array_equal(made.at_level(1).read(), np.unique(labels)[expected])
    kept = set(np.unique(made.at_level(2).read())) - {0}
    assert kept <= set(np.unique(labels))
