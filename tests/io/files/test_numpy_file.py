"""NumPy files: names, damage, and what is cheap to read."""

from pathlib import Path

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io import open_volume


def test_numpy_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "em.npz", raw=np.zeros((2, 3, 4)), seg=np.zeros((2, 3, 4), int))
    with pytest.raises(SourceError, match=r"name an array in it; there are: .*::raw, .*::seg"):
        open_volume(tmp_path / "em.npz")
    with pytest.raises(SourceError, match=r"no array 'x' in it"):
        open_volume(f"{tmp_path}/em.npz::x")
    np.save(tmp_path / "o.npy", np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(SourceError, match="pickled objects"):
        open_volume(tmp_path / "o.npy")
    np.save(tmp_path / "em.npy", np.zeros((9, 9, 9)))
    (tmp_path / "em.npy").write_bytes((tmp_path / "em.npy").read_bytes()[:300])
    with pytest.raises(SourceError, match="may be truncated"):
        open_volume(tmp_path / "em.npy")
    (tmp_path / "em.npz").write_bytes((tmp_path / "em.npz").read_bytes()[:100])
    with pytest.raises(SourceError, match="may be truncated"):
        open_volume(f"{tmp_path}/em.npz::raw")


def test_numpy_says_what_is_cheap(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.zeros((4, 1024, 2048), "u1"))
    np.save(tmp_path / "f.npy", np.zeros((4, 1024, 2048), "u1", order="F"))
    assert open_volume(tmp_path / "c.npy").chunk_shape == (1, 512, 2048)
    assert open_volume(tmp_path / "f.npy").chunk_shape == (4, 1024, 256)
