"""Leakage: every form of it, put in on purpose, is refused; a clean split is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volkit.errors import ContractError, SourceError
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.scan_manifest import ScanManifest, ScanRow, write_manifest
from volkit.io.scan_table import read_scan_table
from volkit.io.seals import digest
from volkit.testing.heads import Scanner, write_heads
from volkit.training.scan_leakage import check_leakage, find_leaks
from volkit.training.scan_split import split_scans

nibabel = pytest.importorskip("nibabel")

COARSE = Scanner(shape=(30, 32, 28), voxel_size_mm=6.3)


def head(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((20, 24, 22))
    return (1000 * gaussian_filter(noise, 2)).astype(np.float32)


def written(folder: Path, heads: dict[str, np.ndarray], rows: list[ScanRow]) -> ScanManifest:
    """Store heads and a manifest of them."""
    whole = []
    for row in rows:
        data = scan_bytes(heads[row.scan], np.eye(4))
        (folder / row.path).write_bytes(data)
        whole.append(replace(row, sha256=digest(data)))
    return write_manifest(folder / "manifest.csv", whole)


def clean(count: int = 8) -> tuple[dict[str, np.ndarray], list[ScanRow]]:
    """Eight heads of eight subjects: half of each class in training, half in the test."""
    heads = {f"scan-{n}": head(n) for n in range(count)}
    rows = [
        ScanRow(f"scan-{n}", f"sub-{n}", f"I{n}", ("AD", "CN")[n % 2], f"{n}.nii",
                "train" if n < count // 2 else "test", "", "0f")
        for n in range(count)
    ]  # fmt: skip
    return heads, rows


def test_a_clean_split_passes_and_is_counted(tmp_path: Path) -> None:
    manifest = written(tmp_path, *clean())
    report = check_leakage(manifest)
    assert (report.leaks, report.one_class, report.digest) == ((), (), manifest.digest)
    assert report.balance["scans"].tolist() == [2, 2, 2, 2]


def test_a_subject_in_two_parts_is_refused(tmp_path: Path) -> None:
    heads, rows = clean()
    rows[6] = replace(rows[6], subject="sub-0")
    with pytest.raises(
        ContractError, match=r"1 subjects in several parts: sub-0: scan-0 \(train\) and scan-6 \(te"
    ):
        check_leakage(written(tmp_path, heads, rows))


def test_the_same_voxels_in_another_file_are_refused(tmp_path: Path) -> None:
    heads, rows = clean()
    manifest = written(tmp_path, heads, rows)
    # Stored in other axes: other bytes, the same head.
    image = nibabel.Nifti1Image(heads["scan-1"].transpose()[::-1], np.diag([-1.0, 1, 1, 1]))
    data = image.to_bytes()
    (tmp_path / "5.nii").write_bytes(data)
    twice = [replace(r, sha256=digest(data)) if r.scan == "scan-5" else r for r in manifest.rows]
    with pytest.raises(ContractError, match="1 scans stored twice: equal voxels: scan-1 .* scan-5"):
        check_leakage(write_manifest(tmp_path / "manifest.csv", twice))


@pytest.mark.parametrize("change", ["noise", "gain"])
def test_nearly_the_same_scan_is_refused(change: str, tmp_path: Path) -> None:
    heads, rows = clean()
    rng = np.random.default_rng(3)
    heads["scan-7"] = {
        "noise": heads["scan-3"] + rng.normal(0, 3, heads["scan-3"].shape).astype(np.float32),
        "gain": heads["scan-3"] * np.float32(1.3) + 17,
    }[change].astype(np.float32)
    with pytest.raises(ContractError, match=r"nearly the same .* scan-3 \(train\) and scan-7 \(te"):
        check_leakage(written(tmp_path, heads, rows))
    assert find_leaks(written(tmp_path, heads, rows), voxels=False).leaks == ()


def test_nearly_the_same_scans_of_one_part_do_no_harm(tmp_path: Path) -> None:
    heads, rows = clean()
    heads["scan-1"] = heads["scan-3"] + np.float32(0.5)
    assert check_leakage(written(tmp_path, heads, rows)).leaks == ()


def test_an_accession_under_two_subjects_is_refused_a_visit_is_not(tmp_path: Path) -> None:
    heads, rows = clean()
    for name in ("ses-1", "bl", "M06", "2", ""):
        visits = [replace(row, session=name) for row in rows]
        assert check_leakage(written(tmp_path, heads, visits), voxels=False).leaks == ()
    rows[7] = replace(rows[7], session="I0")
    with pytest.raises(ContractError, match="1 sessions under several subjects: I0: scan-0"):
        check_leakage(written(tmp_path, heads, rows), voxels=False)


def test_all_leaks_are_told_at_once(tmp_path: Path) -> None:
    heads, rows = clean()
    rows[6] = replace(rows[6], subject="sub-0", session="I1")
    with pytest.raises(ContractError, match="(?s)subjects in several.*sessions under several"):
        check_leakage(written(tmp_path, heads, rows), voxels=False)


def test_a_part_or_fold_of_one_class_is_refused(tmp_path: Path) -> None:
    heads, rows = clean()
    lonely = [replace(r, part="val") if r.scan in ("scan-1", "scan-3") else r for r in rows]
    with pytest.raises(ContractError, match="scans of one class only in train, val"):
        check_leakage(written(tmp_path, heads, lonely), voxels=False)
    folds = [replace(r, part="", fold=n % 2) for n, r in enumerate(rows)]
    with pytest.raises(ContractError, match="one class only in fold 0, fold 1"):
        check_leakage(written(tmp_path, heads, folds), voxels=False)


def test_a_scan_that_changed_is_refused(tmp_path: Path) -> None:
    manifest = written(tmp_path, *clean())
    (tmp_path / "2.nii").write_bytes(b"something else")
    with pytest.raises(SourceError, match="changed after the split"):
        check_leakage(manifest)


def test_specimen_heads_are_told_apart_and_random_splits_leak(tmp_path: Path) -> None:
    table = write_heads(tmp_path, subjects=8, scans_per_subject=2, seed=4, scanner=COARSE)
    rows = [
        ScanRow(s.scan, s.subject, s.session, s.label, str(Path(s.uri).relative_to(tmp_path)), "",
                digest(Path(s.uri).read_bytes()), "")
        for s in read_scan_table(table)
    ]  # fmt: skip
    shares = {"train": 0.5, "test": 0.5}
    manifest = write_manifest(tmp_path / "m.csv", split_scans(rows, shares, seed=1))
    assert check_leakage(manifest).leaks == ()
    mixed = write_manifest(tmp_path / "n.csv", split_scans(rows, shares, seed=1, by="scan"))
    with pytest.raises(ContractError, match="subjects in several parts"):
        check_leakage(mixed, voxels=False)
