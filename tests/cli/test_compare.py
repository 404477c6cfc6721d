"""The command diff: verdicts, folders and exit codes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.io import create_volume

Says = Callable[..., str]


def stored(path: Path, values) -> Path:
    volume = create_volume(path, shape=values.shape, dtype=values.dtype)
    volume.write(volume.domain, values)
    return path


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    cells = np.arange(4 * 8 * 8).reshape(4, 8, 8).astype(np.uint64) // 32
    moved = cells.copy()
    moved[0, 0, 0] = 5
    return stored(tmp_path / "a.zarr", cells), stored(tmp_path / "b.zarr", moved)


def test_equal_volumes_are_identical(sides, tmp_path, says) -> None:
    said = says("diff", sides[0], sides[0], "--exit-code")
    assert "verdict: identical" in said
    folder = next(tmp_path.glob("diff-a-zarr-a-zarr-*"))
    assert (folder / "report.html").is_file()
    assert f"report: {folder.name}/report.html" in said


def test_a_change_is_told_and_ends_with_its_code_when_asked(sides, says) -> None:
    said = says("diff", *sides)
    assert "1 of 256 voxels" in said
    assert "verdict: small change" in said
    assert "blocks" not in says("diff", *sides, "--exit-code", code=3)  # all was there
    assert "large change" in says("diff", *sides, "--set", "small=0", "--box", "0:1,0:4,0:8")


def test_what_cannot_be_compared_ends_in_one_message(sides, says) -> None:
    said = says("diff", sides[0], "absent.csv", code=1)
    assert "compare two volumes, two tables or two runs" in said
    said = says("diff", *sides, "--set", "smal=0", code=1)
    assert "volkit diff: smal: unknown key; did you mean small?" in said
