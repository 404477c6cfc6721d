"""A real SLURM of one node on loopback, started by hand and ended by process id.

Nothing outside a temporary folder is touched, but the Debian packages, which are installed where
they are missing and may be.
"""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
COMMANDS = ["munged", "slurmctld", "slurmd", "sbatch"]
TORQUE = ["slurm-wlm-torque"]
TORQUE_COMMANDS = ["qsub", "qstat", "qdel"]
CONF = """
ClusterName=volkittest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/run/munge.socket
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=3
MinJobAge=600
PropagateResourceLimits=NONE
DefMemPerCPU=500
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=01:00:00 State=UP
PartitionName=closed Nodes={host} State=DOWN
"""
# Devices that exist everywhere stand for GPUs; nothing opens them.
GRES = """
NodeName={host} Name=gpu File=/dev/null
NodeName={host} Name=gpu File=/dev/zero
"""


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """The folder of a SLURM that runs; ``SLURM_CONF`` points to it meanwhile."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PATH", path)
        _install(COMMANDS, PACKAGES)
        # Not in a home: daemons refuse deep and open folders, and sockets have short names.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="volkit-slurm-")))
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        stack.enter_context(_daemons(folder))
        yield folder


@pytest.fixture(scope="session")
def torque(slurm: Path) -> Path:
    """The same SLURM, with the commands of PBS before it that Debian has."""
    _install(TORQUE_COMMANDS, TORQUE)
    return slurm


def _install(commands: list[str], packages: list[str]) -> None:
    if all(map(shutil.which, commands)):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"SLURM is not installed, and only root may: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends"]):
        wanted = packages if command[0] == "install" else []
        done = subprocess.run(
            ["apt-get", *command, *wanted], env=environment, capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"SLURM cannot be installed: apt-get {command[0]}: {done.stderr[-300:]!r}")


@contextmanager
def _daemons(folder: Path) -> Iterator[None]:
    folder.chmod(0o755)
    for name in ("state", "spool", "run", "log", "munge", "munge/run"):
        (folder / name).mkdir(mode=0o755)
    (folder / "munge").chmod(0o700)
    key = folder / "munge" / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host, user = socket.gethostname().partition(".")[0], _user()
    values = {"host": host, "user": user, "folder": folder, "ports": _free_ports(2)}
    (folder / "slurm.conf").write_text(CONF.format(**values))
    (folder / "gres.conf").write_text(GRES.format(**values))
    munge = folder / "munge"
    commands = [
        [
            *("munged", "--foreground", "--force", "--num-threads=2", "--origin=127.0.0.1"),
            *(f"--{name}={munge / path}" for name, path in _MUNGE_FILES.items()),
        ],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D"],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            out = (folder / "log" / f"{command[0]}.out").open("wb")
            with out:
                started.append(subprocess.Popen(command, stdout=out, stderr=out))
            if command[0] == "munged":
                _wait(lambda: (munge / "run" / "munge.socket").exists(), folder)
        _wait(lambda: _said("sinfo", "-h", "-o", "%T", "-p", "cpu") == "idle", folder)
        yield
    finally:
        _said("scancel", "--user", user)
        _wait(lambda: not _said("squeue", "-h"), folder)
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=20)


_MUNGE_FILES = {
    "socket": "run/munge.socket",
    "key-file": "munge.key",
    "pid-file": "munged.pid",
    "log-file": "munged.log",
    "seed-file": "seed",
}


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.strip()


def _wait(condition: object, folder: Path, *, seconds: float = 25) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            logs = [path.read_text(errors="replace")[-800:] for path in folder.glob("log/*")]
            pytest.skip(f"SLURM does not start here: {' '.join(logs)[-1500:]}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports
