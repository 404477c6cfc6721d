"""Layers of cloud-volume and tensorstore are read here, and layers of volkit there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore as ts
from cloudvolume import CloudVolume

from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume

SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 2,
    "minishard_bits": 1,
    "shard_bits": 3,
    "hash": "identity",
    "data_encoding": "gzip",
    "minishard_index_encoding": "gzip",
}
OFFSET, SIZE, CHUNK = (-3, 7, 12), (33, 41, 17), (16, 16, 8)  # x, y, z; edges of one voxel
SIZE_NM = (4, 4, 40)


def voxels(dtype: str, channels: int = 1) -> np.ndarray:
    """Voxels, x, y, z, channel; labels beyond 2^40 and all zeros in one chunk."""
    rng = np.random.default_rng(3)
    values = rng.integers(1, 200, (*SIZE, channels)).astype(dtype)
    if dtype == "uint64":
        values = values // 40 + np.uint64(2**41 + 1)
    values[:16, :16, :8] = 0
    return values


def smooth() -> np.ndarray:
    x, y, z = np.indices(SIZE)
    return (120 + 60 * np.sin(x / 9) * np.cos(y / 11) + z).astype("u1")[..., None]


def layer_info(dtype: str, encoding: str, channels: int = 1) -> dict[str, Any]:
    kind = "segmentation" if dtype in ("uint32", "uint64") else "image"
    return CloudVolume.create_new_info(
        num_channels=channels,
        layer_type=kind,
        data_type=dtype,
        encoding=encoding,
        resolution=SIZE_NM,
        voxel_offset=OFFSET,
        chunk_size=CHUNK,
        volume_size=SIZE,
    )


def by_cloud_volume(
    folder: Path, dtype: str, encoding: str, values: np.ndarray, compress: Any
) -> Path:
    info = layer_info(dtype, encoding, values.shape[3])
    layer = CloudVolume(f"file://{folder}/em", info=info, progress=False, compress=compress)
    layer.commit_info()
    layer[:] = values
    return folder / "em"


def by_tensorstore(
    folder: Path, dtype: str, encoding: str, values: np.ndarray, shards: bool
) -> Path:
    info = layer_info(dtype, encoding, values.shape[3])
    scale = info["scales"][0]
    scale["chunk_size"] = scale.pop("chunk_sizes")[0]
    if encoding == "png":
        scale["png_level"] = 6  # what some versions choose themselves they do not read
    if shards:
        scale["sharding"] = SHARDING
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{folder}/em/",
        "multiscale_metadata": {k: info[k] for k in ("type", "data_type", "num_channels")},
        "scale_metadata": scale,
    }
    ts.open(spec, create=True).result().write(values).result()
    return folder / "em"


def check(volume: Volume, values: np.ndarray, tolerance: int = 0) -> None:
    expected = values.T if values.shape[3] > 1 else values.T[0]
    assert volume.domain == Box.from_shape(SIZE[::-1], OFFSET[::-1])
    assert volume.voxel_size_nm == SIZE_NM[::-1]
    assert volume.origin_nm == (0, 0, 0)
    for box in (volume.domain, Box((13, 8, -1), (28, 48, 29)), Box((28, 47, 29), (29, 48, 30))):
        found = volume.read(box)
        part = expected[(..., *box.relative_to(volume.domain).slices)]
        np.testing.assert_allclose(found.astype("f8"), part.astype("f8"), atol=tolerance)
        if not tolerance:
            np.testing.assert_array_equal(found, part)


@pytest.mark.parametrize("compress", [None, "gzip", "br"])
@pytest.mark.parametrize(
    ("dtype", "encoding", "channels"),
    [
        ("uint8", "raw", 1),
        ("uint16", "raw", 2),
        ("float32", "raw", 1),
        ("uint32", "compressed_segmentation", 1),
        ("uint64", "compressed_segmentation", 1),
        ("uint64", "raw", 1),
        ("int64", "raw", 1),  # types and encodings below are beyond tensorstore
        ("float64", "raw", 3),
        ("uint64", "compresso", 1),
        ("uint64", "crackle", 1),
        ("float32", "fpzip", 1),
    ],
)
def test_layers_of_cloud_volume(
    tmp_path: Path, dtype: str, encoding: str, channels: int, compress: str | None
) -> None:
    if encoding in ("fpzip", "compresso", "crackle"):
        pytest.importorskip(encoding)
    values = voxels(dtype, channels)
    path = by_cloud_volume(tmp_path, dtype, encoding, values, compress)
    check(open_volume(path), values)


def test_jpeg_of_cloud_volume(tmp_path: Path) -> None:
    path = by_cloud_volume(tmp_path, "uint8", "jpeg", smooth(), None)
    check(open_volume(path), smooth(), tolerance=12)


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize(
    ("dtype", "encoding", "channels"),
    [
        ("uint8", "raw", 1),
        ("int16", "raw", 2),
        ("uint64", "compressed_segmentation", 1),
        ("uint16", "png", 1),
    ],
)
def test_layers_of_tensorstore(
    tmp_path: Path, dtype: str, encoding: str, channels: int, shards: bool
) -> None:
    values = voxels(dtype, channels)
    path = by_tensorstore(tmp_path, dtype, encoding, values, shards)
    check(open_volume(path, missing="zero"), values)  # it leaves chunks of zeros out


def test_shards_of_cloud_volume(tmp_path: Path) -> None:
    info = layer_info("uint64", "compressed_segmentation")
    info["scales"][0]["sharding"] = SHARDING
    layer = CloudVolume(f"file://{tmp_path}/em", info=info, progress=False)
    layer.commit_info()
    values = voxels("uint64")
    for x in range(0, 33, 32):  # 2 x 2 x 2 chunks of a grid of 3 x 3 x 3
        for y in range(0, 41, 32):
            for z in range(0, 17, 16):
                part = values[x : x + 32, y : y + 32, z : z + 16]
                at = np.add((x, y, z), OFFSET)
                name, shard = layer.image.make_shard(
                    part, bbox=_bbox(at, at + np.array(part.shape[:3]))
                )
                file = tmp_path / "em/4_4_40" / name
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(shard)
    volume = open_volume(tmp_path / "em")
    assert volume.write_shape == (16, 32, 32)
    check(volume, values)


def _bbox(start: np.ndarray, stop: np.ndarray) -> Any:
    from cloudvolume import Bbox

    return Bbox(start, stop)


def created(folder: Path, values: np.ndarray, **layout: Any) -> Volume:
    volume = create_volume(
        f"precomputed://{folder}/em",
        shape=SIZE[::-1],
        dtype=values.dtype,
        channels=values.shape[3] if values.shape[3] > 1 else None,
        voxel_size_nm=SIZE_NM[::-1],
        start=OFFSET[::-1],
        **{"chunk_shape": CHUNK[::-1], **layout},
    )
    assert volume.write_shape == layout.get("shard_shape", CHUNK[::-1])
    volume.write(volume.domain, values.T if values.shape[3] > 1 else values.T[0])
    return volume


@pytest.mark.parametrize("shard", [None, (8, 16, 32), (8, 32, 32), (16, 32, 32), (32, 64, 64)])
@pytest.mark.parametrize(
    ("dtype", "channels", "encoding"),
    [
        ("uint8", 1, None),
        ("int8", 2, None),
        ("float32", 1, None),
        ("uint32", 1, None),
        ("uint64", 1, None),
        ("uint64", 1, "raw"),
        ("uint8", 3, "png"),
    ],
)
def test_layers_of_volkit(
    tmp_path: Path, dtype: str, channels: int, encoding: str | None, shard: tuple | None
) -> None:
    values = voxels(dtype, channels)
    layout = {"encoding": encoding} | ({} if shard is None else {"shard_shape": shard})
    volume = created(tmp_path, values, **layout)
    check(volume, values)
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{tmp_path}/em/",
        "fill_missing_data_reads": False,
    }
    store = ts.open(spec, open=True).result()
    assert store.domain.origin[:3] == OFFSET
    np.testing.assert_array_equal(store.read().result(), values)
    if encoding != "png":  # for which cloud-volume needs another package
        layer = CloudVolume(f"file://{tmp_path}/em", progress=False, fill_missing=False)
        np.testing.assert_array_equal(np.asarray(layer[:]), values)
        assert layer.provenance.processing[0]["by"].startswith("volkit")


def test_jpeg_of_volkit(tmp_path: Path) -> None:
    created(tmp_path, smooth(), encoding="jpeg")
    layer = CloudVolume(f"file://{tmp_path}/em", progress=False)
    np.testing.assert_allclose(np.asarray(layer[:]).astype(int), smooth(), atol=12)


def test_one_plane(tmp_path: Path) -> None:
    plane = np.arange(64 * 70, dtype="u2").reshape(1, 64, 70)
    volume = create_volume(f"precomputed://{tmp_path}/em", shape=plane.shape, dtype="u2")
    volume.write(volume.domain, plane)
    np.testing.assert_array_equal(volume.read(), plane)
    layer = CloudVolume(f"file://{tmp_path}/em", progress=False)
    np.testing.assert_array_equal(np.asarray(layer[:]).T[0], plane)


def test_other_programs_keep_what_volkit_states(tmp_path: Path) -> None:
    created(tmp_path, voxels("uint8"))
    layer = CloudVolume(f"file://{tmp_path}/em", progress=False)
    layer.commit_info()
    stated = json.loads((tmp_path / "em/info").read_bytes())
    assert stated["volkit"]["origin_nm"] == [0, 0, 0]


def test_no_folder_in_the_home(tmp_path: Path) -> None:
    values = voxels("int64")
    by_cloud_volume(tmp_path, "int64", "raw", values, "gzip")
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import os; from volkit.io import open_volume; "
        f"print(open_volume({str(tmp_path / 'em')!r}).read().sum(), "
        "'CLOUD_VOLUME_DIR' in os.environ)"
    )
    kept = {k: v for k, v in os.environ.items() if k != "CLOUD_VOLUME_DIR"}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == [str(values.sum()), "False"]
    assert list(home.iterdir()) == []
