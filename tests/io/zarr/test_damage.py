"""Chunks that are missing, damaged, or could not be written are never taken for voxels."""

import errno
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Box, Grid
from volkit.io import Volume, create_volume, open_volume
from volkit.io.registry import forget_opened
from volkit.io.zarr import fast
from volkit.io.zarr.store import remove_drafts

SHAPE = (8, 8, 8)
PART = Box((0, 0, 4), (4, 4, 8))


def ramp() -> np.ndarray:
    return np.arange(512, dtype="u1").reshape(SHAPE)


def stored(folder: Path, shard: tuple[int, int, int] | None = None) -> Volume:
    volume = create_volume(
        folder / "em.zarr", shape=SHAPE, dtype="u1", chunk_shape=(4, 4, 4), shard_shape=shard
    )
    volume.write(volume.domain, ramp())
    return volume


def foreign(folder: Path, shard: tuple[int, int, int] | None = None) -> Path:
    """A zarr of others, of which the inner chunk (0, 0, 1) was left out because it is empty."""
    path = folder / "other.zarr"
    array = zarr.create_array(path, shape=SHAPE, dtype="u1", chunks=(4, 4, 4), shards=shard)
    values = ramp() + np.uint8(1)
    values[PART.slices] = 0
    array[:] = values
    return path


def test_missing_chunk_is_named(tmp_path: Path) -> None:
    volume = stored(tmp_path)
    (tmp_path / "em.zarr/0/c/0/0/1").unlink()
    with pytest.raises(MissingChunkError, match=r"chunk \(0, 0, 1\).*\[0:4, 0:4, 4:8\].*run its"):
        volume.read()
    np.testing.assert_array_equal(volume.read(Box((4, 0, 0), SHAPE)), ramp()[4:])
    blank = open_volume(volume.uri, missing="zero").read()
    assert not blank[PART.slices].any()


def test_missing_shard_is_named(tmp_path: Path) -> None:
    volume = stored(tmp_path, (4, 8, 8))
    (tmp_path / "em.zarr/0/c/1/0/0").unlink()
    with pytest.raises(MissingChunkError, match=r"chunk \(1, 0, 0\).*\[4:8, 0:8, 0:8\]"):
        volume.read(Box((5, 5, 5), (6, 6, 6)))
    np.testing.assert_array_equal(volume.read(Box((0, 0, 0), (4, 8, 8))), ramp()[:4])


@pytest.mark.parametrize("shard", [None, (8, 8, 8), (4, 4, 8)])
@pytest.mark.parametrize("box", [Box.from_shape(SHAPE), Box((0, 0, 0), (1, 1, 5)), PART])
def test_missing_inner_chunk_of_others(tmp_path: Path, shard: tuple | None, box: Box) -> None:
    path = foreign(tmp_path, shard)
    with pytest.raises(MissingChunkError, match=r"chunk \(0, 0, 1\).*missing='zero'"):
        open_volume(path).read(box)
    assert not open_volume(path, missing="zero").read(PART).any()
    beside = Box((0, 0, 0), (8, 8, 4))
    np.testing.assert_array_equal(open_volume(path).read(beside), ramp()[..., :4] + np.uint8(1))


def test_missing_inner_chunk_where_the_index_comes_first(tmp_path: Path) -> None:
    codec = zarr.codecs.ShardingCodec(chunk_shape=(4, 4, 4), index_location="start")
    array = zarr.create(
        store=str(tmp_path / "a.zarr"), shape=SHAPE, chunks=SHAPE, dtype="u1", codecs=[codec]
    )
    array[4:] = 1
    volume = open_volume(tmp_path / "a.zarr")
    assert volume.read(Box((4, 0, 0), SHAPE)).all()
    assert volume.read(Box((4, 0, 0), (5, 1, 1))).all()
    with pytest.raises(MissingChunkError, match=r"chunk \(0, 0, 0\).* and 3 more"):
        volume.read()


def test_missing_chunk_in_the_coordinates_of_the_volume(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=SHAPE, dtype="u1", start=(100, 0, 0))
    with pytest.raises(MissingChunkError, match=r"voxels \[100:108, 0:8, 0:8\]"):
        volume.read(Box((101, 0, 0), (102, 1, 1)))


@pytest.mark.parametrize("shard", [None, (8, 8, 8)])
def test_every_flipped_bit_is_seen(tmp_path: Path, shard: tuple | None) -> None:
    volume = stored(tmp_path, shard)
    file = tmp_path / "em.zarr/0/c/0/0/0"
    whole = file.read_bytes()
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        file.write_bytes(damaged)
        try:
            found = volume.read()
        except SourceError:
            continue
        np.testing.assert_array_equal(found, ramp())  # bits that the format leaves unused


@pytest.mark.parametrize("shard", [None, (8, 8, 8)])
def test_damaged_chunk_is_named(tmp_path: Path, shard: tuple | None) -> None:
    volume = stored(tmp_path, shard)
    file = tmp_path / "em.zarr/0/c" / ("1/0/1" if shard is None else "0/0/0")
    damaged = bytearray(file.read_bytes())
    # A shard holds chunks in Morton order: x, y, z; its sixth is (1, 0, 1).
    place = 30 if shard is None else 5 * (len(damaged) - 8 * 16 - 4) // 8 + 30
    damaged[place] ^= 4
    file.write_bytes(damaged)
    with pytest.raises(SourceError, match=r"chunk \(1, 0, 1\).*\[4:8, 0:4, 4:8\].*restore it"):
        volume.read()


