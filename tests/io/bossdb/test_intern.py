"""The genuine intern and volkit read what the other wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.io import create_volume, open_volume
from volkit.testing.servers.boss import BossServer

intern: Any = pytest.importorskip("intern")
SHAPE = (20, 60, 70)


@pytest.fixture(autouse=True)
def _configured(server: BossServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in server.environment(tmp_path).items():
        monkeypatch.setenv(key, value)


@pytest.mark.filterwarnings("ignore:CloudVolume is not installed:ImportWarning")
def test_intern_reads_what_volkit_wrote(name: str) -> None:
    volume = create_volume(
        f"bossdb://{name}", shape=SHAPE, dtype="uint64", voxel_size_nm=(40, 4, 4)
    )
    values = np.random.default_rng(0).integers(0, 2**60, SHAPE).astype(np.uint64)
    values[:3] = 0
    volume.write(volume.domain, values)
    array = intern.array(f"bossdb://{name}")
    assert (array.shape, array.dtype, array.voxel_size) == (SHAPE, "uint64", (4, 4, 40))
    np.testing.assert_array_equal(array[0:20, 0:60, 0:70], values)


@pytest.mark.filterwarnings("ignore:CloudVolume is not installed:ImportWarning")
def test_volkit_reads_what_intern_wrote(name: str) -> None:
    array = intern.array(
        f"bossdb://{name}",
        create_new=True,
        dtype="uint16",
        extents=SHAPE,
        voxel_size=(40, 4, 4),
        voxel_unit="nanometers",
        description="raw",
    )
    values = np.random.default_rng(1).integers(1, 2**16, SHAPE, np.uint16)
    array[0:20, 0:60, 0:70] = values
    volume = open_volume(f"bossdb://{name}")
    assert (volume.voxel_size_nm, volume.attributes["description"]) == ((40, 4, 4), "raw")
    np.testing.assert_array_equal(volume.read(), values)
