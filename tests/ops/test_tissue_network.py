"""Tissue networks on whole heads: frames, padding and volumes, beside thresholds by hand."""

from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.io.files.canonical import reoriented
from volkit.models.architectures import build
from volkit.models.checkpoint import save_checkpoint
from volkit.ops.tissue_network import TissueOptions, Tissues, find_tissues
from volkit.testing.heads_network import GREY, WHITE, threshold_meshnet
from volkit.testing.workflows import identity_checkpoint

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(threshold_meshnet(tmp_path_factory.mktemp("net") / "net.yaml"))


def by_hand(values: np.ndarray, extent: int) -> np.ndarray:
    """What thresholds say of voxels scaled by the quantiles of the padded cube."""
    cube = np.zeros(extent**3, np.float32)
    cube[: values.size] = values.ravel()
    low, high = np.quantile(cube, [0.02, 0.98])
    scaled = np.clip((values - low) / (high - low), 0, 1)
    return np.where(scaled > WHITE, 1, np.where(scaled > GREY, 2, 0))


@pytest.mark.parametrize("axes", ["LIA", "RAS", "PSR"])
def test_labels_come_back_in_the_frame_of_the_head(axes: str, card: str) -> None:
    values = np.random.default_rng(0).random((18, 20, 24)).astype(np.float32)
    options = TissueOptions(checkpoint=card, axes=axes, extent=32)
    found = find_tissues(values, AFFINE, options)
    assert found.classes == ("background", "white_matter", "grey_matter")
    wanted = by_hand(values, 32)
    assert (found.labels == wanted).mean() > 0.998  # of quantiles, digits differ
    np.testing.assert_allclose(found.voxels, np.bincount(wanted.ravel()), rtol=0.005)
    assert sum(found.voxels) == pytest.approx(values.size)


def test_a_head_larger_than_the_frame_is_seen_whole(card: str) -> None:
    values = np.random.default_rng(0).random((8, 20, 24)).astype(np.float32)
    labels = find_tissues(values, AFFINE, TissueOptions(checkpoint=card, extent=16)).labels
    assert labels.shape == values.shape
    assert set(np.unique(labels)) == {0, 1, 2}


def test_the_network_sees_the_axes_that_it_wants(tmp_path: Path) -> None:
    """A network that looks one voxel back along its first axis answers along the right axis."""
    arguments = {"in_channels": 1, "out_channels": 2, "channels": 1, "dilations": [1]}
    network = build("meshnet", **arguments)
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    state["layers.0.weight"][0, 0, 0, 1, 1] = 1
    state["output.weight"][1] = 1
    about = {
        "architecture": "meshnet",
        "arguments": arguments,
        "channels": [1, 2],
        "window": [32, 32, 32],
        "margin": [1, 1, 1],
        "activation": "softmax",
        "description": "looks back",
    }
    save_checkpoint(state, tmp_path / "back.yaml", about)
    values = np.zeros((9, 9, 9), np.float32)
    values[4, 4, 4] = 0.5
    for axes, place in (("LIA", (4, 4, 3)), ("RAS", (4, 4, 5)), ("PSR", (4, 3, 4))):
        options = TissueOptions(checkpoint=str(tmp_path / "back.yaml"), axes=axes, extent=12)
        labels = find_tissues(values, AFFINE, options).labels
        assert np.argwhere(labels).tolist() == [list(place)]


def test_volumes_are_millilitres_and_borders_are_shared() -> None:
    labels = np.zeros((10, 10, 10), np.uint8)
    _, frame = reoriented(labels, AFFINE, "PIR")
    found = Tissues(labels, ("background", "white", "grey"), (799.5, 100.25, 100.25))
    assert found.volumes_ml(frame) == {"white": 0.802, "grey": 0.802}


def test_networks_and_frames_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    identity_checkpoint(tmp_path / "one.yaml")
    options = TissueOptions(checkpoint=str(tmp_path / "one.yaml"))
    with pytest.raises(ContractError, match="sees 1 channels and answers 1 by"):
        find_tissues(np.zeros((4, 4, 4), np.float32), AFFINE, options)
    for axes in ("LIL", "XYZ", "LI"):
        with pytest.raises(ConfigError, match="give three letters"):
            TissueOptions(checkpoint="x", axes=axes)
    with pytest.raises(ConfigError, match="extent is 0"):
        TissueOptions(checkpoint="x", extent=0)
