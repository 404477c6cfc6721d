"""The doctor: what it finds on this machine, and what it says where something is wrong."""

import json
import multiprocessing
import os
import shutil
import sys
import tomllib
from importlib.metadata import version
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from volkit.cli import main
from volkit.io.open import create_volume
from volkit.models.half_precision import is_emulated
from volkit.pipelines.doctor.check import Check
from volkit.pipelines.doctor.clusters import check_clusters, check_queues
from volkit.pipelines.doctor.gpu import driver_gpus, unusable
from volkit.pipelines.doctor.machine import check_machine, disk, quota
from volkit.pipelines.doctor.packages import _USES, check_packages, needed
from volkit.pipelines.doctor.stores import check_stores
from volkit.testing.servers.s3 import S3Server


def program(folder: Path, name: str, script: str) -> None:
    """Put a program on the path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_this_environment_has_what_volkit_needs() -> None:
    found = {check.name: check for check in check_packages()}
    assert found["python"].state == "ok"
    assert found["volkit"].state == "ok"
    assert "it needs" in found["volkit"].says


def test_packages_that_are_missing_or_too_old_are_named() -> None:
    here = version("numpy")
    wanted = [Requirement("numpy>=99"), Requirement("no-such-package-here>=2")]
    missing, old = needed("volkit", wanted)
    assert missing == Check(
        "volkit",
        "fail",
        "no-such-package-here>=2 not installed",
        "pip install 'no-such-package-here>=2'",
    )
    assert old.state == "fail"
    assert old.says == f"numpy {here} is installed, volkit needs >=99"
    assert old.advice == "pip install 'numpy>=99'"
    [fine] = needed("volkit", [Requirement("numpy>=1")])
    assert fine.state == "ok"


def test_every_extra_that_a_person_installs_is_looked_at() -> None:
    declared = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    # These are other ones together, or for work on volkit itself.
    others = {"all", "dev", "docs", "train"}
    assert set(_USES) == set(declared["optional-dependencies"]) - others


def test_machine() -> None:
    names = [check.name for check in check_machine()]
    assert names == ["threads", "memory", "disk", "scratch", "open files"]
    assert quota("200000 100000\n") == 2.0
    assert quota("max 100000\n") is None


def test_disks(tmp_path: Path) -> None:
    assert disk("disk", tmp_path, least_gib=0.0).state == "ok"
    full = disk("disk", tmp_path, least_gib=1e9)
    assert full.state == "warn"
    assert full.advice == "make room, or work in a folder with 1e+09 GiB or more"
    assert disk("scratch", tmp_path, least_gib=1e9).advice.startswith("set TMPDIR to")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert disk("disk", tmp_path).says == f"{tmp_path} cannot be written to"


def test_gpus_that_torch_does_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_gpus() == ()
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA A100, 40960 MiB, 550.1'")
    assert driver_gpus() == ("NVIDIA A100, 40960 MiB, 550.1",)
    blind = unusable(driver_gpus(), with_cuda=False)
    assert blind.state == "warn"
    assert "A100" in blind.says
    assert blind.advice.startswith("install a build of torch with CUDA")
    assert "CUDA_VISIBLE_DEVICES" in unusable(driver_gpus(), with_cuda=True).advice
    program(tmp_path, "nvidia-smi", "exit 9")
    assert driver_gpus() == ()
    none = unusable((), with_cuda=True)
    assert none.state == "ok"
    assert ("float32" in none.says) == is_emulated("bfloat16", "cpu")


def test_stores_are_read_and_written(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 9, 10), dtype=np.uint8)
    volume.write(volume.domain, np.ones((8, 9, 10), np.uint8))
    before = sorted(tmp_path.iterdir())
    output = tmp_path / "all" / "results"
    read, gone, written, room = check_stores([volume.uri, "nothing.zarr"], output=str(output))
    assert read.state == "ok"
    assert read.says.startswith("uint8, 8 x 9 x 10 voxels; 0.00 MiB came in ")
    assert (gone.state, gone.says) == ("fail", "nothing.zarr does not exist; check the path")
    assert written == Check(f"write {output}", "ok", "an object was written, read back and removed")
    assert room.name == f"disk {output}"
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_fills_meanwhile_stays(tmp_path: Path) -> None:
    output = tmp_path / "all" / "results"
    checks = check_stores([], output=str(output))
    assert next(checks).state == "ok"
    (output / "mine.txt").write_text("of somebody else")
    _, stays = checks
    assert (stays.name, stays.state) == (f"remove {output}", "warn")
    assert stays.says.endswith("cannot be removed again: Directory not empty")
    assert (output / "mine.txt").exists()


def test_a_bucket_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server() as server:
        server.bucket("lab")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        place = f"s3://lab/run?endpoint={server.endpoint}"
        [fine] = check_stores([], output=place)
        assert fine.state == "ok"
        [refused] = check_stores([], output=place, credentials="anonymous")
        assert refused.state == "fail"
        assert refused.advice == "choose another place, or other --credentials"


def test_queueing_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    [none] = check_queues()
    assert none.says.startswith("no queueing system is known here")
    program(tmp_path, "sinfo", "echo 'slurm_load_partitions: no controller' >&2; exit 1")
    [silent] = check_queues()
    assert silent.state == "warn"
    assert silent.says.endswith("and does not answer: slurm_load_partitions: no controller")
    program(tmp_path, "sinfo", "echo cpu; echo gpu")
    [asked] = check_queues()
    assert (asked.state, asked.advice) == ("warn", "run volkit on a login node")
    program(tmp_path, "sbatch", "true")
    [whole] = check_queues()
    assert whole.state == "ok"
    assert whole.says == "SLURM, cpu, gpu: say cluster: {system: slurm, …}"


def test_the_command_says_what_to_do_and_fails_where_something_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="1"):
        main(["doctor", "nothing.zarr", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["checks"][-1] == {
        "name": "read nothing.zarr",
        "state": "fail",
        "says": "nothing.zarr does not exist; check the path",
        "advice": "see the message",
    }
    assert {check["state"] for check in found["checks"][:-1]} <= {"ok", "warn"}
    [dask] = [check for check in found["checks"] if check["name"] == "dask"]
    assert dask["says"] == "a worker process started, answered and stopped"


def test_workers_that_do_not_start() -> None:
    resource_tracker.ensure_running()  # which is started in the same way
    multiprocessing.set_executable(shutil.which("false"))
    try:
        found = next(check_clusters())
    finally:
        multiprocessing.set_executable(sys.executable)
    assert (found.name, found.state) == ("dask", "fail")
    assert found.says.startswith("a worker process did not start: ")
    assert found.advice == "volkit run WORKFLOW --local"
