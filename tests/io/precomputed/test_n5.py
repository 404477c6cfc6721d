"""N5 arrays and groups: their axes, levels and voxel sizes, missing and damaged blocks."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore as ts

from volkit.errors import MissingChunkError, SourceError
from volkit.io import Volume, open_volume
from volkit.io.faults import Patience
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.s3 import S3Server

FAST = Patience(attempts=12, first_wait_seconds=0.005, most_wait_seconds=0.02, silence_seconds=5)


def write(folder: Path, values: np.ndarray, *, place: Any = None, **said: Any) -> Path:
    """Write ``values``, axes (z, y, x) or (c, z, y, x), as N5 of x, y, z (, c)."""
    spec = {
        "driver": "n5",
        "kvstore": place or f"file://{folder}/",
        "metadata": {
            "dimensions": values.T.shape,
            "dataType": values.dtype.name,
            "blockSize": [8, 8, 4, 1][: values.ndim],
            "compression": {"type": "gzip"},
            **said,
        },
    }
    ts.open(spec, create=True).result().write(values.T).result()
    return folder


def note(folder: Path, **said: Any) -> None:
    file = folder / "attributes.json"
    folder.mkdir(parents=True, exist_ok=True)
    there = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**there, **said}))


def ramp(shape: tuple[int, ...] = (9, 14, 17), dtype: str = "uint16") -> np.ndarray:
    return (np.arange(np.prod(shape)) + 1).astype(dtype).reshape(shape)


@pytest.mark.parametrize("compression", ["raw", "gzip", "bzip2", "xz", "blosc", "zstd"])
@pytest.mark.parametrize("dtype", ["uint8", "uint64", "float32", "int16"])
def test_types_and_compressions(tmp_path: Path, dtype: str, compression: str) -> None:
    values = ramp(dtype=dtype)
    blosc = {"cname": "lz4", "clevel": 5, "shuffle": 1} if compression == "blosc" else {}
    write(tmp_path / "em.n5", values, compression={"type": compression, **blosc})
    volume = open_volume(tmp_path / "em.n5")
    np.testing.assert_array_equal(volume.read(), values)
    assert volume.dtype == dtype
    assert volume.chunk_shape == (4, 8, 8)


def test_bytes_written_by_hand(tmp_path: Path) -> None:
    """Blocks are big-endian, x fastest, with a header; folders are x/y/z."""
    note(
        tmp_path / "em.n5",
        dimensions=[3, 2, 1],
        blockSize=[3, 2, 1],
        dataType="uint16",
        compression={"type": "raw"},
        n5="2.0.0",
    )
    (tmp_path / "em.n5/0/0").mkdir(parents=True)
    header = struct.pack(">HHIII", 0, 3, 3, 2, 1)
    data = struct.pack(">6H", 1, 2, 3, 4, 5, 6)
    (tmp_path / "em.n5/0/0/0").write_bytes(header + data)
    assert open_volume(tmp_path / "em.n5").read().tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_axes(tmp_path: Path) -> None:
    values = ramp((2, 9, 14, 17))
    volume = open_volume(write(tmp_path / "c.n5", values))
    assert volume.channels == 2
    np.testing.assert_array_equal(volume.read(), values)
    flat = ramp()
    write(tmp_path / "t.n5", flat[None, :, None], blockSize=[8, 8, 1, 4, 1])
    movie = open_volume(tmp_path / "t.n5")  # x, y, c, z, t
    np.testing.assert_array_equal(movie.read(), flat)
    write(tmp_path / "z.n5", flat.T)
    turned = open_volume(tmp_path / "z.n5", axes="zyx")
    np.testing.assert_array_equal(turned.read(), flat)
    note(tmp_path / "z.n5", axes=["z", "y", "x"])
    np.testing.assert_array_equal(open_volume(tmp_path / "z.n5").read(), flat)
    with pytest.raises(SourceError, match="says that its axes are z, y, x"):
        open_volume(tmp_path / "z.n5", axes="xyz")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (1, 1, 1)),
        ({"resolution": [4, 4, 40]}, (40, 4, 4)),
        ({"pixelResolution": [4.5, 4.5, 40]}, (40, 4.5, 4.5)),
        ({"pixelResolution": {"dimensions": [4, 4, 40], "unit": "nm"}}, (40, 4, 4)),
        ({"pixelResolution": {"dimensions": [0.5, 0.5, 2], "unit": "um"}}, (2000, 500, 500)),
        ({"resolution": [0.5, 0.5, 2], "units": ["um", "um", "um"]}, (2000, 500, 500)),
        ({"pixelResolution": {"dimensions": [1, 1, 1], "unit": "pixel"}}, (1, 1, 1)),
        (
            {"transform": {"axes": ["z", "y", "x"], "scale": [40, 4, 4], "translate": [8, 0, 0]}},
            (40, 4, 4),
        ),
    ],
)
def test_voxel_size(tmp_path: Path, said: dict, expected: tuple) -> None:
    write(tmp_path / "em.n5", ramp())
    note(tmp_path / "em.n5", **said)
    volume = open_volume(tmp_path / "em.n5")
    assert volume.voxel_size_nm == expected
    assert volume.origin_nm == ((8, 0, 0) if "transform" in said else (0, 0, 0))
    assert open_volume(tmp_path / "em.n5", voxel_size_nm=(3, 2, 2)).voxel_size_nm == (3, 2, 2)


def levels(folder: Path, inside: str = "") -> list[np.ndarray]:
    values = [ramp((8, 16, 32)), ramp((8, 8, 16)), ramp((4, 4, 8))]
    for n, level in enumerate(values):
        write(folder / inside / f"s{n}", level)
    return values


def check_levels(volume: Volume, values: list[np.ndarray]) -> None:
    assert volume.levels == 3
    sizes = [volume.at_level(n).voxel_size_nm for n in range(3)]
    assert sizes == [(40, 4, 4), (40, 8, 8), (80, 16, 16)]
    assert [volume.at_level(n).origin_nm for n in range(3)] == [(0, 0, 0), (0, 2, 2), (20, 6, 6)]
    for n, expected in enumerate(values):
        np.testing.assert_array_equal(volume.at_level(n).read(), expected)


@pytest.mark.parametrize("key", ["downsamplingFactors", "scales"])
def test_group_of_levels(tmp_path: Path, key: str) -> None:
    values = levels(tmp_path / "em.n5")
    factors = [[1, 1, 1], [2, 2, 1], [4, 4, 2]]
    note(
        tmp_path / "em.n5",
        pixelResolution={"dimensions": [4, 4, 40], "unit": "nm"},
        **{key: factors},
    )
    check_levels(open_volume(tmp_path / "em.n5"), values)


def test_factors_of_each_level(tmp_path: Path) -> None:
    values = levels(tmp_path / "em.n5", "volumes/raw")
    group = tmp_path / "em.n5/volumes/raw"
    note(group, resolution=[4, 4, 40])
    note(group / "s1", downsamplingFactors=[2, 2, 1])
    note(group / "s2", downsamplingFactors=[4, 4, 2])
    check_levels(open_volume(group), values)
    assert open_volume(group / "s1").levels == 1


def test_transforms_of_each_level(tmp_path: Path) -> None:
    """As OpenOrganelle says it; the translation is the centre of the first voxel."""
    values = levels(tmp_path / "em.n5")
    for n, (size, shift) in enumerate(
        [([40, 4, 4], [0, 0, 0]), ([40, 8, 8], [0, 2, 2]), ([80, 16, 16], [20, 6, 6])]
    ):
        said = {"axes": ["z", "y", "x"], "units": ["nm"] * 3, "scale": size, "translate": shift}
        note(tmp_path / f"em.n5/s{n}", transform=said)
    check_levels(open_volume(tmp_path / "em.n5"), values)


def test_resolutions_of_each_level(tmp_path: Path) -> None:
    values = levels(tmp_path / "em.n5")
    for n, size in enumerate([[4, 4, 40], [8, 8, 40], [16, 16, 80]]):
        note(tmp_path / f"em.n5/s{n}", resolution=size)
    check_levels(open_volume(tmp_path / "em.n5"), values)


def test_bigdataviewer(tmp_path: Path) -> None:
    root = tmp_path / "em.n5"
    values = levels(root, "setup0/timepoint0")
    note(root, n5="2.5.0")
    note(root / "setup0", downsamplingFactors=[[1, 1, 1], [2, 2, 1], [4, 4, 2]])
    note(root / "setup0/timepoint0", resolution=[4, 4, 40])
    check_levels(open_volume(root), values)
    np.testing.assert_array_equal(open_volume(root / "setup0").at_level(2).read(), values[2])


def test_level_that_is_not_there(tmp_path: Path) -> None:
    levels(tmp_path / "em.n5")
    with pytest.raises(SourceError, match="nothing says how much coarser s1 is"):
        open_volume(tmp_path / "em.n5")
    note(tmp_path / "em.n5", scales=[[1, 1, 1], [2, 2, 1], [4, 4, 2]])
    with pytest.raises(SourceError, match="has no level 3"):
        open_volume(tmp_path / "em.n5", level=3)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"blockSize": [8, 8]}, "does not fit dimensions"),
        ({"dataType": "complex64"}, "holds complex64; a volume holds bool, integers or floats"),
        ({"dataType": "rgb"}, "are not understood"),
        ({"dimensions": [3, 3], "blockSize": [3, 3]}, "has 2 axes"),
        ({"resolution": [0, 1, 1]}, "expected positive numbers, x, y and z"),
        ({"resolution": [4, 4, 40], "units": "furlong"}, "known units are"),
        ({"transform": {"axes": ["z"]}}, "its transform .* is not understood"),
        ({"axes": ["x", "y", "q"]}, "has axes x, y, q"),
    ],
)
def test_attributes_that_are_wrong(tmp_path: Path, said: dict, message: str) -> None:
    write(tmp_path / "em.n5", ramp())
    note(tmp_path / "em.n5", **said)
    with pytest.raises(SourceError, match=message):
        open_volume(tmp_path / "em.n5")


def test_no_n5(tmp_path: Path) -> None:
    (tmp_path / "em.n5").mkdir()
    with pytest.raises(SourceError, match="is neither an N5 array nor a group with levels"):
        open_volume(tmp_path / "em.n5")
    for data, message in (("{", "is no JSON"), ("[]", "holds no object")):
        (tmp_path / "em.n5/attributes.json").write_text(data)
        with pytest.raises(SourceError, match=message):
            open_volume(tmp_path / "em.n5")


def test_missing_block(tmp_path: Path) -> None:
    path = write(tmp_path / "em.n5", ramp())
    (path / "1/0/2").unlink()
    volume = open_volume(path, patience=FAST)
    with pytest.raises(
        MissingChunkError, match=r"chunk \(2, 0, 1\).*\[8:9, 0:8, 8:16\].*missing='zero'"
    ):
        volume.read()
    zero = open_volume(path, missing="zero").read()
    assert not zero[8:, :8, 8:16].any()
    np.testing.assert_array_equal(zero[:8], ramp()[:8])


@pytest.mark.parametrize("compression", ["raw", "gzip"])
def test_damaged_block(tmp_path: Path, compression: str) -> None:
    path = write(tmp_path / "em.n5", ramp(), compression={"type": compression})
    file = path / "1/0/2"
    file.write_bytes(file.read_bytes()[:30])
    with pytest.raises(SourceError, match=r"chunk \(2, 0, 1\).*is damaged"):
        open_volume(path, patience=FAST).read()


def test_http_and_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = levels(tmp_path / "em.n5", "raw")
    note(tmp_path / "em.n5/raw", scales=[[1, 1, 1], [2, 2, 1], [4, 4, 2]], resolution=[4, 4, 40])
    with FileServer(tmp_path) as files, FaultProxy(files.url, seed=1) as proxy:
        volume = open_volume(f"{proxy.url}/em.n5/raw", patience=FAST)
        check_levels(volume, values)
        proxy.inject(("503", "reset", "truncate"), share=0.2)
        check_levels(volume, values)
    with S3Server() as s3:
        s3.bucket("levels")
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        kept: dict[str, Any] = {
            "driver": "s3",
            "bucket": "levels",
            "path": "em.n5/",
            "endpoint": s3.endpoint,
            "aws_region": "us-east-1",
        }
        write(tmp_path, ramp(), place=kept)
        volume = open_volume(f"s3://levels/em.n5?endpoint={s3.endpoint}")
        np.testing.assert_array_equal(volume.read(), ramp())
