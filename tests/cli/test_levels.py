"""The command pyramid."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.io import create_volume, open_volume
from volkit.kernels.downsample import mean
from volkit.ops import level_plan

Says = Callable[..., str]


@pytest.fixture
def em(tmp_path: Path) -> Path:
    volume = create_volume(
        tmp_path / "em.zarr", shape=(6, 40, 300), dtype="uint8", voxel_size_nm=(40, 4, 4)
    )
    volume.write(volume.domain, np.random.default_rng(0).integers(0, 99, volume.shape, np.uint8))
    return tmp_path / "em.zarr"


def test_levels_until_a_viewer_shows_them_at_once(em: Path, says: Says) -> None:
    said = says("pyramid", em)
    assert "level 1              1/1 blocks, done in" in said
    assert "6 x 20 x 150" in said
    assert said.splitlines()[-1] == f"next: volkit info {em}"
    volume = open_volume(em)
    assert volume.levels == 2
    np.testing.assert_array_equal(
        volume.at_level(1).read(), mean(volume.read(), (1, 2, 2), start=(0, 0, 0))
    )
    said = says("pyramid", em)
    assert "nothing to build: these levels are there already; --replace builds them anew" in said
    assert "nothing" not in says("pyramid", em, "--replace")


def test_factors(em: Path, says: Says) -> None:
    says("pyramid", em, "--factor", "1,2,4", "--factor", "2x3x1", "--method", "mode")
    assert [open_volume(em, level=n).shape for n in (1, 2)] == [(6, 20, 75), (3, 7, 75)]
    said = says("pyramid", em, "--factor", "2,2,2", "--levels", 2, code=1)
    assert "made by mode of 1 x 2 x 4; asked for by mean of 2 x 2 x 2" in said
    says("pyramid", em, "--factor", "2,2,2", "--levels", 3, "--replace")
    assert open_volume(em, level=2).shape == (2, 10, 75)


def test_nothing_to_do(says: Says, tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(2, 3, 4), dtype="uint8")
    volume.write(volume.domain, np.ones(volume.shape, np.uint8))
    assert "no longer than 256 voxels on any axis; ask for more" in says("pyramid", volume.uri)
    assert "one level was asked for" in says("pyramid", volume.uri, "--levels", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factor", "2,2"], "--factor '2,2' is not three numbers; give (z, y, x)"),
        (["--factor", "2,9,2"], "factor (2, 9, 2); give 1 to 4 on every axis"),
        (["--levels", "0"], "levels=0; give 1 to 64, level 0 included"),
        (["--credentials", "token"], "credentials are not understood"),
    ],
)
def test_errors_are_one_message(em: Path, says: Says, arguments, message) -> None:
    said = says("pyramid", em, *arguments, code=1)
    assert said.startswith("error: ")
    assert message in said
    assert len(said.splitlines()) == 1


def test_a_file_cannot_have_levels(says: Says, tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.zeros((4, 4, 4), np.uint8))
    said = says("pyramid", tmp_path / "em.npy", code=1)
    assert "no levels can be added; make a copy that has them: volkit mirror" in said


def test_an_interrupt_is_taken_up(tmp_path: Path, says: Says, monkeypatch, warm_python) -> None:
    volume = create_volume(
        tmp_path / "em.zarr", shape=(16, 64, 64), dtype="uint8", chunk_shape=(8, 8, 8)
    )
    volume.write(volume.domain, np.random.default_rng(0).integers(0, 99, volume.shape, np.uint8))
    script = (
        "import os, signal\n"
        "from volkit.cli import main\n"
        "from volkit.ops import level_plan, multiscale\n"
        "level_plan._INPUT_BYTES, mean, calls = 4096, multiscale._KERNELS['mean'], []\n"
        "def interrupted(values, factor, *, start):\n"
        "    calls.append(start)\n"
        "    if len(calls) == 9: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return mean(values, factor, start=start)\n"
        "multiscale._KERNELS['mean'] = interrupted\n"
        "main()\n"
    )
    done = warm_python("-c", script, "pyramid", volume.uri, "--levels", 3)
    assert done.returncode == 130
    assert done.stderr.splitlines() == [
        "error: interrupted; what is finished is kept: the same command goes on from there"
    ]
    assert (tmp_path / "em.zarr.pyramid").exists()
    assert open_volume(volume.uri).levels == 1
    monkeypatch.setattr(level_plan, "_INPUT_BYTES", 4096)
    says("pyramid", volume.uri, "--levels", 3)
    np.testing.assert_array_equal(
        open_volume(volume.uri, level=1).read(), mean(volume.read(), (2, 2, 2), start=(0, 0, 0))
    )
    assert open_volume(volume.uri).levels == 3
    assert [p.name for p in tmp_path.iterdir()] == ["em.zarr"]
