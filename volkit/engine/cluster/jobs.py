"""Workers as batch jobs of SLURM, PBS, LSF or SGE, through dask-jobqueue."""

import asyncio
import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from volkit.engine.cluster.credentials import Credentials, worker_arguments
from volkit.engine.cluster.home import cluster_home
from volkit.engine.cluster.keeper import Keeper, Pool, kept, kinds_of
from volkit.engine.cluster.options import ClusterOptions, walltime_seconds
from volkit.engine.cluster.preflight import check_script, check_system
from volkit.engine.cluster.settings import scheduler_settings, worker_environment
from volkit.engine.cluster.systems import SYSTEMS, System, has_ended
from volkit.engine.cluster.watch import CPU, GPU, THREADS, Watch, watched
from volkit.errors import missing_extra
from volkit.wording import counted

_HOME = "~/.volkit/clusters"
_STAGGER_SECONDS = 300.0
_NOWHERE = "tls://0.0.0.0:0"  # the scheduler of a job script that is only looked at
_LOG_LINES = 5
_DEATH_SECONDS = 120


@contextmanager
def job_client(
    options: ClusterOptions, *, on_message: Callable[[str], None] | None = None
) -> Iterator[Any]:
    """Start a scheduler here, and workers as batch jobs; end them all at the end.

    Parameters
    ----------
    options : ClusterOptions
        Its ``system`` is ``slurm``, ``pbs``, ``lsf`` or ``sge``.
    on_message : callable, optional
        Told why jobs wait, and which did not start.

    Yields
    ------
    distributed.Client

    Raises
    ------
    ConfigError
        If the system would refuse the jobs.
    MissingExtraError
        If dask-jobqueue is not installed.
    """
    from distributed import Client

    from volkit.engine.cluster.gate import admit
    from volkit.engine.cluster.guard import GuardedCluster, guarded_scheduler

    check_system(options)
    credentials = Credentials.fresh()
    security = credentials.security()
    base = Path(options.folder or _HOME).expanduser().absolute()
    with scheduler_settings(jobs=True), cluster_home(base) as folder:
        credentials.write(folder / "tls")
        pools = job_pools(options, folder)
        _check_scripts(options, pools)
        watch = Watch(kinds_of(pools), say=on_message or logging.getLogger(__name__).info)
        with (
            GuardedCluster(
                scheduler=guarded_scheduler(security, interface=options.interface),
                workers={},
                security=security,
                silence_logs=logging.ERROR,
            ) as cluster,
            Client(cluster, security=security) as client,
            watched(client, watch),
        ):
            admit(client, watch, close_refused=True)
            _set_clocks(client, options)
            keeper = Keeper(
                cluster,
                client,
                watch,
                pools,
                adaptive=options.adaptive,
                idle_seconds=60 * options.idle_minutes,
                ended=_Asker(SYSTEMS[options.place], folder / "logs", watch),
            )
            with kept(keeper):
                yield client


