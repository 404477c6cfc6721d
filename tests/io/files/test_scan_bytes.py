"""Scans as bytes: whole NIfTI files, and what is refused."""

import gzip
from io import BytesIO

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io.files.scan_bytes import scan_bytes, scan_of, stored_scan

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


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pair_is_read_as_one_file_is(kind, pack) -> None:
    image = kind(VALUES.transpose(), np.diag([1, 2, 3, 1.0]))
    files = kind.make_file_map({"header": BytesIO(), "image": BytesIO()})
    image.to_file_map(files)
    header, voxels = (pack(files[name].fileobj.getvalue()) for name in ("header", "image"))
    values, affine = stored_scan("a.hdr", header, voxels)
    np.testing.assert_array_equal(values, VALUES)
    np.testing.assert_array_equal(affine, np.diag([1, 2, 3, 1.0]))
    with pytest.raises(SourceError, match="its voxels take 240 bytes, 100 are there"):
        stored_scan("a.hdr", header, files["image"].fileobj.getvalue()[:100])


def test_a_pair_that_says_nothing_of_its_axes_is_refused() -> None:
    image = nibabel.AnalyzeImage(VALUES.transpose(), np.eye(4))
    files = image.make_file_map({"header": BytesIO(), "image": BytesIO()})
    image.to_file_map(files)
    header, voxels = (files[name].fileobj.getvalue() for name in ("header", "image"))
    with pytest.raises(SourceError, match=r"Analyze 7\.5 does not say which way its axes run"):
        stored_scan("a.hdr", header, voxels)


def test_voxels_that_are_no_real_numbers_are_refused() -> None:
    image = nibabel.Nifti1Image(VALUES.astype(np.complex64).transpose(), np.eye(4))
    with pytest.raises(SourceError, match="has voxels of complex64, expected real numbers"):
        scan_of("phase.nii", image.to_bytes())


def test_a_header_that_promises_too_much_costs_no_memory() -> None:
    data = bytearray(scan_bytes(VALUES, np.eye(4)))
    data[42:48] = np.array([30_000] * 3, "<i2").tobytes()  # 108 TB of voxels
    with pytest.raises(SourceError, match="its voxels take 108000000000000 bytes, 240 are there"):
        scan_of("a.nii", bytes(data))


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
