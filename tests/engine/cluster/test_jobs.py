"""Job scripts of every system, as a login node would write them; no system is needed."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest

from volkit.engine.cluster.credentials import Credentials
from volkit.engine.cluster.jobs import job_client, job_pools
from volkit.engine.cluster.keeper import Keeper, Pool
from volkit.engine.cluster.options import ClusterOptions
from volkit.engine.cluster.systems import SYSTEMS, has_ended
from volkit.engine.cluster.watch import CPU, GPU, Backlog, Watch
from volkit.errors import ConfigError


def scripts(folder: Path, **keys: Any) -> dict[str, str]:
    wanted: dict[str, Any] = {
        "workers": 8, "workers_per_job": 4, "memory_gib": 2.0, "gpus": 2, "gpu_cores": 3,
        "gpu_memory_gib": 16.0, "queue": "cpu", "gpu_queue": "gpu", "account": "lab",
        "walltime": "08:00", "prologue": ("module load cuda",), "directives": ("--extra",),
    }  # fmt: skip
    options = ClusterOptions(**{**wanted, **keys})
    folder.chmod(0o700)
    (folder / "logs").mkdir(exist_ok=True)
    found = {}
    for pool in job_pools(options, folder):
        job = pool.specs[0]["cls"]("tls://10.0.0.1:1234", name="w-0", **pool.specs[0]["options"])
        with job.job_file() as path:
            assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
            found[pool.kind] = Path(path).read_text()
    return found


@pytest.mark.parametrize(
    ("system", "cpu", "gpu"),
    [
        ("slurm", ["-p cpu", "-A lab", "-t 08:00:00", "--cpus-per-task=4", "--mem=8G", "--extra"],
         ["-p gpu", "--gres=gpu:1", "--cpus-per-task=3", "--mem=16G"]),
        ("pbs", ["-q cpu", "-A lab", "walltime=08:00:00", "ncpus=4"],
         ["-q gpu", "select=1:ncpus=3:ngpus=1:mem=16384mb"]),
        ("lsf", ["-q cpu", '-P "lab"', "-W 08:00", "-n 4"], ["-q gpu", '-gpu "num=1"']),
        ("sge", ["-q cpu", "-P lab", "h_rt=08:00:00"], ["-q gpu", "-l gpu=1"]),
    ],
)  # fmt: skip
def test_headers(system: str, cpu: list[str], gpu: list[str], tmp_path: Path) -> None:
    found = scripts(tmp_path, system=system)
    for kind, lines in ((CPU, cpu), (GPU, gpu)):
        header = "\n".join(line for line in found[kind].splitlines() if line.startswith("#"))
        for line in lines:
            assert line in header, f"{line} is not in\n{header}"
    assert not any(line in found[CPU] for line in gpu)


def test_what_workers_are_told(tmp_path: Path) -> None:
    Credentials.fresh().write(tmp_path / "tls")
    found = scripts(tmp_path, system="slurm", scratch="$SLURM_TMPDIR", python="/my env/python")
    command = found[CPU].splitlines()[-1]
    assert "--nworkers 4" in command
    assert "--nthreads 1" in command
    assert "--resources CPU=1" in command
    assert command.startswith("'/my env/python' -m distributed.cli.dask_worker tls://")
    assert '--local-directory "$VOLKIT_SCRATCH"' in command
    assert "--resources GPU=1" in found[GPU]
    assert "--nworkers" not in found[GPU]
    assert 'export CUDA_VISIBLE_DEVICES=""' in found[CPU]
    assert "CUDA_VISIBLE_DEVICES" not in found[GPU]
    assert 'mktemp -d "$SLURM_TMPDIR/volkit-' in found[CPU]
    assert found[CPU].index("module load cuda") < found[CPU].index("dask_worker")
    for text in found.values():
        assert "PRIVATE KEY" not in text
        assert re.search(r"--tls-key \S+/tls/key\.pem", text)


@pytest.mark.parametrize(("system", "command"), [("lsf", "bsub"), ("sge", "qsub")])
def test_a_system_that_is_not_here_is_named(
    system: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ClusterOptions(system=system, workers=1, memory_gib=1.0)
    with (
        pytest.raises(ConfigError, match=f"system {system}: the command {command} is not here"),
        job_client(options),
    ):
        pass


@pytest.mark.parametrize(
    ("system", "printed", "expected"),
    [
        ("slurm", "7|PENDING|Resources\n8|RUNNING|None\n", {"7": ("PENDING", "Resources")}),
        (
            "pbs",
            "Job id  Name User Time S Queue\n---\n7.host volkit me 0 Q cpu\n",
            {"7": ("Q", "")},
        ),
        ("lsf", "7|PEND|no host\n", {"7": ("PEND", "no host")}),
        (
            "sge",
            "job-ID prior name user state\n----\n 7 0.5 volkit me qw 11/21\n",
            {"7": ("qw", "")},
        ),
    ],
)
def test_states_of_jobs_are_read(
    system: str, printed: str, expected: dict[str, tuple[str, str]]
) -> None:
    found = SYSTEMS[system].parse(printed)
    assert {key: found[key] for key in expected} == expected
    assert not any(has_ended(state) for state, _ in found.values())


def test_each_kind_is_scaled_by_the_work_that_is_left() -> None:
    pools = (Pool(CPU, ({},) * 10, size=4), Pool(GPU, ({},) * 3))
    watch = Watch()
    keeper = Keeper(None, None, watch, pools, adaptive=True)

    def wanted(*backlog: Any) -> list[int]:
        watch.backlog = Backlog(*backlog)
        return [keeper.wanted(pool) for pool in pools]

    assert wanted(CPU, 1000) == [10, 0]
    assert wanted(GPU, 2) == [0, 2]
    assert wanted(GPU, 1000, 60.0) == [0, 3]
    assert wanted(CPU, 12, 60.0) == [3, 0]  # jobs of four workers each
    assert wanted(CPU, 12, 0.01) == [1, 0]
    assert wanted(CPU, 0) == [0, 0]
    keeper.adaptive = False
    assert wanted(CPU, 0) == [10, 3]
