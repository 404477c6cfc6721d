"""The mirror command, as a process and in this one."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.io import create_volume, open_volume

VOLKIT = ("-c", "from volkit.cli import main; main()")
Says = Callable[..., str]


@pytest.fixture(scope="module")
def em(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("em") / "em.zarr"
    shape = (40, 120, 120)
    volume = create_volume(
        path,
        shape=shape,
        dtype="uint16",
        voxel_size_nm=(1, 1, 1),
        start=(5, 6, 7),
        chunk_shape=(8, 24, 24),
    )
    volume.write(volume.domain, np.arange(np.prod(shape)).reshape(shape).astype(np.uint16))
    return path


def test_a_box_is_copied(em: Path, tmp_path: Path, says: Says) -> None:
    target = tmp_path / "copy.zarr"
    said = says("mirror", em, target, "--box", "8:20,10:100,7:127", "--block-shape", "8,64,64")
    assert " ".join(said.splitlines()[0].split()) == (
        "mirror 1/8 blocks, " + " ".join(said.splitlines()[0].split()[3:])
    )
    assert "KiB so far" in said
    assert f"volume: {target}" in said
    assert f"next: volkit info {target}" in said
    copy = open_volume(target)
    assert str(copy.domain) == "[8:20, 10:100, 7:127]"
    np.testing.assert_array_equal(copy.read(), open_volume(em).read(copy.domain))
    again = says("mirror", em, target, "--box", "8:20,10:100,7:127", "--block-shape", "8,64,64")
    assert "8/8 blocks, was done" in again
    assert "finished" in says("status", f"{target}.mirror")


def test_a_source_without_voxel_size_is_told_of_and_can_be_given_one(
    tmp_path: Path, says: Says
) -> None:
    np.save(tmp_path / "bare.npy", np.arange(512, dtype=np.uint8).reshape(8, 8, 8))
    said = says("mirror", tmp_path / "bare.npy", tmp_path / "copy.zarr")
    assert "bare.npy does not say how large its voxels are, and so neither does the copy" in said
    assert "not stated" in says("info", tmp_path / "copy.zarr", "--no-rate")
    size = ("--voxel-size", "40,4,4")
    said = says("mirror", tmp_path / "bare.npy", tmp_path / "sized.zarr", *size)
    assert "does not say" not in said
    assert open_volume(tmp_path / "sized.zarr").voxel_size_nm == (40, 4, 4)
    assert "--voxel-size 4,4: write three numbers" in says(
        "mirror", tmp_path / "bare.npy", tmp_path / "x.zarr", "--voxel-size", "4,4", code=1
    )


def test_another_copy_is_refused_unless_replaced(em: Path, tmp_path: Path, says: Says) -> None:
    target = tmp_path / "copy.zarr"
    says("mirror", em, target, "--box", "8:20,10:100,7:127")
    said = says("mirror", em, target, "--box", "8:21,10:100,7:127", code=2)
    assert "domain: [[8, 10, 7], [20, 100, 127]] became [[8, 10, 7], [21, 100, 127]]" in said
    says("mirror", em, target, "--box", "8:21,10:100,7:127", "--replace")
    assert open_volume(target).shape == (13, 90, 120)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--box", "8:20,10:100"), "--box 8:20,10:100: write three ranges z0:z1,y0:y1,x0:x1"),
        (("--box", "8:20,10:100,7:1000"), "box [8:20, 10:100, 7:1000] is outside"),
        (("--block-shape", "8,x,8"), "8,x,8: write three numbers z,y,x"),
        (("--level", "3"), "has no level 3"),
        (("--set", "verfy=false"), "verfy: unknown key; did you mean verify?"),
        (("--set", "input.credentials=abc123"), "credentials are not understood"),
    ],
)
def test_mistakes(
    em: Path, tmp_path: Path, says: Says, arguments: tuple[str, ...], message: str
) -> None:
    said = says("mirror", em, tmp_path / "copy.zarr", *arguments, code=1)
    assert message in said
    assert "abc123" not in said
    assert not (tmp_path / "copy.zarr").exists()


def test_absent_sources(tmp_path: Path, says: Says) -> None:
    said = says("mirror", tmp_path / "no.zarr", tmp_path / "copy.zarr", code=1)
    assert "no.zarr does not exist; check the path" in said


def test_plan_of_a_mirror(em: Path, tmp_path: Path, says: Says) -> None:
    (tmp_path / "mirror.yaml").write_text(
        f"pipeline: mirror\ninput: {{image: {em}}}\noutput: copy.zarr\nblock_shape: [8, 48, 48]\n"
    )
    said = says("plan", tmp_path / "mirror.yaml")
    assert "45 blocks of 8 x 48 x 48" in said
    assert "requests" in said
    assert "windows" not in said
    assert "1.1 MiB" in said


def test_interrupted_and_resumed(em: Path, tmp_path: Path, says: Says, warm_python) -> None:
    target = tmp_path / "copy.zarr"
    arguments = ["mirror", str(em), str(target), "--block-shape", "1,24,24"]
    with warm_python.begin(*VOLKIT, *arguments) as process:
        process.wait_for((tmp_path / "copy.zarr.mirror" / "mirror.ledger" / "done").exists)
        os.kill(process.pid, signal.SIGINT)
    ended = process.wait()
    assert ended.returncode == 130
    assert "interrupted; what is finished is kept" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "1000/1000 blocks, done" in says(*arguments)
    np.testing.assert_array_equal(open_volume(target).read(), open_volume(em).read())
