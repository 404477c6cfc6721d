"""What all files and arrays share."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from volkit.errors import SourceError
from volkit.io import open_volume


def test_arrays() -> None:
    array = np.arange(24, dtype=">i4").reshape(2, 3, 4)
    volume = open_volume(array, axes="xyz", voxel_size_nm=(40, 4, 4))
    assert volume.shape == (4, 3, 2)
    assert volume.dtype == np.dtype("i4")
    assert volume.voxel_size_nm == (40, 4, 4)
    assert volume == open_volume(array.copy(), axes="xyz", voxel_size_nm=(40, 4, 4))
    assert volume != open_volume(array + 1, axes="xyz", voxel_size_nm=(40, 4, 4))
    with pytest.raises(SourceError, match="has no level 1; it has level 0 only"):
        open_volume(array, level=1)
    with pytest.raises(SourceError, match="holds <U1"):
        open_volume(np.array([[["a"]]]))
    with pytest.raises(SourceError, match="has 2 axes"):
        open_volume(np.zeros((2, 2)))


@pytest.mark.parametrize("suffix", ["npy", "tif", "h5::raw"])
def test_files_have_one_level(tmp_path: Path, suffix: str) -> None:
    np.save(tmp_path / "em.npy", np.zeros((2, 3, 4)))
    tifffile.imwrite(tmp_path / "em.tif", np.zeros((2, 3, 4), "u1"))
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["raw"] = np.zeros((2, 3, 4))
    with pytest.raises(SourceError, match="has no level 3; it has level 0 only"):
        open_volume(f"{tmp_path}/em.{suffix}", level=3)


@pytest.mark.parametrize(
    "name", ["a.mrc", "a.nii", "a.nii.gz", "a.dcm", "a.png", "a.mp4", "a.h5", "a.npy", "a.avi"]
)
def test_a_file_of_another_kind(tmp_path: Path, name: str) -> None:
    tifffile.imwrite(tmp_path / name, np.zeros((8, 16, 16), "u1"))
    with pytest.raises(SourceError, match=name):
        open_volume(tmp_path / name).read()
    (tmp_path / "b.tif").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(SourceError, match="b.tif cannot be opened as TIFF"):
        open_volume(tmp_path / "b.tif")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no .tif, .tiff or .png files are there, nor those of"):
        open_volume(tmp_path)
    (tmp_path / "a.xyz").write_bytes(b"")
    with pytest.raises(SourceError, match="'.xyz' is not known; known are .avi, "):
        open_volume(tmp_path / "a.xyz")
