"""Tables of scans: where they lie, and tables that are refused."""

from pathlib import Path

import pytest

from volkit.errors import SourceError
from volkit.io.objects.protocol import open_objects
from volkit.io.scan_table import read_scan_table

TEXT = """scan,subject,session,label,path,brain,site
a,s1,v1,AD,s1/a.nii.gz,s1/a_mask.nii.gz,Oslo
b,s2,,CN,s3://bucket/b.nii,,Lund
c,s2,v2,CN,/data/c,s2/c.nii,Lund
"""


def test_paths_are_meant_from_the_table(tmp_path: Path) -> None:
    (tmp_path / "scans.csv").write_text(TEXT)
    a, b, c = read_scan_table(tmp_path / "scans.csv", masks=["brain"])
    assert (a.scan, a.subject, a.session, a.label) == ("a", "s1", "v1", "AD")
    assert a.uri == str(tmp_path / "s1/a.nii.gz")
    assert a.masks == {"brain": str(tmp_path / "s1/a_mask.nii.gz")}
    assert (b.uri, b.session, b.masks) == ("s3://bucket/b.nii", "", {})
    assert c.uri == "/data/c"


def test_a_table_may_be_named_by_a_url_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "scans.csv").write_text(TEXT)
    scans = read_scan_table(f"file://{tmp_path}/scans.csv", masks=["brain"])
    assert scans == read_scan_table(tmp_path / "scans.csv", masks=["brain"])


def test_a_table_in_a_store_names_what_lies_beside_it() -> None:
    open_objects("memory://study").put("scans.csv", TEXT.encode())
    a, b, _ = read_scan_table("memory://study/scans.csv")
    assert (a.uri, b.uri) == ("memory://study/s1/a.nii.gz", "s3://bucket/b.nii")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("b,s2,", "a,s2,", "names the scan a twice"),
        ("/data/c", "s3://bucket/b.nii", "names the file s3://bucket/b.nii twice, as b and c"),
        ("c,s2,v2,CN", "c,s2,v2,AD", "subject s2 has scans of the classes AD and CN"),
        ("c,s2,v2", "c,,v2", "line 4 has no subject"),
        ("c,s2,v2", "../c,s2,v2", "cannot be the name of a file"),
        (",site", "", "line 2 has more or fewer"),
        ("label", "class", "has no column label"),
        ("brain", "mask", "has no column brain"),
        ("brain", "label", "several columns label; name each once"),
    ],
)
def test_tables_that_make_no_sense_are_refused(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "scans.csv").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(SourceError, match=said):
        read_scan_table(tmp_path / "scans.csv", masks=["brain"])


def test_a_table_of_semicolons_is_refused_as_such(tmp_path: Path) -> None:
    (tmp_path / "scans.csv").write_text(TEXT.replace(",", ";"))
    with pytest.raises(SourceError, match="has semicolons between its columns; save it with comm"):
        read_scan_table(tmp_path / "scans.csv")


def test_absent_empty_and_binary_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        read_scan_table(tmp_path / "scans.csv")
    (tmp_path / "scans.csv").write_text("scan,subject,label,path\n")
    with pytest.raises(SourceError, match="names no scan"):
        read_scan_table(tmp_path / "scans.csv")
    (tmp_path / "scans.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="no text in UTF-8"):
        read_scan_table(tmp_path / "scans.csv")
