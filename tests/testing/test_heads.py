"""Specimen heads: what atrophy does to them, what subjects share, and what is written."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from volkit.errors import ConfigError
from volkit.io.files.affine import axis_letters
from volkit.io.files.scan_bytes import scan_of, stored_scan
from volkit.testing.heads import Scanner, head, main, write_heads
from volkit.testing.heads_drawing import Anatomy

pytest.importorskip("nibabel")

SMALL = Scanner(shape=(30, 32, 28), voxel_size_mm=6.3)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fluid(found) -> float:
    """Share of the brain that is as dark as fluid."""
    inside = found.image[found.brain > 0]
    return float((inside < 0.45 * np.median(inside)).mean())


@pytest.mark.parametrize("subject", range(2))
def test_atrophy_widens_ventricles_and_shrinks_hippocampi(subject: int) -> None:
    anatomy = Anatomy.drawn(subject)
    scans = [head(anatomy, atrophy, seed=9) for atrophy in (0.1, 0.5, 0.9)]
    hippocampi = [int(scan.hippocampus.sum()) for scan in scans]
    assert hippocampi[0] > hippocampi[1] > hippocampi[2] > 0
    assert fluid(scans[0]) < fluid(scans[1]) < fluid(scans[2])
    assert all((scan.brain[scan.hippocampus > 0] == 1).all() for scan in scans)
    volume = scans[0].brain.sum() * 3.6**3 / 1000
    assert 800 < volume < 1700  # millilitres, as brains are


def test_scans_of_a_subject_are_more_alike_than_scans_of_others() -> None:
    def alike(a, b) -> float:
        return float(np.corrcoef(a.image.ravel(), b.image.ravel())[0, 1])

    scans = [
        [head(Anatomy.drawn(s), 0.5, seed=10 * s + v, scanner=SMALL) for v in (1, 2)]
        for s in range(6)
    ]
    same = [alike(one, two) for one, two in scans]
    other = [alike(scans[a][0], scans[b][1]) for a in range(6) for b in range(6) if a != b]
    assert np.mean(same) > np.mean(other) + 0.02
    assert np.mean([s > max(other) for s in same]) >= 0.5


def test_equal_seeds_give_equal_scans_and_others_do_not() -> None:
    one, two = (head(Anatomy.drawn(3), 0.5, seed=s, scanner=SMALL) for s in (1, 1))
    np.testing.assert_array_equal(one.image, two.image)
    other = head(Anatomy.drawn(3), 0.5, seed=2, scanner=SMALL)
    assert (other.image != one.image).mean() > 0.5


def test_a_set_is_written_with_its_table_and_masks(tmp_path: Path) -> None:
    path = write_heads(
        tmp_path / "a", subjects=6, seed=2, scanner=SMALL, orientations=("RAS", "LPS", "PIR")
    )
    rows = table(path)
    subjects = {row["subject"]: row["label"] for row in rows}
    assert sorted(subjects.values()) == ["AD"] * 3 + ["CN"] * 3
    assert len({row["scan"] for row in rows}) == len(rows) > len(subjects)
    seen = []
    for row in rows[:4]:
        image, brain = (path.parent / row[name] for name in ("path", "brain"))
        values, affine = scan_of(str(image), image.read_bytes())
        mask, frame = scan_of(str(brain), brain.read_bytes())
        assert values.shape == mask.shape == SMALL.shape
        np.testing.assert_allclose(affine, frame)
        seen.append(axis_letters(stored_scan(str(image), image.read_bytes())[1]))
    assert seen == ["RAS", "LPS", "PIR", "RAS"]
    again = write_heads(
        tmp_path / "b", subjects=6, seed=2, scanner=SMALL, orientations=("RAS", "LPS", "PIR")
    )
    assert again.read_bytes() == path.read_bytes()
    name = rows[0]["path"]
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_who_knows_the_atrophy_is_right_as_often_as_is_said(tmp_path: Path) -> None:
    tiny = Scanner(shape=(4, 4, 4), voxel_size_mm=40.0)
    rows = table(write_heads(tmp_path, subjects=200, scans_per_subject=1, scanner=tiny, seed=5))
    atrophy = np.array([float(row["atrophy"]) for row in rows])
    ill = np.array([row["label"] == "AD" for row in rows])
    right = ((atrophy > 0.5) == ill).mean()
    assert right == pytest.approx(norm.cdf(0.6), abs=3 * np.sqrt(0.25 / 200))


def test_a_set_of_one_subject_is_refused_and_a_command_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 subjects of 3 scans"):
        write_heads(tmp_path, subjects=1)
    main([str(tmp_path / "c"), "--subjects", "2", "--scans", "1"])
    assert len(table(tmp_path / "c" / "scans.csv")) == 2
