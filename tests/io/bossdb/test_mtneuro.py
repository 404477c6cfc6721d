"""The cutouts of MTNeuro, by the coordinates of its published task files."""

import numpy as np
import pytest

from volkit.geometry import Box
from volkit.io import open_volume
from volkit.io.axes import Array
from volkit.io.faults import Patience
from volkit.io.sources import CacheOptions
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy

# Ranges of x and y of the four regions, half-open, as all six task files have them.
REGIONS = {
    "cor": ((4600, 4856), (900, 1156)),
    "stri": ((3700, 3956), (500, 756)),
    "vp": ((3063, 3319), (850, 1106)),
    "zi": ((1543, 1799), (650, 906)),
}
Z = (110, 120)  # of the training range, which begins there
AROUND = Box((104, 480, 1520), (124, 1180, 4880))  # what the channel here holds: all four


def part(region: str) -> Box:
    (x0, x1), (y0, y1) = REGIONS[region]
    return Box((Z[0], y0, x0), (Z[1], y1, x1))


def tissue(box: Box) -> Array:
    """Make voxels that say where they are: no region is like another, or its own mirror."""
    z, y, x = np.ogrid[tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True))]
    return ((7 * z + 3 * y + x) % 251).astype(np.uint8)


@pytest.fixture(scope="module")
def image(server: BossServer) -> str:
    server.add(
        "mtneuro",
        "prasad2020",
        "image",
        tissue(AROUND),
        origin=AROUND.start,
        voxel_size_nm=(1.17,) * 3,
        unit="micrometers",
    )
    return "bossdb://mtneuro/prasad2020/image"


@pytest.mark.parametrize("region", REGIONS)
def test_images(server: BossServer, image: str, region: str, patience: Patience) -> None:
    with FaultProxy(server.url, seed=5) as proxy:
        proxy.inject(("503", "truncate", "reset"), share=0.2)
        volume = open_volume(f"{image}?host={proxy.url}", patience=patience, cache=CacheOptions())
        found = volume.read(part(region))
    np.testing.assert_array_equal(found, tissue(part(region)))
    (x0, _), (y0, _) = REGIONS[region]
    assert found.shape == (10, 256, 256)
    assert found[0, 0, 0] == (7 * 110 + 3 * y0 + x0) % 251
    assert volume.voxel_size_nm == pytest.approx((1170, 1170, 1170))


@pytest.mark.parametrize("region", REGIONS)
def test_labels(server: BossServer, region: str) -> None:
    around = part(region).grow((0, 30, 30))
    values = (tissue(around) % 4).astype(np.uint64)
    name = f"mtneuro/analysis_{region}/pixel_labels"
    server.add(*name.split("/"), values, origin=around.start)
    volume = open_volume(f"bossdb://{name}?host={server.url}")
    assert volume.dtype == np.uint64
    np.testing.assert_array_equal(volume.read(part(region)), tissue(part(region)) % 4)


def test_by_micrometres(server: BossServer, image: str) -> None:
    volume = open_volume(f"{image}?host={server.url}")
    z, y, x = (1.17 * (v - 0.5) for v in (115, 1028, 4728))
    depth, width = 1.17 * 10, 1.17 * 256
    cutout = volume.cutout(center_um=(z, y, x), size_um=(depth, width, width))
    assert cutout.domain == part("cor")
