"""Packed files are decoded once in a process, and together bounded."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io import open_volume
from volkit.io.files import packed
from volkit.io.files.recent import Recent


def test_decoded_once_by_many_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "em.bin.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 100))
    opened: list[Path] = []
    plain = packed.open_stream

    def counted(found: Path) -> object:
        opened.append(found)
        return plain(found)

    monkeypatch.setattr(packed, "open_stream", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: packed.unpacked("em", path), range(16)))
    assert len(opened) == 1
    assert {id(array) for array in found} == {id(found[0])}
    assert found[0].size == 25600
    assert not found[0].flags.writeable


def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_MOST_BYTES", 1000)
    path = tmp_path / "em.bin.gz"
    path.write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(SourceError, match=r"larger than 0 GiB once decoded.*unpack it \(gunzip\)"):
        packed.unpacked("em", path)


def test_only_formats_that_are_read_packed(tmp_path: Path) -> None:
    (tmp_path / "em.tif.gz").write_bytes(gzip.compress(b"II"))
    with pytest.raises(SourceError, match="a packed .tif is not read.*unpack it"):
        open_volume(tmp_path / "em.tif.gz")


def test_recent_is_bounded_and_keeps_the_latest() -> None:
    recent = Recent(100)
    for key in "abc":
        recent.get(key, lambda: np.zeros(40, "u1"))
        recent.get("a", lambda: np.zeros(40, "u1"))
    assert recent.held_bytes == 80
    assert recent.find("b") is None  # "a" was asked for again
    assert recent.find("a") is not None
    recent.put("a", np.zeros(10, "u1"))
    assert recent.held_bytes == 50
    assert recent.get("large", lambda: np.zeros(101, "u1")).size == 101  # given, not kept
    assert recent.held_bytes == 0


def test_recent_makes_again_after_a_failure() -> None:
    recent = Recent(100)

    def fails() -> np.ndarray:
        raise ValueError("not yet")

    with pytest.raises(ValueError, match="not yet"):
        recent.get("a", fails)
    done = threading.Thread(target=recent.get, args=("a", lambda: np.zeros(3)))
    done.start()
    done.join(5)
    assert recent.find("a") is not None
