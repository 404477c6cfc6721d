"""The command batch: from tiles to a status table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.io import create_volume, open_volume

Ran = Callable[..., tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    volume = create_volume("em.zarr", shape=(8, 20, 30), dtype="uint8", start=(0, 5, 0))
    volume.write(volume.domain, np.arange(4800).astype(np.uint8).reshape(8, 20, 30))
    Path("mirror.yaml").write_text("pipeline: mirror\ninput: {image: em.zarr}\noutput: copy.zarr\n")
    return tmp_path


def test_a_volume_is_cut_into_tiles_that_run(folder, ran) -> None:
    listed, _ = ran("batch", "--tile", "em.zarr", "--size", "8,12,30", "--overlap", "0,4,0")
    assert listed.splitlines() == [
        "name,image,box",
        f'z0-y0-x0,{folder / "em.zarr"},"0:8,5:17,0:30"',
        f'z0-y1-x0,{folder / "em.zarr"},"0:8,13:25,0:30"',
    ]
    (folder / "list.csv").write_text(listed)
    said, _ = ran("batch", "list.csv", "--workflow", "mirror.yaml")
    assert "2 items: 2 finished" in said
    assert open_volume("list/z0-y1-x0/volume.zarr").domain.start == (0, 13, 0)
    said, _ = ran("batch", "list.csv", "--workflow", "mirror.yaml", "--status")
    assert "z0-y1-x0  finished     1/1         1" in said


def test_a_failure_is_told_and_ends_with_its_code(folder, ran) -> None:
    (folder / "list.csv").write_text('name,box\nfar,"0:8,0:20,0:30"\nall,\n')
    said, _ = ran("batch", "list.csv", "--workflow", "mirror.yaml", code=1)
    assert "far failed: box [0:8, 0:20, 0:30] is outside" in " ".join(said.split())
    assert "2 items: 1 failed, 1 finished" in said
    said, _ = ran("batch", "list.csv", "--workflow", "mirror.yaml", "--status")
    assert "2 items: 1 failed, 1 finished" in said


def test_what_makes_no_sense_ends_in_one_message(folder, ran) -> None:
    assert "give a batch file, or --tile URI" in ran("batch", code=1)[1]
    assert "--tile em.zarr without --size" in ran("batch", "--tile", "em.zarr", code=1)[1]
    (folder / "list.csv").write_text("name,imag\na,em.zarr\n")
    said = ran("batch", "list.csv", "--workflow", "mirror.yaml", code=1)[1]
    assert "line 2 (a): mirror.yaml: imag: unknown key" in said
