"""A published network of electron microscopy, from its card to a volume."""

import dask.array as da
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from volkit.errors import ConfigError  # noqa: E402
from volkit.geometry import Box  # noqa: E402
from volkit.models.checkpoint import save_checkpoint  # noqa: E402
from volkit.models.dense_window import larger_window  # noqa: E402
from volkit.models.em_networks import VD2D  # noqa: E402
from volkit.ops.free_windows import window_advice  # noqa: E402
from volkit.ops.inference import InferenceOptions, infer, lattice  # noqa: E402
from volkit.ops.network import Network  # noqa: E402

CARD = {
    "architecture": "vd2d",
    "channels": [1, 2],
    "window": [1, 124, 124],
    "margin": [0, 54, 54],
    "output": "valid",
    "stride": [1, 16, 16],
    "scaling": {"kind": "fixed", "shift": 128, "divide": 64},
    "activation": "softmax",
    "classes": ["interior", "boundary"],
}


@pytest.fixture(scope="module")
def vd2d():
    torch.manual_seed(3)
    return VD2D().eval()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(4).integers(0, 256, (2, 4, 19), dtype=np.uint8)


@pytest.fixture(scope="module")
def patchwise(vd2d, image):
    """Answers of the strided network, for the field of view of every voxel alone."""
    scaled = (image.astype(np.float32) - 128) / 64
    padded = np.pad(scaled, ((0, 0), (54, 54), (54, 54)), mode="reflect")
    z, y, x = image.shape
    answers = np.empty((2, z, y, x), np.float32)
    with torch.inference_mode():
        for k, j in np.ndindex(z, y):
            patches = np.stack([padded[k, j : j + 109, i : i + 109] for i in range(x)])
            logits = vd2d(torch.from_numpy(patches[:, None, None]))
            answers[:, k, j] = logits.softmax(1)[:, :, 0, 0, 0].numpy().T
    return answers


@pytest.fixture
def checkpoint(vd2d, tmp_path):
    return save_checkpoint(vd2d.state_dict(), tmp_path / "vd2d.yaml", CARD)


@pytest.mark.parametrize("window", [None, (1, 130, 128)])
def test_a_volume_is_answered_as_patch_by_patch(checkpoint, image, patchwise, window) -> None:
    options = InferenceOptions(device="cpu", window=window, padding="reflect")
    answer = infer(da.from_array(image, chunks=(1, 4, 10)), checkpoint, options=options)
    assert patchwise.std() > 0.01
    np.testing.assert_allclose(answer.compute(), patchwise, rtol=0, atol=1e-5)


def test_larger_windows_give_the_same_answers(checkpoint, image) -> None:
    """Whatever the windows, and whether they overlap."""
    larger = larger_window(checkpoint, 20_000_000)
    assert larger[0] == 1
    assert min(larger[1:]) > 140
    trusted = tuple(n - 2 * m for n, m in zip(larger, checkpoint.margin, strict=True))
    answers = [
        infer(
            da.from_array(image, chunks=(1, 4, 10)),
            checkpoint,
            options=InferenceOptions(device="cpu", window=window, stride=stride),
        ).compute()
        for window, stride in ((None, None), (larger, None), (larger, trusted))
    ]
    np.testing.assert_allclose(answers[1], answers[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(answers[2], answers[0], rtol=0, atol=1e-6)


def test_windows_cannot_be_cut_off(checkpoint, image) -> None:
    options = InferenceOptions(device="cpu", padding="none")
    with pytest.raises(ConfigError, match=r"whose margin is \(0, 54, 54\), has no answer then"):
        infer(da.from_array(image), checkpoint, options=options)


def test_windows_of_valid_convolutions_lie_side_by_side(checkpoint, image) -> None:
    """No voxel is answered twice, unless somebody asks for it."""
    network, domain = Network.of(checkpoint), Box.from_shape(image.shape)
    assert lattice(domain, network, InferenceOptions()).stride == (1, 16, 16)
    assert lattice(domain, network, InferenceOptions(stride=(1, 8, 8))).stride == (1, 8, 8)


def test_larger_windows_are_advised_where_memory_allows(checkpoint) -> None:
    network = Network.of(checkpoint)
    windows = lattice(Box.from_shape((4, 600, 600)), network, InferenceOptions())
    (advice,) = window_advice(network, windows, 100_000_000, batch=1)
    assert str(list(larger_window(checkpoint, 100_000_000, domain=(4, 600, 600)))) in advice
    assert list(window_advice(network, windows, None, batch=1)) == []
