"""Scans as bytes: whole NIfTI files, and what is refused."""

import gzip

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io.files.scan_bytes import scan_bytes, scan_of

nibabel = pytest.importorskip("nibabel")

VALUES = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)


def test_a_scan_is_read_as_it_was_written_packed_or_not() -> None:
    data = scan_bytes(VALUES, np.eye(4))
    assert data == scan_bytes(VALUES.copy(), np.eye(4))
    for stored in (data, gzip.compress(data)):
        values, affine = scan_of("a", stored)
        np.testing.assert_array_equal(values, VALUES)
        np.testing.assert_array_equal(affine, np.eye(4))


def test_others_read_the_same_scan() -> None:
    image = nibabel.Nifti1Image.from_bytes(scan_bytes(VALUES, np.diag([1, 2, 3, 1.0])))
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), VALUES.transpose())
    assert image.header.get_zooms() == (1, 2, 3)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_the_scale_and_the_unit_of_a_file_are_applied() -> None:
    image = nibabel.Nifti1Image(
        np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.diag([2e-3] * 3 + [1])
    )
    image.header.set_slope_inter(0.5, 3)
    image.header.set_xyzt_units("meter")
    values, affine = scan_of("a", image.to_bytes())
    np.testing.assert_allclose(np.diag(affine), [2, 2, 2, 1], rtol=1e-6)
    assert values.dtype == np.float32
    others = np.asarray(nibabel.Nifti1Image.from_bytes(image.to_bytes()).dataobj)
    np.testing.assert_allclose(values.transpose(), others)


def test_version_2_is_read() -> None:
    image = nibabel.Nifti2Image(VALUES.transpose(), np.eye(4))
    np.testing.assert_array_equal(scan_of("a", image.to_bytes())[0], VALUES)


def test_a_series_of_time_points_is_refused() -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4, 3), np.int16), np.eye(4))
    with pytest.raises(SourceError, match=r"shape \(4, 4, 4, 3\), expected three axes"):
        scan_of("bold.nii", image.to_bytes())
    one = nibabel.Nifti1Image(np.zeros((4, 4, 4, 1), np.int16), np.eye(4))
    assert scan_of("one.nii", one.to_bytes())[0].shape == (4, 4, 4)


def test_a_file_without_affine_is_refused() -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    with pytest.raises(SourceError, match="states no affine"):
        scan_of("scan.nii", image.to_bytes())


@pytest.mark.parametrize("data", [b"", b"no scan at all", scan_bytes(VALUES, np.eye(4))[:380]])
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match="a.nii.*(cannot be read)"):
        scan_of("a.nii", data)
    with pytest.raises(SourceError, match="cannot be read"):
        scan_of("a.nii", gzip.compress(scan_bytes(VALUES, np.eye(4)))[:90])
