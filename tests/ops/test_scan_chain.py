"""The chain of a head: positions, margins, steps and checksums, and heads that are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.io.files.canonical import reoriented
from volkit.io.files.scan_bytes import scan_bytes, scan_of
from volkit.io.scan_files import AcquiredScan
from volkit.io.seals import digest
from volkit.kernels.resize import resized
from volkit.kernels.scan_grid import cut_out
from volkit.ops.bias_field import BiasOptions
from volkit.ops.scan_chain import ChainOptions, PreparedScan, prepare_scan
from volkit.ops.scan_chain_facts import chain_facts
from volkit.ops.scan_quality import FACES, Limits
from volkit.ops.skull_strip import StripOptions
from volkit.ops.tissue_network import TissueOptions
from volkit.testing.heads import Head, Scanner, head
from volkit.testing.heads_drawing import Anatomy
from volkit.testing.heads_network import threshold_meshnet

pytest.importorskip("nibabel")

PLAIN = ChainOptions(bias=BiasOptions(method="none"), voxel_mm=3.6, shape=(32, 32, 32))


@pytest.fixture(scope="module")
def drawn() -> Head:
    return head(Anatomy.drawn(2), 0.4, seed=5)


def acquired(values: np.ndarray, affine: np.ndarray, **facts: object) -> AcquiredScan:
    return AcquiredScan(values.astype(np.float32), affine, digest(values.tobytes()), facts)


def prepared(drawn: Head, options: ChainOptions = PLAIN, **facts: object) -> PreparedScan:
    masks = {"hippocampus": acquired(drawn.hippocampus, drawn.affine)}
    if options.strip.method == "mask":
        masks["brain"] = acquired(drawn.brain, drawn.affine)
    return prepare_scan(acquired(drawn.image, drawn.affine, **facts), options, masks=masks)


def test_the_result_has_its_shape_margin_and_moments(drawn: Head) -> None:
    found = prepared(drawn)
    assert found.values.shape == (32, 32, 32)
    assert found.values.dtype == np.float32
    assert found.quality.margin == (3,) * 6
    brain = found.masks["brain"] > 0
    assert found.values[brain].mean(dtype=float) == pytest.approx(0, abs=1e-4)
    assert found.values[brain].std(dtype=float) == pytest.approx(1, abs=1e-4)
    edge = np.ones((32,) * 3, bool)
    edge[1:-1, 1:-1, 1:-1] = False
    assert len(np.unique(found.values[edge])) == 1  # nothing but what was 0
    assert found.quality.brain_ml == pytest.approx(drawn.brain.sum() * 3.6**3 / 1000, rel=1e-6)


def test_voxels_lie_where_they_were_acquired(drawn: Head) -> None:
    """The middle of the hippocampi is the same place in space before and after."""
    found = prepared(drawn)

    def middle(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
        z, y, x = np.argwhere(mask).mean(0)
        return (affine @ [x, y, z, 1])[:3]

    before = middle(drawn.hippocampus, drawn.affine)
    np.testing.assert_allclose(middle(found.masks["hippocampus"], found.affine), before, atol=1.0)
    before = middle(drawn.brain, drawn.affine)
    np.testing.assert_allclose(middle(found.masks["brain"], found.affine), before, atol=1.0)


def test_aspect_is_kept_where_that_is_asked_for(drawn: Head) -> None:
    stretched = np.linalg.norm(prepared(drawn).affine[:3, :3], axis=0)
    kept = np.linalg.norm(prepared(drawn, replace(PLAIN, keep_aspect=True)).affine[:3, :3], axis=0)
    assert np.ptp(stretched) > 0.2
    np.testing.assert_allclose(kept, kept[0])
    assert kept[0] == pytest.approx(stretched.max())


def test_every_step_is_kept_with_its_parameters_and_checksum(drawn: Head) -> None:
    found = prepared(drawn, orientation="LPS")
    names = [step["step"] for step in found.steps]
    assert names == ["reorient", "resample", "strip", "crop", "resize", "normalise"]
    assert tuple(json.loads(json.dumps(found.steps))) == found.steps
    first, last = found.steps[0], found.steps[-1]
    assert first["stored"] == {"orientation": "LPS"}
    assert first["file_sha256"] == digest(drawn.image.tobytes())
    assert last["voxels_sha256"] == digest(b"(32, 32, 32)", found.values.tobytes())
    stripped = np.where(drawn.brain > 0, drawn.image, 0).astype(np.float32)
    assert found.steps[2]["voxels_sha256"] == digest(
        str(stripped.shape).encode(), stripped.tobytes()
    )
    cut = found.steps[3]
    assert np.argwhere(drawn.brain).min(0).tolist() == [a + 3 for a in cut["start"]]
    small = resized(cut_out(stripped, cut["start"], cut["stop"])[0], (32, 32, 32))
    brain = small[found.masks["brain"] > 0].astype(float)
    assert (last["mean"], last["deviation"]) == pytest.approx((brain.mean(), brain.std()))


def test_the_same_head_in_other_axes_gives_the_same_bytes(drawn: Head) -> None:
    wanted = prepared(drawn)
    for axes in ("LPS", "PIR", "SAL"):
        turned = [reoriented(v, drawn.affine, axes) for v in (drawn.image, drawn.brain)]
        image, brain = (scan_of("a", scan_bytes(v, a)) for v, a in turned)
        found = prepare_scan(acquired(*image), PLAIN, masks={"brain": acquired(*brain)})
        np.testing.assert_array_equal(found.values, wanted.values)
        np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-4)


def test_a_brain_at_the_border_is_padded(drawn: Head) -> None:
    top = np.argwhere(drawn.brain).max(0)[0] + 1
    cut = Head(drawn.image[:top], drawn.brain[:top], drawn.hippocampus[:top], drawn.affine)
    found = prepared(cut)
    assert found.quality.room[FACES.index("superior")] == 0
    assert found.quality.margin == (3,) * 6


def test_bias_and_finer_voxels_change_what_they_should(drawn: Head) -> None:
    pytest.importorskip("SimpleITK")
    how = replace(PLAIN, bias=BiasOptions(shrink=2, iterations=(8, 4)), voxel_mm=3.0)
    found = prepared(drawn, how)
    assert [step["step"] for step in found.steps][:3] == ["reorient", "bias", "resample"]
    low, high = found.quality.field
    assert 0 < low < 1 < high < 3
    assert found.quality.brain_ml == pytest.approx(prepared(drawn).quality.brain_ml, rel=0.02)


def test_tissues_are_measured_by_a_network(drawn: Head, tmp_path) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    card = str(threshold_meshnet(tmp_path / "net.yaml"))
    network = TissueOptions(checkpoint=card, extent=60)
    how = replace(PLAIN, tissue=network)
    found = prepared(drawn, how)
    assert list(found.tissue_ml) == ["white_matter", "grey_matter"]
    total = sum(found.tissue_ml.values())
    assert 0.8 * found.quality.brain_ml < total <= found.quality.brain_ml
    strip = StripOptions(method="meshnet_fallback", network=network)
    both = prepared(drawn, replace(how, strip=strip))
    alone = prepared(drawn, replace(PLAIN, strip=strip))
    assert alone.tissue_ml == {}
    np.testing.assert_array_equal(both.values, alone.values)
    assert both.quality.brain_ml == pytest.approx(found.quality.brain_ml, rel=0.1)


def with_vessels(drawn: Head) -> Head:
    image = drawn.image.copy()
    inside = np.flatnonzero(drawn.brain)
    image.flat[inside[::40]] = 2 * np.quantile(image[drawn.brain > 0], 0.95)
    return replace(drawn, image=image)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_vessels, "2.*% of the brain is much brighter than white matter"),
        (
            lambda d: Head(d.image[:26], d.brain[:26], d.hippocampus[:26], d.affine),
            "the head is cropped: .* of the brain's largest section",
        ),
        (lambda d: replace(d, brain=0 * d.brain), "the brain mask is empty"),
        (lambda d: replace(d, brain=d.hippocampus), "its brain has 4 ml, expected 500 to 2500"),
        (lambda d: replace(d, image=0 * d.image + 7), "all its voxels are 7; it is empty"),
        (
            lambda d: replace(d, image=np.where(d.brain, np.nan, d.image)),
            "it has NaN or infinite voxels",
        ),
        (lambda d: replace(d, image=d.image[:1]), r"\(1, 56, 48\) voxels are a plane, no head"),
    ],
)
def test_heads_that_cannot_be_used_are_refused_with_the_reason(
    drawn: Head, change, said: str
) -> None:
    with pytest.raises(ContractError, match=said):
        prepared(change(drawn))


def test_a_named_contrast_agent_is_refused_unless_allowed(drawn: Head) -> None:
    with pytest.raises(ContractError, match=r"after a contrast agent \(gadolinium\)"):
        prepared(drawn, contrast_agent="gadolinium")
    allowed = replace(PLAIN, limits=Limits(contrast_agent=True))
    assert prepared(drawn, allowed, contrast_agent="gadolinium").quality.margin == (3,) * 6


def test_voxels_of_a_wrong_unit_are_refused_before_they_are_resampled(drawn: Head) -> None:
    """A file in millimetres that says metres: resampled, it would take petabytes."""
    metres = drawn.affine @ np.diag([1000.0, 1000.0, 1000.0, 1.0])
    with pytest.raises(
        ContractError, match=r"field of view is \d{6} x \d{6} x \d{6} mm \(z, y, x\)"
    ):
        prepare_scan(acquired(drawn.image, metres), PLAIN)


def test_a_mask_without_numbers_is_refused(drawn: Head) -> None:
    scan = acquired(drawn.image, drawn.affine)
    mask = acquired(np.where(drawn.brain, 1.0, np.nan), drawn.affine)
    with pytest.raises(ContractError, match="mask brain has NaN or infinite voxels"):
        prepare_scan(scan, PLAIN, masks={"brain": mask})


def test_a_mask_of_another_frame_is_refused(drawn: Head) -> None:
    scan, affine = acquired(drawn.image, drawn.affine), drawn.affine.copy()
    affine[0, 3] += 5
    for mask in (acquired(drawn.brain, affine), acquired(drawn.brain[1:], drawn.affine)):
        with pytest.raises(ContractError, match="mask brain has .* in another frame than the scan"):
            prepare_scan(scan, PLAIN, masks={"brain": mask})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"voxel_mm": 0.0}, "voxel_mm 0.0"),
        ({"margin": -1}, "margin -1"),
        ({"shape": (64, 64, 32), "keep_aspect": True}, "keep_aspect pads to a cube"),
        ({"normalise": "skull"}, "normalise is 'skull'"),
    ],
)
def test_chains_that_make_no_sense_are_refused(given: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ChainOptions(**given)
    with pytest.raises(ConfigError, match="limits.brain_ml"):
        Limits(brain_ml=(900.0, 400.0))
    with pytest.raises(ConfigError, match="limits.cut_share"):
        Limits(cut_share=2.0)


def test_facts_know_networks_and_weights_by_content(tmp_path) -> None:
    def facts(card: str) -> dict:
        network = TissueOptions(checkpoint=str(tmp_path / card), device="cpu")
        return chain_facts(
            replace(PLAIN, strip=StripOptions(method="meshnet_fallback", network=network))
        )

    for card, white in (("a.yaml", 0.8), ("b.yaml", 0.8), ("c.yaml", 0.7)):
        threshold_meshnet(tmp_path / card, white=white)
    assert facts("a.yaml") == facts("b.yaml") != facts("c.yaml")
    assert chain_facts(PLAIN) == chain_facts(replace(PLAIN, limits=Limits(cut_share=0.5)))
    assert chain_facts(PLAIN) != chain_facts(replace(PLAIN, margin=4))
    (tmp_path / "weights").write_bytes(b"1")
    told = StripOptions(method="synthstrip", weights=str(tmp_path / "weights"))
    one = chain_facts(replace(PLAIN, strip=told))
    assert one == chain_facts(replace(PLAIN, strip=replace(told, seconds=9.0)))  # but patience
    (tmp_path / "weights").write_bytes(b"2")
    assert one != chain_facts(replace(PLAIN, strip=told))


def test_facts_know_the_program_that_strips_and_the_weights_that_it_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, models = tmp_path / "strip", tmp_path / "home" / "models"
    models.mkdir(parents=True)
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path / "home"))
    told = replace(PLAIN, strip=StripOptions(method="synthstrip", command=str(program)))
    absent = chain_facts(told)["strip"]["program"]
    assert absent == {"sha256": None, "own_weights": {}}
    seen = []
    for version, weights in (("1", b"a"), ("2", b"a"), ("2", b"b")):
        program.write_text(f"#!/bin/sh\n# version {version}\n")
        program.chmod(0o755)
        (models / "synthstrip.1.pt").write_bytes(weights)
        seen.append(chain_facts(told)["strip"]["program"])
    assert seen[0]["sha256"] != seen[1]["sha256"] == digest(program.read_bytes())
    assert [each["own_weights"]["synthstrip.1.pt"] for each in seen] == [
        digest(b"a"), digest(b"a"), digest(b"b")
    ]  # fmt: skip
    assert "program" not in chain_facts(PLAIN)["strip"]


def test_a_mask_named_like_the_brain_that_is_found_is_refused(drawn: Head) -> None:
    """It would be replaced, and nobody told."""
    scan, brain = acquired(drawn.image, drawn.affine), acquired(drawn.brain, drawn.affine)
    by_other = replace(PLAIN, strip=StripOptions(column="drawn"))
    with pytest.raises(ConfigError, match="strip.method mask writes another one of that name"):
        prepare_scan(scan, by_other, masks={"brain": brain, "drawn": brain})
    for masks in ({"drawn": brain}, {"drawn": brain, "whole": brain}):
        assert set(prepare_scan(scan, by_other, masks=masks).masks) == {"brain", *masks}


def test_coarse_scanners_fit_the_chain_too() -> None:
    small = head(
        Anatomy.drawn(3), 0.2, seed=1, scanner=Scanner(shape=(30, 32, 28), voxel_size_mm=6.3)
    )
    found = prepared(small, replace(PLAIN, voxel_mm=6.3, shape=(24, 24, 24)))
    assert found.values.shape == (24, 24, 24)
