"""Scan manifests: round trips, the bytes that were split, and tables that make no split."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.objects.protocol import open_objects
from volkit.io.scan_manifest import ScanManifest, ScanRow, read_manifest, write_manifest
from volkit.io.seals import digest

pytest.importorskip("nibabel")


def voxels(number: int) -> np.ndarray:
    return np.random.default_rng(number).random((3, 4, 5)).astype(np.float32)


def rows(count: int = 4, **changes: object) -> list[ScanRow]:
    return [
        replace(
            ScanRow(
                scan=f"scan-{n}",
                subject=f"sub-{n}",
                session="",
                label=("AD", "CN")[n % 2],
                path=f"scans/{n}.nii",
                part="train" if n else "test",
                sha256=digest(scan_bytes(voxels(n), np.eye(4))),
                preprocessing="0f",
            ),
            **changes,
        )
        for n in range(count)
    ]


def stored(place: str) -> ScanManifest:
    objects = open_objects(place)
    for n in range(4):
        objects.put(f"scans/{n}.nii", scan_bytes(voxels(n), np.eye(4)))
    return write_manifest(f"{place}/manifest.csv", rows())


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_what_was_written_is_read_and_scans_come_with_it(where: str, tmp_path: Path) -> None:
    place = str(tmp_path) if where == "folder" else "memory://scan-manifest"
    written = stored(place)
    found = read_manifest(f"{place}/manifest.csv")
    assert found == written
    assert found.rows == tuple(rows())
    assert found.classes == ("AD", "CN")
    assert (found.folds, [row.scan for row in found.part("test")]) == (0, ["scan-0"])
    values, affine = found.read_scan(found.rows[2])
    np.testing.assert_array_equal(values, voxels(2))
    np.testing.assert_array_equal(affine, np.eye(4))


def test_the_digest_depends_on_what_is_said_and_on_no_order(tmp_path: Path) -> None:
    one = write_manifest(tmp_path / "a.csv", rows())
    other = write_manifest(tmp_path / "b.csv", rows()[::-1])
    moved = write_manifest(tmp_path / "c.csv", [*rows()[:-1], replace(rows()[-1], part="val")])
    assert one.digest == other.digest != moved.digest
    assert one.rows == other.rows  # who counts rows counts the same ones


def test_the_order_of_the_file_says_nothing(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a.csv", rows())
    head, *lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join([head, *lines[::-1]]) + "\n")
    assert read_manifest(tmp_path / "b.csv").rows == tuple(rows())


def test_folds_are_kept_and_test_stays_out_of_them(tmp_path: Path) -> None:
    given = [replace(row, part="", fold=n % 2) for n, row in enumerate(rows())]
    given[0] = replace(given[0], part="test", fold=None)
    write_manifest(tmp_path / "m.csv", given)
    found = read_manifest(tmp_path / "m.csv")
    assert found.rows == tuple(given)
    assert found.folds == 2
    assert [row.place for row in found.rows] == ["test", "fold 1", "fold 0", "fold 1"]


def test_a_scan_that_changed_after_the_split_is_refused(tmp_path: Path) -> None:
    manifest = stored(str(tmp_path))
    path = tmp_path / "scans" / "1.nii"
    path.write_bytes(scan_bytes(voxels(9), np.eye(4)))
    with pytest.raises(SourceError, match="of scan scan-1 has SHA-256 .* changed after the split"):
        manifest.read_scan(manifest.rows[1])
    path.unlink()
    with pytest.raises(SourceError, match="of scan scan-1 does not exist"):
        manifest.read_scan(manifest.rows[1])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scan": ""}, "has no scan; fill it in"),
        ({"subject": ""}, "scan-1 has no subject"),
        ({"sha256": "ab"}, "expected 64 hexadecimal digits"),
        ({"part": "training"}, "part of scan-1 is 'training'"),
        ({"part": ""}, "part of scan-1 is ''"),
        ({"fold": 1}, "in part train and in fold 1"),
        ({"scan": "scan-0"}, "names scan scan-0 2 times"),
        ({"path": "scans/0.nii"}, "gives scans/0.nii to the scans scan-0, scan-1"),
        ({"sha256": rows()[0].sha256}, "the same file under other names: scans scan-0, scan-1"),
        ({"subject": "sub-0"}, "subject sub-0 has scans of the classes AD and CN"),
        ({"preprocessing": "1e"}, "mixes scans of 2 preprocessing chains"),
    ],
)
def test_rows_that_make_no_manifest_are_refused(changed: dict, said: str, tmp_path: Path) -> None:
    given = rows()
    given[1] = replace(given[1], **changed)
    with pytest.raises(SourceError, match=said):
        write_manifest(tmp_path / "m.csv", given)
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"scan,subject\na,b\n", "has no column session and label and path"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
        (b"", "has no column scan"),
        (b"scan,subject,session,label,path,part,sha256,preprocessing\n", "names no scan"),
        (b"scan,subject,session,label,path,part,sha256,preprocessing\na,b\n", "line 2 has more or"),
        (
            b"scan,subject,session,label,path,part,sha256,preprocessing,fold\na,b,c,d,e,,f,g,x\n",
            "line 2 has fold 'x'",
        ),
    ],
)
def test_damaged_tables_are_refused(text: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(text)
    with pytest.raises(SourceError, match=said):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(SourceError, match="does not exist"):
        read_manifest(tmp_path / "other.csv")
