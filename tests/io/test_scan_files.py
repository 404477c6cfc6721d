"""Acquired scans: NIfTI and DICOM, here and in a store, give the same head."""

import gzip
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from volkit.errors import SourceError
from volkit.io.files.canonical import reoriented
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.objects.protocol import open_objects
from volkit.io.scan_files import is_nifti, read_acquired, stamp
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.loopback import Answer, Call
from volkit.testing.servers.s3 import S3Server

nibabel = pytest.importorskip("nibabel")

HEAD = np.random.default_rng(0).integers(0, 900, (4, 5, 6)).astype(np.int16)
AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])


def dicom_planes(values: np.ndarray, **changes: object) -> dict[str, bytes]:
    """Write axial planes as a scanner does: x to the Left, y to Posterior (LPS)."""
    series, files = generate_uid(entropy_srcs=["volkit", "t1w"]), {}
    turned, affine = reoriented(values, AFFINE, "LPS")
    for z, plane in enumerate(turned):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["volkit", str(z)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        head = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        head.SOPClassUID, head.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        head.SeriesInstanceUID, head.Modality = series, "MR"
        head.Rows, head.Columns = plane.shape
        head.SamplesPerPixel, head.PhotometricInterpretation = 1, "MONOCHROME2"
        head.BitsAllocated, head.BitsStored, head.HighBit = 16, 16, 15
        head.PixelRepresentation = 1
        head.PixelSpacing, head.SliceThickness = [1.5, 1.0], 2.0
        head.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        # DICOM counts x to the Left and y to Posterior: of RAS, minus.
        x, y, _ = affine[:3, 3]
        head.ImagePositionPatient = [-x, -y, 2.0 * z]
        for name, value in changes.items():
            setattr(head, name, value(z) if callable(value) else value)
        head.PixelData = plane.astype(np.int16).tobytes()
        stream = BytesIO()
        head.save_as(stream, enforce_file_format=True)
        files[f"{z:02d}.dcm"] = stream.getvalue()
    return files


def test_nifti_and_dicom_give_the_same_head(tmp_path: Path) -> None:
    turned, frame = reoriented(HEAD, AFFINE, "PIR")
    (tmp_path / "head.nii.gz").write_bytes(gzip.compress(scan_bytes(turned, frame)))
    (tmp_path / "series").mkdir()
    for name, data in dicom_planes(HEAD).items():
        (tmp_path / "series" / name).write_bytes(data)
    for place, orientation in (("head.nii.gz", "PIR"), ("series", "LPS")):
        found = read_acquired(str(tmp_path / place))
        np.testing.assert_array_equal(found.values, HEAD)
        np.testing.assert_allclose(found.affine, AFFINE, atol=1e-6)
        assert found.values.dtype == np.float32
        assert found.spacing_mm == pytest.approx((2.0, 1.5, 1.0))
        assert found.facts["orientation"] == orientation


def test_a_store_gives_what_a_folder_does(tmp_path: Path) -> None:
    objects = open_objects("memory://scan-files")
    objects.put("head.nii", scan_bytes(HEAD, AFFINE))
    series = open_objects("memory://scan-files/series")
    for name, data in dicom_planes(HEAD).items():
        series.put(name, data)
        (tmp_path / name).write_bytes(data)
    local = read_acquired(str(tmp_path))
    far = read_acquired("memory://scan-files/series")
    np.testing.assert_array_equal(far.values, HEAD)
    assert (far.sha256, far.facts) == (local.sha256, local.facts)
    np.testing.assert_array_equal(read_acquired("memory://scan-files/head.nii").values, HEAD)
    assert stamp("memory://scan-files/series") != ""
    assert stamp("memory://scan-files/nothing.nii") == ""


class Unlisted(FileServer):
    """Files of a bucket that nobody may list: what is not there is refused, not missed."""

    def answer(self, call: Call) -> Answer:
        found = super().answer(call)
        return Answer(403) if found.status == 404 else found


def test_what_may_stand_beside_a_scan_may_be_refused(tmp_path: Path) -> None:
    (tmp_path / "head.nii").write_bytes(scan_bytes(HEAD, AFFINE))
    with Unlisted(tmp_path) as server:
        found = read_acquired(f"{server.url}/head.nii")
        np.testing.assert_array_equal(found.values, HEAD)
        assert found.facts["contrast_agent"] == ""
        assert stamp(f"{server.url}/head.nii") != ""
        with pytest.raises(SourceError, match="access is denied"):
            read_acquired(f"{server.url}/other.nii")


@pytest.mark.parametrize(("packed", "upper"), [(False, False), (True, False), (False, True)])
def test_a_pair_is_one_scan_by_the_name_of_either_file(
    packed: bool, upper: bool, tmp_path: Path
) -> None:
    ends = [f".{e.upper() if upper else e}{'.gz' * packed}" for e in ("hdr", "img")]
    pair = nibabel.Nifti1Pair(HEAD.transpose(), AFFINE)
    files = pair.make_file_map({"header": BytesIO(), "image": BytesIO()})
    pair.to_file_map(files)
    for name, end in zip(("header", "image"), ends, strict=True):
        data = files[name].fileobj.getvalue()
        (tmp_path / f"head{end}").write_bytes(gzip.compress(data) if packed else data)
    one, other = (read_acquired(str(tmp_path / f"head{end}")) for end in ends)
    np.testing.assert_array_equal(one.values, HEAD)
    np.testing.assert_array_equal(one.affine, AFFINE)
    assert (one.sha256, one.facts) == (other.sha256, other.facts)
    stamps = [stamp(str(tmp_path / f"head{end}")) for end in ends]
    assert stamps[0] == stamps[1] != ""
    (tmp_path / f"head{ends[1]}").write_bytes(b"other voxels")
    assert stamp(str(tmp_path / f"head{ends[0]}")) != stamps[0]
    (tmp_path / f"head{ends[1]}").unlink()
    assert stamp(str(tmp_path / f"head{ends[0]}")) == ""
    with pytest.raises(SourceError, match=f"head{ends[1]} beside it does not exist"):
        read_acquired(str(tmp_path / f"head{ends[0]}"))


def test_a_stamp_changes_with_what_is_said_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "head.nii").write_bytes(scan_bytes(HEAD, AFFINE))
    before = stamp(str(tmp_path / "head.nii"))
    (tmp_path / "head.json").write_text('{"ContrastBolusAgent": "gadolinium"}')
    assert stamp(str(tmp_path / "head.nii")) != before