def job_pools(options: ClusterOptions, folder: Path) -> tuple[Pool, ...]:
    """Describe the jobs of CPU workers and of GPU workers.

    Parameters
    ----------
    options : ClusterOptions
        What is asked for.
    folder : Path
        Private; holds credentials, scripts and logs.

    Returns
    -------
    tuple of Pool
    """
    system = SYSTEMS[options.place]
    size = min(options.workers_per_job, max(1, options.processes))
    cpu = _job_options(options, folder, kind=CPU, processes=size)
    gpu = _job_options(options, folder, kind=GPU, processes=1)
    gpu["queue"] = options.gpu_queue or options.queue
    gpu["cores"] = options.gpu_cores
    gpu["memory"] = f"{options.gpu_memory_bytes}B"
    more = options.gpu_directives
    gpu["job_extra_directives"] = [
        *options.directives,
        *(system.gpu_directives if more is None else more),
    ]
    if options.place == "pbs" and more is None:
        memory = -(-int(options.gpu_memory_bytes or 0) // 2**20)
        gpu["resource_spec"] = f"select=1:ncpus={options.gpu_cores}:ngpus=1:mem={memory}mb"
    job = _job_class(system)
    counts = -(-options.processes // size), options.gpus or 0
    pools = (
        Pool(CPU, ({"cls": job, "options": cpu},) * counts[0], size),
        Pool(GPU, ({"cls": job, "options": gpu},) * counts[1]),
    )
    return tuple(pool for pool in pools if pool.specs)


def _job_options(
    options: ClusterOptions, folder: Path, *, kind: str, processes: int
) -> dict[str, Any]:
    """Collect what a job of dask-jobqueue is told."""
    system = SYSTEMS[options.place]
    arguments = {**worker_arguments(folder / "tls"), "--resources": f"{kind}=1"}
    if kind == GPU:
        arguments["--nthreads"] = str(THREADS)  # whatever processors its job has
    quoted = [word for pair in arguments.items() for word in (pair[0], shlex.quote(pair[1]))]
    walltime = None
    if options.walltime is not None:
        walltime = system.walltime(walltime_seconds(options.walltime))
    return {
        "job_name": f"volkit-{kind.lower()}",
        "cores": processes,
        "processes": processes,
        "memory": f"{(options.memory_bytes or 0) * processes}B",
        "walltime": walltime,
        "queue": options.queue,
        system.charged_to: options.account,
        "job_extra_directives": list(options.directives),
        "job_script_prologue": _prologue(options, kind),
        "python": shlex.quote(options.python or sys.executable),
        "worker_extra_args": [*quoted, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        "local_directory": '"$VOLKIT_SCRATCH"',
        "log_directory": str(folder / "logs"),
        "interface": options.interface,
        "death_timeout": _DEATH_SECONDS,
    }


def _prologue(options: ClusterOptions, kind: str) -> list[str]:
    """Write the lines before a worker: its settings, and a folder that only this user enters."""
    base = options.scratch or "${TMPDIR:-/tmp}"
    settings = [f"export {key}={shlex.quote(v)}" for key, v in worker_environment().items()]
    return [
        *settings,
        "export OMP_NUM_THREADS=1",
        *(['export CUDA_VISIBLE_DEVICES=""'] if kind == CPU and options.gpus else []),
        f'mkdir -p "{base}"',
        f'VOLKIT_SCRATCH=$(mktemp -d "{base}/volkit-XXXXXXXX") || exit 1',
        "trap 'rm -rf \"$VOLKIT_SCRATCH\"' EXIT",
        *options.prologue,
    ]


def _job_class(system: System) -> type:
    """Take a job class of dask-jobqueue, with scripts that only this user can read."""
    try:
        import dask_jobqueue
    except ImportError:
        raise missing_extra("dask-jobqueue", "hpc") from None
    module = getattr(dask_jobqueue, system.title.lower())

    from volkit.engine.cluster.private_job import PrivateJob

    return type(f"Private{system.job_class}", (PrivateJob, getattr(module, system.job_class)), {})


def _check_scripts(options: ClusterOptions, pools: tuple[Pool, ...]) -> None:
    for pool in pools:
        spec = pool.specs[0]
        with spec["cls"](_NOWHERE, name="checked", **spec["options"]).job_file() as script:
            check_script(options, pool.kind, Path(script))


def _set_clocks(client: Any, options: ClusterOptions) -> None:
    from volkit.engine.cluster.drain import Drain

    lifetime = options.lifetime_seconds
    if lifetime is not None and options.walltime is not None:
        grace = walltime_seconds(options.walltime) - lifetime
        stagger = min(_STAGGER_SECONDS, lifetime / 10)
        client.register_plugin(Drain(lifetime, stagger=stagger, grace=0.8 * grace))


class _Asker:
    """Asks the queueing system what has become of jobs."""

    def __init__(self, system: System, logs: Path, watch: Watch) -> None:
        self.system = system
        self.logs = logs
        self.watch = watch

    async def __call__(self, jobs: Mapping[str, Any]) -> dict[str, str]:
        """Say why those jobs have ended that have, by name."""
        ids = {name: str(job.job_id) for name, job in jobs.items() if job.job_id}
        asked = await asyncio.create_subprocess_exec(
            *self.system.states(list(ids.values())),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asked.communicate()
        if asked.returncode and self.system.title == "SLURM":
            self.watch.tell(f"SLURM does not answer: {' '.join(err.decode().split())}")
            return {}
        rows = self.system.parse(out.decode())
        self._say_what_waits([rows[n] for n in ids.values() if n in rows])
        return {
            name: f"job {number} ended before it became a worker ({rows.get(number, ('gone',))[0]})"
            f"{self._tail(number)}"
            for name, number in ids.items()
            if number not in rows or has_ended(rows[number][0])
        }

    def _say_what_waits(self, rows: list[tuple[str, str]]) -> None:
        reasons = [reason for state, reason in rows if state in ("PENDING", "PEND", "Q", "qw")]
        if reasons:
            named = ", ".join(sorted({reason for reason in reasons if reason}))
            count = counted(len(reasons), "job")
            self.watch.tell(
                f"{self.system.title}: {count} waiting" + (f" ({named})" if named else "")
            )

    def _tail(self, number: str) -> str:
        """Quote the end of a job's log, where it left one."""
        for path in sorted(self.logs.glob(f"*{number}*"), key=lambda p: p.suffix != ".err"):
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f"; {path} ends with: {' / '.join(lines[-_LOG_LINES:])}"
        return f"; its logs are in {self.logs}"
