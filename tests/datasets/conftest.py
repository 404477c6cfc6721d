"""Synthetic tissue on a loopback Boss server, with coordinates like those of the benchmark."""

from collections.abc import Iterator

import numpy as np
import pytest

from volkit.geometry import Box
from volkit.io.registry import forget_opened
from volkit.testing.servers.boss import BossServer
from volkit.testing.tissue import TissueSpecimen

SHAPE = (40, 24, 96)  # each region takes 24 columns
ORIGIN = (100, 500, 1500)
TISSUE = TissueSpecimen(SHAPE, seed=4)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BossServer]:
    whole = Box.from_shape(SHAPE)
    channels = {
        ("prasad2020", "image"): TISSUE.image(whole),
        ("prasad_analysis", "pixel_labels"): TISSUE.labels(whole).astype(np.uint64),
        ("prasad_analysis", "roi_labels"): TISSUE.regions(whole).astype(np.uint64),
    }
    with BossServer() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for (experiment, channel), voxels in channels.items():
            running.add(
                "prasad",
                experiment,
                channel,
                voxels,
                origin=ORIGIN,
                voxel_size_nm=(1.17,) * 3,
                unit="micrometers",
            )
        yield running
    forget_opened()


@pytest.fixture
def keys(server: BossServer) -> dict:
    """A task file in the schema of several regions, of tiles of 16 x 16."""
    x0, y0 = ORIGIN[2], ORIGIN[1]
    ranges = {
        f"xrange_{name}": [x0 + 24 * k + 4, x0 + 24 * k + 20]
        for k, name in enumerate(("cor", "stri", "vp", "zi"))
    }
    ranges |= {f"yrange_{name}": [y0 + 4, y0 + 20] for name in ("cor", "stri", "vp", "zi")}
    return {
        "image_chan": f"bossdb://prasad/prasad2020/image?host={server.url}",
        "annotation_chan": f"bossdb://prasad/prasad_analysis/pixel_labels?host={server.url}",
        **ranges,
        "z_train": [100, 121],
        "z_val": [121, 126],
        "z_test": [130, 138],
        "zrange": [100, 138],
        "tile_size": [16, 16],
        "volume_z": 1,
        "task_type": "noZI",
        "combine_ax_and_bg": 0,
        "noZI": 1,
    }
