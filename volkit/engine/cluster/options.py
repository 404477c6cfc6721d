"""Options of a cluster: one section of a workflow file says where blocks run."""

import difflib
import os
import re
from dataclasses import dataclass

from volkit.errors import ConfigError

GIB = 2**30
SYSTEMS = ("here", "local", "address", "slurm", "pbs", "lsf", "sge")
QUEUEING = SYSTEMS[3:]

_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")
_DRAIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Where blocks run.

    Parameters
    ----------
    system : str, optional
        ``here`` (this process), ``local`` (processes of this machine), ``address`` (a scheduler
        that is running), ``slurm``, ``pbs``, ``lsf`` or ``sge``; None follows from the rest:
        ``address`` with a scheduler, ``here`` with 0 workers, else ``local``.
    scheduler : str, optional
        Address of a dask scheduler that is running.
    tls : str, optional
        Folder of ``ca.pem``, ``certificate.pem`` and ``key.pem`` for a ``tls://`` scheduler.
    workers : int, optional
        CPU workers, one process with one thread each; None is one for every processor of this
        machine.
    gpus : int, optional
        GPU workers, one process for each GPU; None takes those of this machine, and none
        elsewhere.
    memory_gib, gpu_memory_gib : float, optional
        Main memory of a CPU worker and of a GPU worker; None shares out this machine's, and gives
        a GPU worker what a CPU worker has.
    workers_per_job : int
        CPU workers that share one batch job.
    gpu_cores : int
        Processors of the job of a GPU worker.
    walltime : str, optional
        Of a job: ``HH:MM:SS``, ``HH:MM`` or ``D-HH:MM:SS``; workers stop in time and are replaced.
    drain_minutes : float
        How long before its walltime a worker takes no more blocks.
    queue, gpu_queue : str, optional
        Queue or partition; that of GPU workers is the same if not given.
    account : str, optional
        Whom jobs are charged to.
    directives, gpu_directives : tuple of str
        More lines of a job's header, as ``--exclusive``; those of GPU jobs replace what asks for
        one GPU (``--gres=gpu:1`` on SLURM).
    prologue : tuple of str
        Shell lines before a worker starts, as ``module load cuda``.
    scratch : str, optional
        Folder on the nodes for what workers put aside; may name variables, as ``$SLURM_TMPDIR``.
    python : str, optional
        Interpreter on the nodes; None is this one.
    interface : str, optional
        Network that scheduler and workers use, as ``ib0``.
    folder : str, optional
        Private folder that this machine and the nodes see, for credentials and the logs of jobs;
        None is ``~/.volkit/clusters``.
    adaptive : bool
        Start jobs as there is work for them, and end those that have been idle for long.
    idle_minutes : float
        How long adaptive workers are kept without work: stages follow each other closely.
    wait_minutes : float
        How long a run waits at an address where there is no worker, or none is left.
    """

    system: str | None = None
    scheduler: str | None = None
    tls: str | None = None
    workers: int | None = None
    gpus: int | None = None
    memory_gib: float | None = None
    gpu_memory_gib: float | None = None
    workers_per_job: int = 1
    gpu_cores: int = 1
    walltime: str | None = None
    drain_minutes: float = _DRAIN_SECONDS / 60
    queue: str | None = None
    gpu_queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()
    gpu_directives: tuple[str, ...] | None = None
    prologue: tuple[str, ...] = ()
    scratch: str | None = None
    python: str | None = None
    interface: str | None = None
    folder: str | None = None
    adaptive: bool = True
    idle_minutes: float = 10.0
    wait_minutes: float = 10.0

    def __post_init__(self) -> None:
        if self.system is not None and self.system not in SYSTEMS:
            near = difflib.get_close_matches(self.system, SYSTEMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(SYSTEMS)}"
            raise ConfigError(f"system {self.system!r} is unknown; {hint}")
        self._check_numbers()
        if (self.place == "address") != (self.scheduler is not None):
            raise ConfigError(
                f"system {self.place} with scheduler {self.scheduler}: an address belongs to "
                "`system: address`, and to nothing else"
            )
        if self.place in QUEUEING:
            self._check_jobs()

    def _check_numbers(self) -> None:
        if (self.workers or 0) < 0 or (self.memory_gib is not None and self.memory_gib <= 0):
            raise ConfigError(
                f"workers {self.workers} and memory_gib {self.memory_gib}: expected 0 or more "
                "workers, and memory above 0"
            )
        for name, least in (("gpus", 0), ("workers_per_job", 1), ("gpu_cores", 1)):
            given = getattr(self, name)
            if given is not None and given < least:
                raise ConfigError(f"{name} {given} must be at least {least}")
        for name in ("gpu_memory_gib", "drain_minutes", "idle_minutes", "wait_minutes"):
            given = getattr(self, name)
            if given is not None and given <= 0:
                raise ConfigError(f"{name} {given} must be above 0")

    def _check_jobs(self) -> None:
        if self.memory_gib is None or self.workers is None:
            raise ConfigError(
                f"system {self.place} needs workers and memory_gib: how many, and the memory of "
                "each; another machine's cannot be guessed"
            )
        if self.workers + (self.gpus or 0) == 0:
            raise ConfigError(f"system {self.place} with 0 workers and 0 gpus does nothing")
        lines = (*self.directives, *(self.gpu_directives or ()), *self.prologue)
        if any("\n" in line for line in lines):
            raise ConfigError("directives and prologue: give one line each, as a list")
        for name in ("folder", "queue", "gpu_queue", "account"):
            given = getattr(self, name)
            if given is not None and re.search(r"\s", given):
                raise ConfigError(
                    f"{name} {given!r} has white space, which job headers cannot hold"
                )
        if self.scratch is not None and re.search(r"[\"`\\\s]|\$\(", self.scratch):
            raise ConfigError(f"scratch {self.scratch!r}: give a plain folder; $NAME is allowed")
        if self.walltime is not None:
            walltime_seconds(self.walltime)

    @property
    def place(self) -> str:
        """The system, also where it follows from the rest."""
        if self.system is not None:
            return self.system
        if self.scheduler is not None:
            return "address"
        return "here" if self.workers == 0 and not self.gpus else "local"

    @property
    def processes(self) -> int:
        """CPU workers to start; 0 where none are."""
        if self.place in ("address", "here"):
            return 0
        return processors() if self.workers is None else self.workers

    @property
    def memory_bytes(self) -> int | None:
        """What each worker may use; None where another machine decides."""
        if self.memory_gib is not None:
            return int(self.memory_gib * GIB)
        if self.place == "address":
            return None
        from distributed.system import MEMORY_LIMIT  # of the container, where there is one

        return int(MEMORY_LIMIT) // max(1, self.processes + (self.gpus or 0))

    @property
    def gpu_memory_bytes(self) -> int | None:
        """What each GPU worker may use."""
        if self.gpu_memory_gib is not None:
            return int(self.gpu_memory_gib * GIB)
        return self.memory_bytes

    @property
    def lifetime_seconds(self) -> float | None:
        """How long a worker takes blocks; None without a walltime."""
        if self.walltime is None:
            return None
        whole = walltime_seconds(self.walltime)
        return max(whole - 60 * self.drain_minutes, whole / 8)


def walltime_seconds(text: str) -> float:
    """Read a walltime.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> walltime_seconds("01:30:00"), walltime_seconds("02:00"), walltime_seconds("1-00:00:00")
    (5400.0, 7200.0, 86400.0)
    """
    found = _WALLTIME.fullmatch(text.strip())
    if not found:
        raise ConfigError(f"walltime {text!r}: write HH:MM:SS, HH:MM or D-HH:MM:SS, in quotes")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