def test_truncated_chunk(tmp_path: Path) -> None:
    volume = stored(tmp_path)
    file = tmp_path / "em.zarr/0/c/0/1/0"
    for length in (0, 5, file.stat().st_size - 1):
        file.write_bytes(file.read_bytes()[:length])
        with pytest.raises(SourceError, match=r"chunk \(0, 1, 0\)"):
            volume.read()


def test_a_damaged_object_can_be_written_again(tmp_path: Path) -> None:
    volume = stored(tmp_path, SHAPE)
    (tmp_path / "em.zarr/0/c/0/0/0").write_bytes(b"torn")
    volume.write(volume.domain, ramp())
    np.testing.assert_array_equal(volume.read(), ramp())


@pytest.mark.parametrize("shard", [None, (8, 8, 8)])
def test_empty_chunks_are_stored(tmp_path: Path, shard: tuple | None) -> None:
    volume = create_volume(
        tmp_path / "em.zarr", shape=SHAPE, dtype="u1", chunk_shape=(4, 4, 4), shard_shape=shard
    )
    volume.write(volume.domain, np.zeros(SHAPE, "u1"))
    assert not volume.read().any()


def test_full_disk(tmp_path: Path) -> None:
    """The system refuses to let a file grow: what it does on a full disk, but with EFBIG."""
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 64, 64), dtype="u1", start=(0, 8, 0))
    noise = np.random.default_rng(0).integers(0, 255, volume.shape).astype("u1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(SourceError, match=r"em.zarr: writing voxels \[0:8, 8:72, 0:64\] fail"):
            volume.write(volume.domain, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [
        p for p in (tmp_path / "em.zarr/0").rglob("*") if p.name != "zarr.json" and p.is_file()
    ] == []
    with pytest.raises(MissingChunkError, match="not stored"):
        volume.read()
    volume.write(volume.domain, noise)
    np.testing.assert_array_equal(volume.read(), noise)


def test_no_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = stored(tmp_path)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fast, "_inherited", [0])  # zarr's own writer
    monkeypatch.setattr("zarr.storage._local._put", refuse)
    with pytest.raises(SourceError, match=r"No space left on device; what was written before is k"):
        volume.write(volume.domain, ramp())
    monkeypatch.undo()
    np.testing.assert_array_equal(volume.read(), ramp())


def test_slow_writer_that_is_killed(tmp_path: Path) -> None:
    """A process that dies while it writes leaves a draft, which is not taken for the chunk."""
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 64, 64), dtype="u1")
    code = (
        "import os, pathlib, numpy as np\n"
        "from volkit.io import Volume\n"
        "from volkit.io.zarr import fast\n"
        "fast._inherited.append(0)\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        f"volume = Volume({volume.uri!r})\n"
        "volume.write(volume.domain, np.ones(volume.shape, 'u1'))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with pytest.raises(MissingChunkError, match="not done or was lost"):
        volume.read()
    assert remove_drafts(volume.uri) == 1
    volume.write(volume.domain, np.ones(volume.shape, "u1"))
    assert remove_drafts(volume.uri) == 0
    assert volume.read().all()


def test_fast_writer_that_is_killed(tmp_path: Path) -> None:
    """Whenever it dies, an object is the old one, the new one, or not there."""
    volume = create_volume(
        tmp_path / "em.zarr", shape=(64, 64, 64), dtype="u1", chunk_shape=(8, 8, 8)
    )
    code = (
        "import numpy as np\n"
        "from volkit.io import Volume\n"
        f"volume = Volume({volume.uri!r})\n"
        "for value in range(1, 10**6):\n"
        "    noise = np.random.default_rng(value % 2).integers(1, 9, volume.shape)\n"
        "    volume.write(volume.domain, noise.astype('u1'))\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "em.zarr/0/c/3/3/3").exists() and writer.poll() is None:
        time.sleep(0.01)
    time.sleep(0.05)
    writer.kill()
    assert writer.wait() == -9
    values = [np.random.default_rng(n).integers(1, 9, volume.shape).astype("u1") for n in (0, 1)]
    found = open_volume(volume.uri, missing="zero").read()
    for block in Grid(volume.domain, (8, 8, 8)):
        part = found[block.write.slices]
        assert not part.any() or any((part == v[block.write.slices]).all() for v in values)
    remove_drafts(volume.uri)
    volume.write(volume.domain, values[0])
    np.testing.assert_array_equal(volume.read(), values[0])
    assert remove_drafts(volume.uri) == 0


def test_metadata_damaged(tmp_path: Path) -> None:
    stored(tmp_path)
    forget_opened()
    (tmp_path / "em.zarr/0/zarr.json").write_text('{"zarr_format": 3, "node_ty')
    with pytest.raises(SourceError, match=r"metadata .* (restore|cannot be read)"):
        open_volume(tmp_path / "em.zarr")
    (tmp_path / "em.zarr/zarr.json").write_text("")
    with pytest.raises(SourceError, match=r"metadata cannot be read"):
        open_volume(tmp_path / "em.zarr")


def test_level_listed_but_not_there(tmp_path: Path) -> None:
    stored(tmp_path)
    forget_opened()
    (tmp_path / "em.zarr/0/zarr.json").unlink()
    with pytest.raises(SourceError, match="lists level 0 at '0', which is not there"):
        open_volume(tmp_path / "em.zarr")
