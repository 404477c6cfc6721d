"""Regions of scans: names and paths as a table has them, whatever they look like."""

from pathlib import Path

from volkit.pipelines.scans_config import RegionKeys
from volkit.pipelines.scans_regions import region_files


def test_names_of_digits_stay_as_they_are_written(tmp_path: Path) -> None:
    table = tmp_path / "spots.csv"
    table.write_text("scan,age,spot,acquired\n001,70,0001,02\n1,71,b.nii,\n")
    keys = RegionKeys(table=str(table), column="spot", onto="acquired")
    found = region_files(keys, ["001", "1"])
    assert found["001"] == {"region": str(tmp_path / "0001"), "onto": str(tmp_path / "02")}
    assert found["1"]["region"] == str(tmp_path / "b.nii")
