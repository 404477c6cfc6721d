"""Reading in workers of Dask, which may start no processes: intern fails there above 30 Mvoxel."""

from collections.abc import Iterator

import numpy as np
import pytest
from distributed import Client, LocalCluster

from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.io.axes import Array
from volkit.testing.servers.boss import BossServer

_DAEMON = "__import__('multiprocessing').current_process().daemon"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A worker with a nanny, as on a cluster."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


@pytest.fixture(scope="module")
def values() -> Array:
    """61 million voxels, most of them zero."""
    made = np.zeros((61, 1000, 1000), np.uint8)
    made[::7, ::13, ::17] = np.arange(1, 10)[:, None, None]
    return made


@pytest.fixture(scope="module")
def volume(server: BossServer, values: Array) -> Volume:
    server.add("workers", "exp", "em", values, origin=(5, 100, 100))
    return open_volume(f"bossdb://workers/exp/em?host={server.url}")


def test_the_worker_may_start_no_processes(client: Client) -> None:
    assert client.submit(eval, _DAEMON).result() is True


@pytest.mark.parametrize("planes", [31, 61])
def test_large_boxes(client: Client, volume: Volume, values: Array, planes: int) -> None:
    box = Box((5, 100, 100), (5 + planes, 1100, 1100))
    found = client.submit(Volume.read, volume, box).result()
    np.testing.assert_array_equal(found, values[:planes])


def test_a_lazy_array(client: Client, volume: Volume, values: Array) -> None:
    lazy = volume.to_dask((32, 512, 512))
    assert int(client.compute(lazy.astype("int64").sum()).result()) == int(values.sum())
