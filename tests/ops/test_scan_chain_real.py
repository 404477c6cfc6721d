"""The chain on a real head: the MNI152 template, its tissue maps, and a trained network."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from volkit.io.files.canonical import reoriented
from volkit.io.files.scan_bytes import scan_bytes, scan_of
from volkit.io.scan_files import AcquiredScan, read_acquired
from volkit.models.tfjs import convert_brainchop
from volkit.ops.bias_field import BiasOptions
from volkit.ops.scan_chain import ChainOptions, prepare_scan
from volkit.ops.skull_strip import StripOptions, find_brain
from volkit.ops.tissue_network import TissueOptions

pytest.importorskip("nibabel")
pytest.importorskip("torch")

STRIPPED = StripOptions(method="nonzero")
PLAIN = ChainOptions(bias=BiasOptions(method="none"), strip=STRIPPED)


def path(shared_data: Path, what: str) -> Path:
    name = f"mni_icbm152_{what}_tal_nlin_sym_09a_converted.nii.gz"
    return shared_data / "mri" / "mni152" / name


@pytest.fixture(scope="module")
def t1(shared_data: Path) -> AcquiredScan:
    return read_acquired(str(path(shared_data, "t1")))


def test_it_is_what_is_known_of_it(t1: AcquiredScan) -> None:
    assert t1.values.shape == (189, 233, 197)  # (z, y, x)
    assert t1.spacing_mm == (1.0, 1.0, 1.0)
    assert t1.facts["orientation"] == "RAS"
    assert np.count_nonzero(t1.values) == 1_886_539
    np.testing.assert_array_equal(t1.affine[:3, 3], [-98, -134, -72])


def test_any_of_48_orientations_gives_the_same_array(t1: AcquiredScan) -> None:
    grey = t1.values.astype(np.uint8)
    np.testing.assert_array_equal(grey, t1.values)
    turns = 0
    for axes in permutations(("RL", "AP", "SI")):
        for letters in product(*axes):
            turned, frame = reoriented(grey, t1.affine, "".join(letters))
            found, affine = scan_of("t1", scan_bytes(turned, frame))
            assert np.array_equal(found, t1.values), letters
            np.testing.assert_allclose(affine, t1.affine, atol=1e-4)
            turns += 1
    assert turns == 48


def test_the_margin_is_three_voxels_on_all_faces_and_the_spacing_is_known(
    t1: AcquiredScan,
) -> None:
    found = prepare_scan(t1, PLAIN)
    assert found.quality.margin == (3,) * 6
    assert found.values.shape == (128, 128, 128)
    there = np.argwhere(t1.values)
    extent = there.max(0) - there.min(0) + 7
    resize = next(step for step in found.steps if step["step"] == "resize")
    np.testing.assert_allclose(resize["spacing_mm"], extent / 128)
    # As was measured of this template with other tools: 1.18 x 1.46 x 1.26 mm along x, y and z.
    np.testing.assert_allclose(resize["spacing_mm"][::-1], [1.18, 1.46, 1.26], atol=0.005)
    assert found.quality.brain_ml == pytest.approx(1_886.5, rel=0.02)


def test_a_brain_at_the_border_keeps_its_margin(t1: AcquiredScan) -> None:
    there = np.argwhere(t1.values)
    low, high = there.min(0), there.max(0) + 1
    tight = np.ascontiguousarray(t1.values[tuple(map(slice, low, high))])
    found = prepare_scan(AcquiredScan(tight, t1.affine, "", {}), PLAIN)
    assert found.quality.room == (0,) * 6
    assert found.quality.margin == (3,) * 6
    wanted = prepare_scan(t1, PLAIN)
    np.testing.assert_array_equal(found.values, wanted.values)


def test_other_voxels_are_brought_to_one_millimetre(t1: AcquiredScan) -> None:
    thick = np.ascontiguousarray(t1.values[:, ::2, :])
    affine = t1.affine @ np.diag([1, 2, 1, 1])
    found = prepare_scan(AcquiredScan(thick, affine, "", {}), PLAIN)
    wanted = prepare_scan(t1, PLAIN)
    assert found.quality.brain_ml == pytest.approx(wanted.quality.brain_ml, rel=0.02)
    both = np.corrcoef(found.values.ravel(), wanted.values.ravel())[0, 1]
    assert both > 0.98


def maps(shared_data: Path) -> dict[str, np.ndarray]:
    found = {}
    for tissue in ("wm", "gm"):
        where = path(shared_data, tissue)
        found[tissue] = scan_of(str(where), where.read_bytes())[0] / 255
    return found


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.slow
def test_meshnet_finds_the_brain_and_its_tissues(
    t1: AcquiredScan, shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "models" / "brainchop" / "model5_gw_ae"
    convert_brainchop(folder, tmp_path / "meshnet.yaml")
    options = TissueOptions(checkpoint=str(tmp_path / "meshnet.yaml"))
    strip = StripOptions(method="meshnet_fallback", network=options)
    found = find_brain(t1.values, t1.affine, strip)
    assert found.tissues is not None
    assert found.tissues.classes == ("background", "white_matter", "grey_matter")
    labels = found.tissues.labels
    with np.load(shared_data / "mri/mni152/meshnet5_reference_seg_LIA256.npz") as stored:
        counts = np.bincount(stored["seg"].ravel())
    np.testing.assert_allclose(np.bincount(labels.ravel())[1:], counts[1:], rtol=1e-3)

    tissue = maps(shared_data)
    white = (tissue["wm"] > tissue["gm"]) & (tissue["wm"] > 0.3)
    grey = ~white & (tissue["gm"] > 0.3)
    for brain in (labels > 0, found.mask):
        assert dice(brain, white | grey) >= 0.90

    own = {"white_matter": tissue["wm"], "grey_matter": tissue["gm"]}
    volumes = found.tissues.volumes_ml(t1.affine)
    for name, shares in own.items():
        assert volumes[name] == pytest.approx(shares.sum(dtype=float) / 1000, rel=0.05)
