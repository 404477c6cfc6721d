"""Two readers and two writers of local zarr: they agree on every byte, and on what is missing."""

import os
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec

from volkit.errors import MissingChunkError
from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume
from volkit.io.zarr import fast
from volkit.io.zarr.array import ZarrSource
from volkit.testing.strategies import boxes

TYPES = ["?", "|u1", "|i1", "<u2", ">u2", "<i4", ">i8", "<u8", "<f2", "<f4", ">f4", "<f8"]
OLD = [
    None,
    numcodecs.Blosc(),
    numcodecs.Zlib(),
    numcodecs.GZip(),
    numcodecs.Zstd(),
    numcodecs.BZ2(),
]
NEW = [(), (BloscCodec(typesize=1),), (GzipCodec(),), (ZstdCodec(checksum=True),)]


@st.composite
def stored(draw: st.DrawFn) -> dict[str, Any]:
    """What others may have written, as arguments of ``zarr.create_array``."""
    shape = draw(st.tuples(*(st.integers(1, 9) for _ in range(draw(st.sampled_from([3, 4]))))))
    chunks = tuple(draw(st.integers(1, 4)) for _ in shape)
    dtype = draw(st.sampled_from(TYPES))
    fill = draw(st.sampled_from([0, 1])) if dtype != "?" else draw(st.booleans())
    how = {"shape": shape, "dtype": dtype, "chunks": chunks, "fill_value": fill}
    if draw(st.booleans()):
        return how | {
            "zarr_format": 2,
            "order": draw(st.sampled_from("CF")),
            "compressors": draw(st.sampled_from(OLD)),
            "chunk_key_encoding": {"name": "v2", "separator": draw(st.sampled_from("./"))},
        }
    turned = draw(st.permutations(range(len(shape))))
    shards = tuple(draw(st.integers(1, 2)) * n for n in chunks) if draw(st.booleans()) else None
    return how | {
        "zarr_format": 3,
        "filters": [TransposeCodec(order=turned)] if draw(st.booleans()) else (),
        "compressors": draw(st.sampled_from(NEW)),
        "shards": shards,
    }


def readers(volume: Volume) -> tuple[fast.FastArray | None, ZarrSource]:
    source = volume._source
    assert isinstance(source, ZarrSource)
    return source._fast, source


@given(how=stored(), data=st.data())
def test_what_others_wrote(
    tmp_path_factory: pytest.TempPathFactory, how: dict[str, Any], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("a") / "em.zarr"
    array = zarr.create_array(folder, **how)
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    values = rng.integers(0, 3, how["shape"]).astype(how["dtype"])
    written = data.draw(st.integers(0, how["shape"][0]))
    array[:written] = values[:written]  # the rest may not be stored
    volume = open_volume(folder, missing="zero")
    box = data.draw(boxes(volume.domain))
    quick, source = readers(volume)
    slow = source.read_once(box)
    if quick is None:
        raise AssertionError("tensorstore knows all of these")
    for large in (0, fast._LARGE):  # bytes from which on NumPy gives the memory
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast, "_LARGE", large)
            found = quick.read(source.order.stored(box))
        assert found is not None
        assert found.flags.c_contiguous
        assert found.flags.writeable
        np.testing.assert_array_equal(found, slow)
    assert volume.read(box).dtype == np.dtype(how["dtype"]).newbyteorder("=")

    strict = open_volume(folder)
    try:
        expected: Any = readers(strict)[1].read_once(box)
    except MissingChunkError:
        with pytest.raises(MissingChunkError, match="not stored"):
            strict.read(box)
    else:
        np.testing.assert_array_equal(strict.read(box), source.order.read_axes(expected))


