"""The figure: planes where they should be, colours that stay the same."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.pipelines.colours import label_colours, matched
from volkit.pipelines.figure import Panel, _pictures, round_length, section_figure


def test_colours_depend_on_the_id_alone() -> None:
    ids = np.array([0, 1, 2, 2**63 + 11, 1], np.uint64)
    colours = label_colours(ids)
    np.testing.assert_array_equal(colours[1], colours[4])
    np.testing.assert_array_equal(label_colours(ids[3:4])[0], colours[3])
    assert len(np.unique(colours, axis=0)) == 4
    assert colours[0].max() < 0.1 < colours[1:].max(axis=1).min()


def test_neighbouring_ids_look_different() -> None:
    colours = label_colours(np.arange(1, 200))
    assert np.linalg.norm(np.diff(colours, axis=0), axis=1).mean() > 0.4


def test_truth_takes_the_colour_of_its_segment() -> None:
    columns = {"true": [1, 1, 2, 3], "pred": [0, 5, 5, 6], "count": [99, 9, 7, 1]}
    pairs = matched({name: np.array(column) for name, column in columns.items()})
    assert pairs == {1: 5, 3: 6}  # 2 shares 5 with 1, which has more of it: a merge shows
    shown = label_colours(np.array([1, 5]), instead=pairs)
    np.testing.assert_array_equal(shown[0], shown[1])


def test_planes_go_through_the_middle() -> None:
    values = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8) / 192
    volume = open_volume(values)
    box = Box((0, 2, 2), (4, 6, 8))
    pictures = _pictures([Panel("image", volume, "image"), Panel("prob", volume, "prob")], box)
    cut = values[box.slices]
    for plane, expected in zip(pictures, (cut[2], cut[:, 2], cut[:, :, 3]), strict=True):
        np.testing.assert_array_equal(plane[1], expected)
        assert plane[0].min() >= 0
        assert plane[0].max() <= 1


def test_figure_has_a_column_per_volume_and_equal_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = open_volume(rng.integers(0, 255, (6, 20, 24), np.uint8))
    prob = open_volume(rng.random((2, 6, 20, 24), np.float32), voxel_size_nm=(40.0, 4.0, 4.0))
    labels = open_volume(rng.integers(0, 4, (6, 20, 24)).astype(np.uint64))
    panels = [
        Panel("image", image, "image"),
        Panel("prob", prob, "prob", channel=1),
        Panel("labels", labels, "labels"),
        Panel("truth", labels, "truth"),
    ]
    for name in ("a.png", "b.png"):
        section_figure(tmp_path / name, panels, domain=image.domain, heading="specimen")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = imread(tmp_path / "a.png")
    assert picture.shape[1] > 4 * 400
    section_figure(tmp_path / "two.png", panels[:2], domain=image.domain)
    assert imread(tmp_path / "two.png").shape[1] == pytest.approx(picture.shape[1] / 2, rel=0.01)


@pytest.mark.parametrize(("length", "rounded"), [(999, 500), (1, 1), (0.03, 0.02), (2500, 2000)])
def test_scale_bars_are_round(length: float, rounded: float) -> None:
    assert round_length(length) == pytest.approx(rounded)
