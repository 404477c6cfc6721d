"""DICOM: series that pydicom writes here, in any order of files, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.testing.source_contract import SourceTests

SERIES = generate_uid(entropy_srcs=["volkit", "series"])
ALONG, NAME = [1, 0, 0, 0, 1, 0], "Doe^Jane"


def image(plane: np.ndarray, **values: Any) -> FileDataset:
    """Make an image of one plane, or of frames where ``plane`` has three axes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = values.pop("kind", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = values.pop("syntax", ExplicitVRLittleEndian)
    little = meta.TransferSyntaxUID.is_little_endian
    head = FileDataset(
        "", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=little
    )
    head.SOPClassUID = meta.MediaStorageSOPClassUID
    head.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    head.PatientName, head.PatientID, head.PatientBirthDate = NAME, "4711", "19700101"
    head.SeriesInstanceUID, head.Modality = SERIES, "CT"
    colours = values.get("SamplesPerPixel", 1) > 1
    head.Rows, head.Columns = plane.shape[-3:-1] if colours else plane.shape[-2:]
    head.SamplesPerPixel, head.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = plane.dtype.itemsize * 8
    head.BitsAllocated, head.BitsStored, head.HighBit = bits, bits, bits - 1
    head.PixelRepresentation = int(plane.dtype.kind == "i")
    head.PixelSpacing, head.ImageOrientationPatient = [0.5, 0.25], ALONG
    if plane.ndim - colours == 3:
        head.NumberOfFrames = len(plane)
    for name, value in values.items():
        if value is None:
            delattr(head, name)
        else:
            setattr(head, name, value)
    head.PixelData = plane.tobytes()
    head["PixelData"].VR = "OB" if bits == 8 else "OW"
    return head


def save(head: FileDataset, path: Path) -> Path:
    """Write a file as the standard has it."""
    head.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, values: np.ndarray, *, name: str = "{}.dcm", **head: Any) -> Path:
    """Write planes 2 mm apart; names run against the order of space."""
    for z, plane in enumerate(values):
        at = {"ImagePositionPatient": [-7, 3, 10 + 2 * z], "InstanceNumber": 99 - z}
        save(image(plane, **(at | head)), folder / name.format(f"{99 - z:03d}"))
    return folder


class TestDicom(SourceTests):
    voxel_size_nm = (2e6, 0.5e6, 0.25e6)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(series(folder, values))


class TestDicomWithoutSuffix(TestDicom):
    dtype = "int16"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        (folder / "README.txt").write_text("of the scanner")
        (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
        return open_volume(series(folder, values, name="1.2.{}"))


class TestDicomFrames(TestDicom):
    def store(self, folder: Path, values: np.ndarray) -> Volume:
        head = image(values, kind=EnhancedMRImageStorage, PixelSpacing=None, Modality="MR")
        del head.ImageOrientationPatient
        shared, each = Dataset(), []
        measures, turned = Dataset(), Dataset()
        measures.PixelSpacing, turned.ImageOrientationPatient = [0.5, 0.25], ALONG
        shared.PixelMeasuresSequence = [measures]
        shared.PlaneOrientationSequence = [turned]
        for z in range(len(values)):
            frame, place = Dataset(), Dataset()
            place.ImagePositionPatient = [0, 0, 2 * z]
            frame.PlanePositionSequence = [place]
            each.append(frame)
        head.SharedFunctionalGroupsSequence = [shared]
        head.PerFrameFunctionalGroupsSequence = each
        return open_volume(save(head, folder / "mr.dcm"))


class TestDicomColours(TestDicom):
    channels = 3
    dtype = "uint8"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        planes = np.ascontiguousarray(values.transpose(1, 2, 3, 0))
        head = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        return open_volume(series(folder, planes, **head))


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, (4, 5, 7)).astype("u2")


def test_no_word_about_the_patient(tmp_path: Path, values: np.ndarray) -> None:
    volume = open_volume(series(tmp_path, values))
    said = f"{volume!r} {volume.attributes} {volume.identity}"
    assert not any(word in said for word in ("Doe", "Jane", "4711", "1970", SERIES))
    assert volume.attributes["modality"] == "CT"


