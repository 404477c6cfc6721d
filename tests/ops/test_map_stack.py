"""What a recursive network sees: the image, scaled or not, and the map at its levels."""

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.ops.map_stack import map_stack
from volkit.ops.network import Network

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from volkit.models.checkpoint import save_checkpoint  # noqa: E402
from volkit.models.em_networks import VD2D  # noqa: E402
from volkit.models.ensemble import Ensemble  # noqa: E402

IMAGE = np.random.default_rng(0).integers(0, 256, (2, 5, 6), dtype=np.uint8)
PROB = np.random.default_rng(1).random((2, 2, 5, 6), np.float32)
GRID = Grid(open_volume(IMAGE).domain, (1, 3, 6))


def card(folder, **scaling):
    return save_checkpoint(
        VD2D().state_dict(),
        folder / "vd2d.yaml",
        {
            "architecture": "vd2d",
            "channels": [1, 2],
            "window": [1, 124, 124],
            "margin": [0, 54, 54],
            "output": "valid",
            "stride": [1, 16, 16],
            "scaling": scaling,
        },
    )


def stacked(image=IMAGE, **options):
    found = map_stack(open_volume(image), open_volume(PROB), grid=GRID, **options)
    return found.compute(scheduler="sync")


def test_the_image_is_as_it_is_and_the_map_behind_it() -> None:
    found = stacked(channel=1, levels=(95, 161))
    np.testing.assert_array_equal(found[0], IMAGE)
    np.testing.assert_allclose(found[1], 95 + 66 * PROB[1], rtol=1e-6)
    np.testing.assert_array_equal(stacked(IMAGE[None])[1], PROB[0])


def test_the_image_is_scaled_as_the_first_network_does(tmp_path) -> None:
    network = Network.of(card(tmp_path, kind="fixed", shift=128, divide=33))
    np.testing.assert_allclose(stacked(network=network)[0], (IMAGE - 128.0) / 33, rtol=1e-6)
    network = Network.of(card(tmp_path, kind="moments"))
    expected = (IMAGE - IMAGE.mean()) / IMAGE.std()
    np.testing.assert_allclose(stacked(network=network)[0], expected, rtol=1e-5, atol=1e-6)


def test_an_ensemble_scales_in_several_ways(tmp_path) -> None:
    several = Network.of(Ensemble((card(tmp_path, kind="moments"),) * 2))
    with pytest.raises(ConfigError, match="the first network is an ensemble"):
        stacked(network=several)


def test_an_image_of_several_channels_is_refused() -> None:
    with pytest.raises(ContractError, match="the image has 2 channels"):
        stacked(np.stack([IMAGE, IMAGE]))
