"""Chunks that are missing or damaged are named, and never taken for voxels."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cloudvolume import CloudVolume

from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume
from volkit.io.faults import Patience
from volkit.io.registry import forget_opened

SHAPE = (8, 8, 8)
START = (100, 0, -8)
FAST = Patience(first_wait_seconds=0.01, most_wait_seconds=0.02)
SHARD = (4, 8, 8)


def ramp(dtype: str = "uint32") -> np.ndarray:
    values = np.arange(1, 513, dtype=dtype).reshape(SHAPE)
    values[:4, :4, :4] = 0
    return values


def stored(folder: Path, shard: tuple | None = None, encoding: str = "raw") -> Volume:
    volume = create_volume(
        f"precomputed://{folder}/em",
        shape=SHAPE,
        dtype="uint32",
        start=START,
        chunk_shape=(4, 4, 4),
        shard_shape=shard,
        encoding=encoding,
    )
    volume.write(volume.domain, ramp())
    return open_volume(volume.uri, patience=FAST)


def test_zeros_are_stored(tmp_path: Path) -> None:
    np.testing.assert_array_equal(stored(tmp_path).read(), ramp())
    assert len(list((tmp_path / "em/1_1_1").iterdir())) == 8


def test_missing_chunk_is_named(tmp_path: Path) -> None:
    volume = stored(tmp_path)
    (tmp_path / "em/1_1_1/-4-0_0-4_104-108").unlink()
    with pytest.raises(
        MissingChunkError, match=r"chunk \(1, 0, 1\).*\[104:108, 0:4, -4:0\].*missing='zero'"
    ):
        volume.read()
    part = Box((100, 0, -8), (104, 8, 0))
    np.testing.assert_array_equal(volume.read(part), ramp()[:4])
    blank = open_volume(volume.uri, missing="zero").read()
    expected = ramp()
    expected[4:, :4, 4:] = 0
    np.testing.assert_array_equal(blank, expected)


@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_missing_shard_is_named(tmp_path: Path, encoding: str) -> None:
    volume = stored(tmp_path, SHARD, encoding)
    np.testing.assert_array_equal(volume.read(), ramp())  # a chunk of zeros is there
    (tmp_path / "em/1_1_1/1.shard").unlink()
    with pytest.raises(MissingChunkError, match=r"chunk \(1, 0, 0\).*\[104:108, 0:4, -8:-4\]"):
        volume.read()
    part = Box((100, 0, -8), (104, 8, 0))
    np.testing.assert_array_equal(volume.read(part), ramp()[:4])
    blank = open_volume(volume.uri, missing="zero", patience=FAST).read()
    assert not blank[4:].any()


def test_missing_chunk_inside_a_shard(tmp_path: Path) -> None:
    """Tensorstore leaves chunks of zeros out of shards, and gives zeros without an error."""
    import tensorstore as ts

    volume = stored(tmp_path, SHARD)
    spec = {"driver": "neuroglancer_precomputed", "kvstore": f"file://{tmp_path}/em/"}
    for shard in (tmp_path / "em/1_1_1").iterdir():
        shard.unlink()
    ts.open(spec, open=True).result().T[0].write(ramp()).result()
    with pytest.raises(MissingChunkError, match=r"chunk \(0, 0, 0\)"):
        volume.read()
    part = Box((100, 0, -4), (108, 8, 0))
    np.testing.assert_array_equal(volume.read(part), ramp()[..., 4:])
    np.testing.assert_array_equal(open_volume(volume.uri, missing="zero").read(), ramp())


@pytest.mark.parametrize("damage", ["cut", "empty", "long", "noise"])
@pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])
def test_damaged_chunk_is_named(tmp_path: Path, encoding: str, damage: str) -> None:
    volume = stored(tmp_path, encoding=encoding)
    file = tmp_path / "em/1_1_1/-4-0_0-4_104-108"
    whole = file.read_bytes()
    harm(file, damage)
    if damage == "noise" and encoding == "raw":
        assert not np.array_equal(volume.read(), ramp())  # raw bytes have no checksum
        return
    if damage == "long" and encoding == "compressed_segmentation":
        np.testing.assert_array_equal(volume.read(), ramp())  # the rest is not looked at
        return
    with pytest.raises(SourceError, match=r"chunk \(1, 0, 1\).*104:108.*is damaged.*restore it"):
        volume.read()
    file.write_bytes(whole)
    np.testing.assert_array_equal(volume.read(), ramp())


def harm(file: Path, damage: str) -> None:
    whole = file.read_bytes()
    file.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "long": whole + b"1234",
            "noise": b"\xff" * len(whole),
        }[damage]
    )


@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_damaged_shard_is_named(tmp_path: Path, damage: str) -> None:
    volume = stored(tmp_path, SHARD)
    harm(tmp_path / "em/1_1_1/1.shard", damage)
    with pytest.raises(SourceError, match=r"chunk \(1, 0, 0\).*\[104:108, 0:4, -8:-4\]"):
        volume.read()


@pytest.mark.parametrize("place", [0, 20, 40, 60, 120])
def test_flipped_bits_in_a_shard(tmp_path: Path, place: int) -> None:
    volume = stored(tmp_path, SHARD)
    file = tmp_path / "em/1_1_1/1.shard"
    damaged = bytearray(file.read_bytes())
    damaged[place] ^= 16
    file.write_bytes(damaged)
    try:
        found = volume.read()
    except SourceError:
        return
    np.testing.assert_array_equal(found, ramp())  # bits of gzip's header that nothing uses


@pytest.mark.parametrize("suffix", [".gz", ".br"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_damaged_packed_chunk(tmp_path: Path, suffix: str, damage: str) -> None:
    volume = packed(tmp_path, suffix)
    harm(tmp_path / f"em/1_1_1/4-8_0-4_4-8{suffix}", damage)
    with pytest.raises(SourceError, match=r"chunk \(1, 0, 1\).*\[4:8, 0:4, 4:8\], is damaged"):
        volume.read()
    part = Box((0, 0, 0), (4, 8, 8))
    np.testing.assert_array_equal(volume.read(part), ramp()[:4])


def packed(folder: Path, suffix: str) -> Volume:
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint32",
        encoding="compressed_segmentation",
        resolution=(1, 1, 1),
        voxel_offset=(0, 0, 0),
        chunk_size=(4, 4, 4),
        volume_size=SHAPE,
    )
    compress = {".gz": "gzip", ".br": "br"}[suffix]
    layer = CloudVolume(f"file://{folder}/em", info=info, progress=False, compress=compress)
    layer.commit_info()
    layer[:] = ramp().T
    return open_volume(folder / "em", patience=FAST)


def test_missing_packed_chunk(tmp_path: Path) -> None:
    volume = packed(tmp_path, ".gz")
    np.testing.assert_array_equal(volume.read(), ramp())
    (tmp_path / "em/1_1_1/4-8_0-4_4-8.gz").unlink()
    with pytest.raises(MissingChunkError, match=r"chunk \(1, 0, 1\)"):
        volume.read()
    assert not open_volume(volume.uri, missing="zero").read()[4:, :4, 4:].any()
    with pytest.raises(SourceError, match="is read-only: its chunks are compressed files"):
        volume.write(volume.domain, ramp())


def test_torn_object_is_replaced_not_read(tmp_path: Path) -> None:
    volume = stored(tmp_path, SHARD)
    harm(tmp_path / "em/1_1_1/1.shard", "noise")
    volume.write(volume.domain, ramp())
    np.testing.assert_array_equal(volume.read(), ramp())


def test_what_a_killed_writer_left(tmp_path: Path) -> None:
    """Tensorstore writes over its own lock file, and takes what stood behind for voxels."""
    volume = stored(tmp_path, encoding="compressed_segmentation")
    for chunk in list((tmp_path / "em/1_1_1").iterdir()):
        (chunk.parent / f"{chunk.name}.__lock").write_bytes(b"torn" * 1000)
    volume.write(volume.domain, ramp())
    np.testing.assert_array_equal(volume.read(), ramp())
    chunks = [f for f in (tmp_path / "em/1_1_1").iterdir() if not f.name.endswith("__lock")]
    assert len(chunks) == 8
    assert max(f.stat().st_size for f in chunks) < 1000


def test_full_disk(tmp_path: Path) -> None:
    for shard in (None, SHARD):
        folder = tmp_path / str(shard is None)
        folder.mkdir()
        code = (
            "import resource, sys, numpy as np\n"
            "from volkit.io import open_volume\n"
            "from volkit.io.faults import Patience\n"
            "from volkit.errors import SourceError\n"
            "volume = open_volume(sys.argv[1], patience=Patience(first_wait_seconds=0.01))\n"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
            "try:\n"
            "    volume.write(volume.domain, volume.read() + 1)\n"
            "except SourceError as error:\n"
            "    print(error)\n"
        )
        volume = stored(folder, shard)
        found = subprocess.run(
            [sys.executable, "-c", code, volume.uri], check=True, capture_output=True, text=True
        )
        assert "em" in found.stdout
        assert "fail" in found.stdout
        np.testing.assert_array_equal(volume.read(), ramp())
    assert resource.RLIMIT_FSIZE


def test_layer_that_lost_its_info(tmp_path: Path) -> None:
    volume = stored(tmp_path)
    (tmp_path / "em/info").unlink()
    forget_opened()
    with pytest.raises(SourceError, match="holds no info of a precomputed layer; check the addr"):
        volume.read()
