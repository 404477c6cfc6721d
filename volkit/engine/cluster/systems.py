"""Queueing systems: what differs between SLURM, PBS, LSF and SGE."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

Rows = dict[str, tuple[str, str]]
"""Job to its state and the reason of that."""

_ENDED = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
        "PREEMPTED", "TIMEOUT", "C", "F", "X", "DONE", "EXIT",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class System:
    """A queueing system.

    Parameters
    ----------
    title : str
        As people call it.
    job_class : str
        Of dask-jobqueue.
    submit : str
        Command.
    queues : tuple of str
        Command that lists the queues.
    queue_name : str
        Pattern of a name in what it prints.
    states : callable
        Command that lists the jobs of some ids.
    parse : callable
        Reads what that prints.
    gpu_directives : tuple of str
        What asks for one GPU.
    charged_to : str
        Option of the job class for the account.
    """

    title: str
    job_class: str
    submit: str
    queues: tuple[str, ...]
    queue_name: str
    states: Callable[[Sequence[str]], list[str]]
    parse: Callable[[str], Rows]
    gpu_directives: tuple[str, ...]
    charged_to: str = "account"

    def walltime(self, seconds: float) -> str:
        """Write a walltime as its job headers have it."""
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        short = f"{hours:02d}:{minutes:02d}"
        return short if self.title == "LSF" else f"{short}:{rest:02d}"


def has_ended(state: str) -> bool:
    """Tell whether a job in that state does not run and will not."""
    return state in _ENDED


def _listed(text: str, *, state_column: int) -> Rows:
    """Read the table of ``qstat``: the id is the first word of a line."""
    rows: Rows = {}
    for line in text.splitlines():
        words = line.split()
        found = re.match(r"\d+", words[0]) if words else None
        if found and len(words) > state_column:
            rows[found[0]] = (words[state_column], "")
    return rows


def _fields(text: str) -> Rows:
    """Read lines of ``id|state|reason``."""
    cut = [line.strip().split("|", 2) for line in text.splitlines()]
    return {row[0]: (row[1], row[2]) for row in cut if len(row) == 3}


SYSTEMS = {
    "slurm": System(
        "SLURM",
        "SLURMJob",
        "sbatch",
        ("sinfo", "-h", "-o", "%R"),
        r"^\s*(\S+)",
        lambda ids: ["squeue", "-h", "-t", "all", "-o", "%i|%T|%r", "--me"],
        _fields,
        ("--gres=gpu:1",),
    ),
    "pbs": System(
        "PBS",
        "PBSJob",
        "qsub",
        ("qstat", "-Q"),
        r"^(\w\S*)\s+[\d?]",  # the most jobs it may have; wrappers of other systems do not know
        lambda ids: ["qstat", *ids],
        partial(_listed, state_column=4),
        (),  # in the resource_spec
    ),
    "lsf": System(
        "LSF",
        "LSFJob",
        "bsub",
        ("bqueues", "-noheader", "-o", "queue_name"),
        r"^\s*(\S+)",
        lambda ids: ["bjobs", "-noheader", "-o", "jobid stat pend_reason delimiter='|'", *ids],
        _fields,
        ('-gpu "num=1"',),
        "project",
    ),
    "sge": System(
        "SGE",
        "SGEJob",
        "qsub",
        ("qconf", "-sql"),
        r"^\s*(\S+)",
        lambda ids: ["qstat"],
        partial(_listed, state_column=4),
        ("-l gpu=1",),
        "project",
    ),
}