def test_orientation_is_that_of_nifti(tmp_path: Path, values: np.ndarray) -> None:
    """DICOM counts to the left and back: voxel (0, 0, 0) at x = -7 mm is 7 mm to the right."""
    volume = open_volume(series(tmp_path, values))
    assert volume.attributes["orientation"] == "LPS"
    np.testing.assert_allclose(
        volume.attributes["affine_mm"],
        [[-0.25, 0, 0, 7], [0, -0.5, 0, -3], [0, 0, 2, 10], [0, 0, 0, 1]],
    )
    assert volume.origin_nm == (0, 0, 0)


def test_planes_that_stand(tmp_path: Path, values: np.ndarray) -> None:
    """Coronal: rows go to the right, columns up, planes forward, with an origin of their own."""
    for z, plane in enumerate(values):
        place = [7, 5 - 3 * z, -11]
        turned = [-1, 0, 0, 0, 0, 1]
        head = image(plane, ImagePositionPatient=place, ImageOrientationPatient=turned)
        save(head, tmp_path / f"{z}.dcm")
    volume = open_volume(tmp_path)
    assert volume.attributes["orientation"] == "RSP"  # z along the normal, rows x columns
    np.testing.assert_array_equal(volume.read(), values[::-1])
    assert volume.voxel_size_nm == (3e6, 0.5e6, 0.25e6)