@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("shard", [None, (8, 8, 8)])
@pytest.mark.parametrize("dtype", ["?", "u1", "u8", "f4"])
def test_writers_store_the_same_bytes(
    tmp_path: Path, channels: int | None, shard: tuple | None, dtype: str
) -> None:
    files = []
    for name, forked in (("a", []), ("b", [0])):
        volume = create_volume(
            tmp_path / name / "em.zarr",
            shape=(9, 10, 11),
            dtype=dtype,
            channels=channels,
            chunk_shape=(4, 4, 4),
            shard_shape=shard,
        )
        lead = () if channels is None else (channels,)
        values = np.random.default_rng(0).integers(0, 2, (*lead, *volume.shape)).astype(dtype)
        values[..., :4, :4, :4] = 0  # a chunk that holds nothing is stored too
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast, "_inherited", forked)
            volume.write(volume.domain, values)
            np.testing.assert_array_equal(volume.read(), values)
        np.testing.assert_array_equal(volume.read(), values)
        files.append({p.name for p in (tmp_path / name).rglob("*") if p.is_file()})
    assert files[0] == files[1]


def test_a_chunk_missing_from_a_large_box_is_named(tmp_path: Path) -> None:
    shape = (161, 162, 163)  # voxels of one byte, more than a small box may have
    array = zarr.create_array(tmp_path / "em.zarr", shape=shape, dtype="u1", chunks=(90, 90, 90))
    values = np.random.default_rng(0).integers(1, 9, shape, np.uint8)
    array[:90] = values[:90]
    with pytest.raises(MissingChunkError, match=r"chunk \(1, 0, 0\)"):
        open_volume(tmp_path / "em.zarr").read()
    array[90:] = values[90:]
    np.testing.assert_array_equal(open_volume(tmp_path / "em.zarr").read(), values)


def test_codecs_that_tensorstore_does_not_know(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "em.zarr",
        shape=(4, 4, 4),
        dtype="i4",
        zarr_format=2,
        filters=[numcodecs.Delta("i4")],
    )
    array[:] = values = np.arange(64, dtype="i4").reshape(4, 4, 4)
    volume = open_volume(tmp_path / "em.zarr")
    assert readers(volume)[0] is None
    np.testing.assert_array_equal(volume.read(), values)


def test_what_is_written_meanwhile_is_seen(tmp_path: Path) -> None:
    """By another handle, which stands for another process: no reader keeps chunks."""
    layout = {"shape": (8, 8, 8), "dtype": "u1", "chunk_shape": (4, 4, 4), "shard_shape": (8, 8, 8)}
    volume = create_volume(tmp_path / "em.zarr", **layout)
    with pytest.raises(MissingChunkError, match="not stored"):
        volume.read()
    for value in (1, 2, 3):
        zarr.open_array(tmp_path / "em.zarr/0", mode="r+")[:] = value
        assert (volume.read() == value).all()
    (tmp_path / "em.zarr/0/c/0/0/0").unlink()
    with pytest.raises(MissingChunkError, match="not stored"):
        volume.read()


def test_an_array_that_is_replaced_is_opened_again(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(4, 4, 4), dtype="u1")
    volume.write(volume.domain, np.ones((4, 4, 4), "u1"))
    assert volume.read().dtype == "u1"
    create_volume(tmp_path / "em.zarr", shape=(6, 6, 6), dtype="f4", overwrite=True)
    volume.write(Box.from_shape((6, 6, 6)), np.full((6, 6, 6), 0.5, "f4"))
    np.testing.assert_array_equal(volume.read(), np.full((6, 6, 6), 0.5, "f4"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_reads_and_writes(tmp_path: Path) -> None:
    """tensorstore would end it; zarr's own reader takes its place."""
    volume = create_volume(tmp_path / "em.zarr", shape=(4, 4, 4), dtype="u1")
    volume.write(volume.domain, np.ones((4, 4, 4), "u1"))
    child = os.fork()
    if child == 0:
        try:
            volume.write(volume.domain, volume.read() + np.uint8(1))
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (volume.read() == 2).all()


def test_index_at_the_beginning_of_a_shard(tmp_path: Path) -> None:
    codec = ShardingCodec(chunk_shape=(2, 2, 2), index_location="start")
    array = zarr.create(
        store=str(tmp_path / "a.zarr"),
        shape=(4, 4, 4),
        chunks=(4, 4, 4),
        dtype="u2",
        codecs=[codec],
    )
    array[:] = np.arange(64).reshape(4, 4, 4)
    volume = open_volume(tmp_path / "a.zarr")
    assert readers(volume)[0] is not None
    np.testing.assert_array_equal(volume.read(), np.arange(64).reshape(4, 4, 4))