def test_a_series_in_a_store_is_refused_by_its_name() -> None:
    series = open_objects("memory://scan-files/mixed")
    for name, data in dicom_planes(HEAD, ImagePositionPatient=[0, 0, 1.0]).items():
        series.put(name, data)
    with pytest.raises(SourceError, match="^memory://scan-files/mixed: 00.dcm and 01.dcm lie at"):
        read_acquired("memory://scan-files/mixed")


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "head.nii"
    assert stamp(str(path)) == ""
    path.write_bytes(scan_bytes(HEAD, AFFINE))
    before = stamp(str(path))
    path.write_bytes(scan_bytes(HEAD[:3], AFFINE))
    assert "" != before != stamp(str(path))
    for name, data in dicom_planes(HEAD).items():
        (tmp_path / name).write_bytes(data)
    folder = stamp(str(tmp_path))
    path.unlink()
    assert stamp(str(tmp_path)) != folder


def test_a_series_in_a_store_is_asked_for_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("moto")
    with S3Server() as server:
        server.bucket("scans")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        uri = f"s3://scans/series?endpoint={server.endpoint}"
        series = open_objects(uri)
        for name, data in dicom_planes(HEAD).items():
            series.put(name, data)
        before = len(server.requests)
        word = stamp(uri)
        heads = [each for each in server.requests[before:] if each.method == "HEAD"]
        assert not any(each.path.endswith(".dcm") for each in heads)
        series.put("01.dcm", b"other")
        assert "" != stamp(uri) != word


def test_a_contrast_agent_is_told_wherever_it_is_named(tmp_path: Path) -> None:
    data = scan_bytes(HEAD, AFFINE)
    for name in ("plain_T1w.nii", "sub-1_ce-gadobutrol_T1w.nii", "beside_T1w.nii"):
        (tmp_path / name).write_bytes(data)
    beside = {"ContrastBolusIngredient": "GADOLINIUM"}
    (tmp_path / "beside_T1w.json").write_text(json.dumps(beside))
    (tmp_path / "plain_T1w.json").write_text("no JSON")
    (tmp_path / "none_T1w.nii").write_bytes(data)
    none = {"ContrastBolusAgent": "NONE", "ContrastBolusIngredient": ""}
    (tmp_path / "none_T1w.json").write_text(json.dumps(none))
    (tmp_path / "series").mkdir()
    for name, each in dicom_planes(HEAD, ContrastBolusAgent="Magnevist").items():
        (tmp_path / "series" / name).write_bytes(each)
    told = {
        name: read_acquired(str(tmp_path / name)).facts["contrast_agent"]
        for name in ("plain_T1w.nii", "sub-1_ce-gadobutrol_T1w.nii", "beside_T1w.nii", "series")
    }
    assert list(told.values()) == ["", "gadobutrol", "GADOLINIUM", "Magnevist"]
    assert read_acquired(str(tmp_path / "none_T1w.nii")).facts["contrast_agent"] == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"ImageOrientationPatient": lambda z: [1, 0, 0, 0, 1, 0] if z else [1, 0, 0, 0, 0, -1]},
            "has directions .* the planes of one volume are parallel and alike",
        ),
        ({"ImagePositionPatient": lambda z: [0, 0, 2.0 * (z % 2)]}, "lie at one place"),
    ],
)
def test_series_of_mixed_planes_are_refused(changes: dict, said: str, tmp_path: Path) -> None:
    for name, data in dicom_planes(HEAD, **changes).items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=said):
        read_acquired(str(tmp_path))


def test_what_is_absent_or_without_positions_is_refused(tmp_path: Path) -> None:
    for name in ("head.nii", "series"):
        with pytest.raises(SourceError, match="does not exist"):
            read_acquired(str(tmp_path / name))
    with pytest.raises(SourceError, match="does not exist"):
        read_acquired("memory://scan-files/nobody")
    assert is_nifti("s3://bucket/a.NII.GZ?region=eu")
    assert is_nifti("a.img.gz")
    assert not is_nifti("s3://bucket/series")