def test_whole_rescaling_keeps_integers(tmp_path: Path, values: np.ndarray) -> None:
    head = {"RescaleSlope": 1, "RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
    volume = open_volume(series(tmp_path, values, **head))
    assert volume.dtype == np.int16
    np.testing.assert_array_equal(volume.read(), values.astype(int) - 1024)


def test_rescaling_that_needs_more(tmp_path: Path) -> None:
    values = np.full((2, 3, 4), 60000, "u2")
    wide, odd = tmp_path / "wide", tmp_path / "odd"
    wide.mkdir()
    odd.mkdir()
    volume = open_volume(series(wide, values, RescaleSlope=1, RescaleIntercept=-1024))
    assert volume.dtype == np.int32
    assert (volume.read() == 58976).all()
    volume = open_volume(series(odd, values, RescaleSlope="0.5", RescaleIntercept="1.5"))
    assert volume.dtype == np.float32
    assert (volume.read() == 30001.5).all()


@pytest.mark.parametrize("syntax", [RLELossless, ExplicitVRBigEndian])
def test_transfer_syntaxes(tmp_path: Path, values: np.ndarray, syntax: Any) -> None:
    for z, plane in enumerate(values):
        if syntax is RLELossless:
            head = image(plane, ImagePositionPatient=[0, 0, z])
            head.compress(RLELossless)
        else:
            head = image(plane.byteswap(), ImagePositionPatient=[0, 0, z], syntax=syntax)
        save(head, tmp_path / f"{z}.dcm")
    np.testing.assert_array_equal(open_volume(tmp_path).read(), values)


def test_compression_without_a_decoder(tmp_path: Path) -> None:
    if pydicom.pixels.get_decoder(JPEGLSLossless).is_available:
        pytest.skip("a decoder of JPEG-LS is installed here")
    head = image(np.zeros((4, 4), "u1"), ImagePositionPatient=[0, 0, 0], syntax=JPEGLSLossless)
    head.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    head["PixelData"].VR = "OB"
    save(head, tmp_path / "a.dcm")
    with pytest.raises(
        SourceError, match=r"compressed as JPEG-LS Lossless.*install one of .*pylibjpeg"
    ):
        open_volume(tmp_path / "a.dcm")


def test_frames_without_positions(tmp_path: Path, values: np.ndarray) -> None:
    head = image(values, ImageOrientationPatient=None, SpacingBetweenSlices=4)
    volume = open_volume(save(head, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(volume.read(), values)
    assert volume.voxel_size_nm == (4e6, 0.5e6, 0.25e6)
    assert "affine_mm" not in volume.attributes


def test_files_without_positions(tmp_path: Path, values: np.ndarray) -> None:
    head = {"ImageOrientationPatient": None, "SliceThickness": 3}
    for z, plane in enumerate(values):
        save(image(plane, InstanceNumber=z, **head), tmp_path / f"{9 - z}.dcm")
    volume = open_volume(tmp_path)
    np.testing.assert_array_equal(volume.read(), values)
    assert volume.voxel_size_nm == (3e6, 0.5e6, 0.25e6)
    save(image(values[0], InstanceNumber=2, **head), tmp_path / "z.dcm")
    with pytest.raises(SourceError, match="7.dcm and z.dcm state neither positions nor different"):
        open_volume(tmp_path)


def test_a_plane_alone(tmp_path: Path, values: np.ndarray) -> None:
    head = image(values[0], ImagePositionPatient=[0, 0, 0], SliceThickness=5)
    volume = open_volume(save(head, tmp_path / "a.dcm"))
    assert volume.shape == (1, 5, 7)
    assert volume.voxel_size_nm == (5e6, 0.5e6, 0.25e6)
    np.testing.assert_array_equal(volume.read(Box((0, 1, 2), (1, 4, 7))), values[:1, 1:4, 2:7])


def test_gaps_and_copies(tmp_path: Path, values: np.ndarray) -> None:
    series(tmp_path, np.concatenate([values, values]))
    (tmp_path / "097.dcm").rename(tmp_path / "aside.txt")
    (tmp_path / "aside.txt").write_text("")
    with pytest.raises(SourceError, match=r"4 mm lie between 098.dcm and 096.dcm, 2 mm between"):
        open_volume(tmp_path)
    series(tmp_path, np.concatenate([values, values]))
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "096.dcm").read_bytes())
    with pytest.raises(SourceError, match=r"096.dcm and copy.dcm lie at one place"):
        open_volume(tmp_path)


def test_planes_that_do_not_fit_together(tmp_path: Path, values: np.ndarray) -> None:
    def refused(message: str, **head: Any) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        series(folder, values)
        at = {"ImagePositionPatient": [-7, 3, 18]} | head
        save(image(at.pop("plane", values[0]), **at), folder / "new.dcm")
        with pytest.raises(SourceError, match=message):
            open_volume(folder)

    refused("holds 2 series .4 as 096.dcm; 1 as new.dcm.", SeriesInstanceUID=generate_uid())
    refused("new.dcm has Rows 6, 096.dcm has 5", plane=np.zeros((6, 7), "u2"))
    refused("new.dcm has BitsAllocated 8", plane=np.zeros((5, 7), "u1"))
    refused(r"new.dcm has pixel_mm \(0.5, 0.5\)", PixelSpacing=[0.5, 0.5])
    refused(r"new.dcm has directions", ImageOrientationPatient=[0, 1, 0, 1, 0, 0])


def test_tilted_gantry(tmp_path: Path, values: np.ndarray) -> None:
    for z, plane in enumerate(values):
        save(image(plane, ImagePositionPatient=[0, 0.4 * z, 2 * z]), tmp_path / f"{z}.dcm")
    with pytest.raises(SourceError, match="lies 0.4 mm aside of the one before it"):
        open_volume(tmp_path)


def test_cut_and_damaged(tmp_path: Path, values: np.ndarray) -> None:
    series(tmp_path, np.tile(values, (1, 9, 9)))
    path = tmp_path / "097.dcm"
    whole = path.read_bytes()
    for length in (0, 140, 700, len(whole) - 100):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="097.dcm"):
            open_volume(tmp_path)
    path.write_bytes(b"no scan" * 100)
    with pytest.raises(SourceError, match="097.dcm cannot be opened as DICOM"):
        open_volume(tmp_path)


def test_a_compressed_plane_that_was_cut(tmp_path: Path, values: np.ndarray) -> None:
    for z, plane in enumerate(np.tile(values, (1, 9, 9))):
        head = image(plane, ImagePositionPatient=[0, 0, z])
        head.compress(RLELossless)
        save(head, tmp_path / f"{z}.dcm")
    path = tmp_path / "2.dcm"
    path.write_bytes(path.read_bytes()[:-2000])
    volume = open_volume(tmp_path)
    volume.read(Box((0, 0, 0), (2, 45, 63)))
    with pytest.raises(SourceError, match=r"pixels of 2.dcm cannot be decoded"):
        volume.read()


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no .tif, .tiff or .png files are there"):
        open_volume(tmp_path)
    head = image(np.zeros((4, 4), "u1"))
    del head.Rows
    save(head, tmp_path / "report.dcm")
    with pytest.raises(SourceError, match="report.dcm states no Rows; it holds no image"):
        open_volume(tmp_path)
