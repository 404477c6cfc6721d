"""Sites: they travel with scans, are counted, and told of where they give classes away."""

from dataclasses import replace

import numpy as np
import pytest

from volkit.io.scan_manifest import ScanRow, read_manifest, write_manifest
from volkit.io.seals import digest
from volkit.training.scan_sites import SITES, guessed_by_site, site_balance, site_warnings


def rows(sites: str, labels: str, *, scans: int = 1) -> list[ScanRow]:
    """One subject for each letter: its site, and A or C for its class; a dot for no site."""
    return [
        ScanRow(
            f"{n}-{visit}",
            f"s{n}",
            "",
            {"A": "AD", "C": "CN"}[label],
            f"{n}-{visit}.nii",
            "train" if n % 2 else "test",
            digest(f"{n} {visit}".encode()),
            "",
            site=site.strip("."),
        )
        for n, (site, label) in enumerate(zip(sites, labels, strict=True))
        for visit in range(scans)
    ]


def test_a_manifest_keeps_sites_and_is_as_before_without(tmp_path) -> None:
    given = rows("xy.x", "ACAC")
    written = write_manifest(tmp_path / "manifest.csv", given)
    found = read_manifest(tmp_path / "manifest.csv")
    assert [row.site for row in found.rows] == ["x", "y", "", "x"]
    assert found.digest == written.digest
    without = write_manifest(tmp_path / "bare.csv", [replace(row, site="") for row in given])
    assert (tmp_path / "bare.csv").read_text().splitlines()[0].endswith(",preprocessing")
    assert without.digest != written.digest


def test_subjects_and_scans_of_every_site_are_counted() -> None:
    table = site_balance(rows("xyx.", "AACC", scans=2))
    assert list(table.columns) == list(SITES.names)
    assert [tuple(row) for row in table.to_numpy()] == [
        ("test", "x", "AD", 1, 2),
        ("test", "x", "CN", 1, 2),
        ("train", "unknown", "CN", 1, 2),
        ("train", "y", "AD", 1, 2),
    ]
    assert site_balance(rows("....", "ACAC")) is None


def test_a_class_that_goes_with_the_site_is_told_with_numbers() -> None:
    # 12 of 14 are what most of their site are; chance does as well in 3 % of all ways to deal.
    (text,) = site_warnings(rows("xxxxxxxyyyyyyy", "AAAAAACCCCCCCA", scans=2))
    assert "is right about 86 of 100 scans, by chance 6" in text
    (text,) = site_warnings(rows("....xxxx", "AAAACCCC"))  # not to know it may say it, too
    assert "is right about 100 of 100 scans" in text


@pytest.mark.parametrize(
    ("sites", "labels"),
    [
        ("xxxxxxyyyyyy", "AAACCCAAACCC"),
        ("xxxxxxxxxxxx", "AAAAAACCCCCC"),
        ("abcdefghijkl", "AAAAAACCCCCC"),  # a site of its own for each: chance does as well
    ],
)
def test_sites_that_say_nothing_are_not_told_of(sites: str, labels: str) -> None:
    assert site_warnings(rows(sites, labels)) == ()


def test_chance_is_right_about_as_often_as_dealing_by_hand_says() -> None:
    # Of the 6 ways to deal two of each class to two sites of two, 2 part them: 1/3 · 1 + 2/3 · 1/2.
    site, label = np.array(list("xxyy")), np.array(list("AACC"))
    right, chance = guessed_by_site(site, label, np.arange(4).astype(str))
    assert right == 1
    assert set(chance) == {0.5, 1.0}
    assert chance.mean() == pytest.approx(2 / 3, abs=0.0224)  # three deviations of 999 draws


def test_scans_of_a_subject_go_together() -> None:
    """Two subjects with fifty scans each are two cases, not a hundred."""
    assert site_warnings(rows("xy", "AC", scans=50)) == ()
