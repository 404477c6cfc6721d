"""Preflight: what a queueing system would refuse is said before anything is submitted."""

import difflib
import os
import re
import shutil
import subprocess
from pathlib import Path

from volkit.engine.cluster.options import ClusterOptions, walltime_seconds
from volkit.engine.cluster.systems import SYSTEMS, System
from volkit.errors import ConfigError

_PATIENCE_SECONDS = 60


def check_system(options: ClusterOptions) -> None:
    """Check that the system is here, and has the queues and the GPUs that are asked for.

    Raises
    ------
    ConfigError
        If not.
    """
    system = SYSTEMS[options.place]
    if shutil.which(system.submit) is None:
        raise ConfigError(
            f"system {options.place}: the command {system.submit} is not here; run volkit on a "
            f"login node of a {system.title} cluster, or choose another system"
        )
    known = _queues(system)
    asked = {"queue": options.queue} if options.workers else {}
    if options.gpus:
        asked["gpu_queue"] = options.gpu_queue or options.queue
    for key, name in asked.items():
        if name is not None and known and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "choose one of them"
            raise ConfigError(
                f"{key} {name}: {system.title} has the queues {', '.join(known)}; {hint}"
            )
    if options.place == "slurm":
        for name in asked.values():
            _check_walltime(options.walltime, name)
        if options.gpus:
            _check_gpus(options.gpus, asked["gpu_queue"])


def check_script(options: ClusterOptions, kind: str, script: Path) -> None:
    """Let SLURM say whether it would take a job; other systems cannot be asked.

    Raises
    ------
    ConfigError
        If it would not.
    """
    if options.place != "slurm":
        return
    asked = ["sbatch", "--test-only", str(script)]
    code, said = _run(asked, environment=submit_environment())
    if code:
        header = "; ".join(
            line.removeprefix("#SBATCH ")
            for line in script.read_text(encoding="utf-8").splitlines()
            if line.startswith("#SBATCH") and not re.match(r"#SBATCH -[eoJ] ", line)
        )
        raise ConfigError(
            f"SLURM would not take the job of a {kind} worker ({header}): "
            f"{' '.join(said.split())}; correct the cluster section"
        )


def submit_environment() -> dict[str, str]:
    """Take this environment without what belongs to the job that volkit itself may run in."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("SLURM_") or key == "SLURM_CONF"
    }


def parse_gres(text: str) -> int:
    """Count the GPUs of a node.

    Examples
    --------
    >>> parse_gres("gpu:a100:4(S:0-1),nvme:1"), parse_gres("gpu:2"), parse_gres("(null)")
    (4, 2, 0)
    """
    plain = re.sub(r"\([^)]*\)", "", text)
    return sum(int(n) for n in re.findall(r"(?:^|,)gpu(?::[^:,]+)?:(\d+)", plain))


def _queues(system: System) -> list[str]:
    code, said = _run(list(system.queues))
    if code:
        raise ConfigError(
            f"{system.title} does not answer (`{' '.join(system.queues)}` says "
            f"{' '.join(said.split())}); try again when it does, or choose another system"
        )
    return sorted(set(re.findall(system.queue_name, said, flags=re.MULTILINE)))


def _check_gpus(count: int, queue: str | None) -> None:
    chosen = [] if queue is None else ["-p", queue]
    code, said = _run(["sinfo", "-h", "-N", "-o", "%N|%G", *chosen])
    if code:
        return  # sbatch --test-only is asked next
    nodes = dict(line.split("|", 1) for line in said.split() if "|" in line)
    found = sum(parse_gres(gres) for gres in nodes.values())
    if count > found:
        raise ConfigError(
            f"gpus {count}: the partition {queue or '(default)'} has {found} on {len(nodes)} "
            "nodes; ask for no more, or name another gpu_queue"
        )


def _check_walltime(walltime: str | None, queue: str | None) -> None:
    """Compare with the partition's limit: SLURM would let the job wait for ever."""
    code, said = _run(["sinfo", "-h", "-o", "%l", *([] if queue is None else ["-p", queue])])
    limits = [limit for limit in said.split() if code == 0]
    if walltime is None or not limits or "infinite" in limits:
        return
    if walltime_seconds(walltime) > max(map(limit_seconds, limits)):
        raise ConfigError(
            f"walltime {walltime}: the partition {queue or '(default)'} allows {', '.join(limits)}"
            "; ask for no more (workers that reach it are replaced), or choose another"
        )


def limit_seconds(text: str) -> float:
    """Read a time as SLURM writes it: without hours it is minutes and seconds.

    Examples
    --------
    >>> limit_seconds("30:00"), limit_seconds("1:00:00"), limit_seconds("2-00:00:00")
    (1800.0, 3600.0, 172800.0)
    """
    days, _, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":") if part.isdigit()]
    seconds = sum(part * 60**n for n, part in enumerate(reversed(parts)))
    return float(int(days or 0) * 86400 + seconds)


def _run(command: list[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_PATIENCE_SECONDS} s"
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout
