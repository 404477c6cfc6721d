"""What data seem to be: images that were scaled and maps of boundaries, labels and images."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from volkit.cli import main
from volkit.io.labels import holds_labels
from volkit.io.open import create_volume, open_volume
from volkit.pipelines.proposal.guess import guessed, is_sure
from volkit.pipelines.proposal.look import look_at
from volkit.pipelines.proposal.write import write_workflow
from volkit.testing.workflows import voronoi_cells

SHAPE = (24, 48, 40)


def clipped(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float32]:
    """Scale percentiles to 0 and 1, as many programs do before they save an image."""
    a, b = np.percentile(values, (low, high))
    return np.clip((values - a) / (b - a), 0, 1).astype(np.float32)


def stained(seed: int = 0) -> NDArray[np.float64]:
    """Dark, with bright cells: most of it near 0, as in a map of boundaries."""
    rng = np.random.default_rng(seed)
    cells = gaussian_filter((rng.random(SHAPE) > 0.999).astype(float), 2)
    return cells + 5e-4 * rng.random(SHAPE)


def answered(sharpness: float) -> NDArray[np.float64]:
    """What a network might answer where it is more or less sure."""
    smooth = gaussian_filter(np.random.default_rng(1).normal(size=SHAPE), 2)
    return 1 / (1 + np.exp(sharpness * (1 - smooth / smooth.std())))


@pytest.mark.parametrize("top", [99.9, 99, 95])
def test_an_image_that_was_scaled_is_no_map_of_boundaries(top: float) -> None:
    image = clipped(stained(), 0.5, top)
    assert (image < 0.1).mean() > 0.5  # which alone would pass for one
    assert not is_sure(image)
    assert not is_sure(clipped(1 - stained(), 100 - top, 99.5))  # dark cells on white
    grey = np.random.default_rng(2).normal(size=SHAPE)
    assert not is_sure(clipped(grey, 100 - top, top))
    assert not is_sure(clipped(grey, 35, 65))  # seven of ten voxels are black or white


def test_a_map_of_boundaries_is_one() -> None:
    sure = answered(6)
    maps = (sure, sure.astype(np.float16), np.round(sure * 255) / 255, np.round(sure), 1 - sure)
    assert [is_sure(values) for values in maps] == [True] * 5
    assert is_sure(voronoi_cells(SHAPE)[1])


def test_a_map_of_a_network_on_real_data_is_one(shared_data: Path) -> None:
    with h5py.File(shared_data / "em" / "gala_fib" / "train-p1.lzf.h5") as file:
        assert is_sure(file["stack"][:20])
    with h5py.File(shared_data / "em" / "gala_fib" / "train-image.h5") as file:
        image = file["stack"][:20].astype(float)
    assert not any(is_sure(clipped(image, low, 100 - low)) for low in (0, 0.5, 10, 35))


@pytest.mark.parametrize(
    ("name", "sharpness", "kind", "doubt"),
    [
        ("prob.npy", 6, "boundaries", ""),
        ("x.npy", 6, "boundaries", "its name does not"),
        ("membrane.npy", 1, "boundaries", "its name says so, its values"),
        ("x.npy", 1, "image", ""),
    ],
)
def test_a_doubt_is_said_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, sharpness: float, kind: str, doubt: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    np.save(name, answered(sharpness).astype(np.float32))
    assert look_at(name).kind == kind
    found = write_workflow([name])
    notes = [note for note in found.notes if "taken for a map of boundaries" in note]
    assert len(notes) == text_marks(found.file) == bool(doubt)
    assert all(doubt in note and f"image={name}" in note for note in notes)
    told = write_workflow([f"{kind}={name}"], Path("told.yaml"))
    assert text_marks(told.file) == 0  # where a person says it, there is no doubt
    assert told.pipeline == found.pipeline


def text_marks(file: Path) -> int:
    return file.read_text().count("# PLEASE CHECK: ")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("truth.tif", True),
        ("AC3_labels.tif", True),
        ("cellLabel.tif", True),
        ("gt.tif", True),
        ("em_seg.tif", True),
        ("segmented-by-hand.tif", False),
        ("labelled antibody.tif", False),
        ("length.tif", False),
        ("em.tif", False),
    ],
)
def test_info_and_init_decide_alike(
    tmp_path: Path, name: str, labels: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = np.arange(8 * 16 * 16, dtype=np.uint16).reshape(8, 16, 16)
    tifffile.imwrite(tmp_path / name, values, photometric="minisblack")
    with pytest.raises(SystemExit):
        main(["info", str(tmp_path / name), "--no-rate", "--json"])
    said = json.loads(capsys.readouterr().out)["holds"]
    assert (said, look_at(str(tmp_path / name)).kind) == (
        ("labels",) * 2 if labels else ("image",) * 2
    )


@pytest.mark.parametrize(
    ("dtype", "values", "kind"),
    [
        ("uint8", 3, "classes"),
        ("bool", 2, "classes"),
        ("uint8", 17, "image"),
        ("uint32", 3, "labels"),  # a small box may hold few objects
    ],
)
def test_info_and_init_know_few_values_for_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str, values: int, kind: str
) -> None:
    np.save(tmp_path / "em.npy", (np.arange(8 * 16 * 16) % values).reshape(8, 16, 16).astype(dtype))
    with pytest.raises(SystemExit):
        main(["info", str(tmp_path / "em.npy"), "--no-rate", "--json"])
    said = json.loads(capsys.readouterr().out)["holds"]
    assert (said, look_at(str(tmp_path / "em.npy")).kind) == (kind, kind)


def test_what_a_volume_says_counts_more_than_its_name(tmp_path: Path) -> None:
    said = {"shape": (2, 2, 2), "dtype": "uint8", "attributes": {"kind": "image"}}
    assert not holds_labels(create_volume(tmp_path / "truth.zarr", **said))
    with h5py.File(tmp_path / "truth.h5", "w") as file:
        file["raw"] = file["labels"] = np.zeros((2, 2, 2), np.uint8)
    names = [f"{tmp_path}/truth.h5::{inside}" for inside in ("raw", "labels")]
    assert [holds_labels(open_volume(name)) for name in names] == [False, True]


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("s3://lab/em.zarr?endpoint=http://predictions.lab:9000", "image"),
        ("predictions/em.npy", "image"),
        ("s3://lab/prob.zarr?endpoint=http://em.lab:9000", "boundaries"),
        ("net.h5::predicted", "boundaries"),
    ],
)
def test_where_data_lie_says_nothing_of_what_they_are(tmp_path: Path, uri: str, kind: str) -> None:
    values = answered(1).astype(np.float32)
    volume = open_volume(values)
    assert guessed(uri, volume, values.ravel(), ()).kind == kind
