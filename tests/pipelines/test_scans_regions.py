"""Regions of scans: names and paths as a table has them, whatever they look like."""

from pathlib import Path

import pytest

from volkit.errors import SourceError
from volkit.pipelines.scans_config import RegionKeys
from volkit.pipelines.scans_regions import region_files


def test_names_of_digits_stay_as_they_are_written(tmp_path: Path) -> None:
    table = tmp_path / "spots.csv"
    table.write_text("scan,age,spot,acquired\n001,70,0001,02\n1,71,b.nii,\n")
    keys = RegionKeys(table=str(table), column="spot", onto="acquired")
    found = region_files(keys, ["001", "1"])
    assert found["001"] == {"region": str(tmp_path / "0001"), "onto": str(tmp_path / "02")}
    assert found["1"]["region"] == str(tmp_path / "b.nii")


def test_a_scan_that_is_listed_twice_is_named(tmp_path: Path) -> None:
    table = tmp_path / "spots.csv"
    table.write_text("scan,spot\na,1.nii\nb,2.nii\nb,2.nii\nc,3.nii\na,4.nii\n")
    keys = RegionKeys(table=str(table), column="spot")
    with pytest.raises(SourceError, match=r"spots.csv has more than one row for scan a, b; which"):
        region_files(keys, ["a", "b", "c"])
    assert region_files(keys, ["c"])["c"] == {"region": str(tmp_path / "3.nii")}
    table.write_text("scan,spot\n" + "".join(f"{k % 5},{k}.nii\n" for k in range(10)))
    with pytest.raises(SourceError, match="scan 0, 1, 2 and 2 more; which region"):
        region_files(keys, list("01234"))
