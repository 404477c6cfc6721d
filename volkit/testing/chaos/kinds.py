"""Kinds of faults: what each does to a run."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from volkit.testing.chaos.job import GRID, HOG, POISON, STAGES
from volkit.testing.chaos.processes import start_cluster, start_nanny, wait_until
from volkit.testing.chaos.trials import Trial
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.s3 import S3Server

_FAR, _NEAR = ("--machine", "far"), ("--machine", "near")
_DAY = 86400.0
_NOTICE_SECONDS = 60.0


def kill_worker(trial: Trial) -> None:
    """SIGKILL a worker, up to three times; its nanny starts another, and the run goes on."""
    process = trial.client()
    for _ in range(trial.rng.randint(1, 3)):
        trial.wait_for_blocks(process)
        found = trial.processes.workers(process)
        if found:
            trial.faults += trial.processes.kill([trial.rng.choice(found)])
    trial.ended(process)


def kill_client(trial: Trial) -> None:
    """SIGKILL the client, up to three times; what it started ends with it."""
    for _ in range(trial.rng.randint(1, 3)):
        process = trial.client()
        trial.wait_for_blocks(process)
        trial.faults += trial.processes.kill([process])
        process.wait(30)
    trial.until_it_ends()


def kill_all(trial: Trial) -> None:
    """SIGKILL the client and every worker at the same moment."""
    for _ in range(trial.rng.randint(1, 3)):
        process = trial.client()
        trial.wait_for_blocks(process)
        found = trial.processes.workers(process)
        trial.faults += trial.processes.kill([process])
        trial.processes.kill(found)
        process.wait(30)
    trial.until_it_ends()


def kill_nanny(trial: Trial) -> None:
    """SIGKILL a nanny: its worker ends, too, and another nanny is started later."""
    scheduler, nannies = start_cluster(trial.processes)
    process = trial.client("--scheduler", scheduler)
    trial.wait_for_blocks(process)
    trial.faults += trial.processes.kill([trial.rng.choice(nannies)])
    time.sleep(trial.rng.random())
    start_nanny(trial.processes, scheduler)
    trial.ended(process, None)
    if process.returncode:
        trial.until_it_ends("--scheduler", scheduler)


def lose_workers(trial: Trial) -> None:
    """SIGKILL all nannies: the client says that it waits, and goes on when a worker comes."""
    scheduler, nannies = start_cluster(trial.processes)
    process = trial.client("--scheduler", scheduler)
    trial.wait_for_blocks(process, share=trial.rng.random() * 0.8)
    trial.faults += trial.processes.kill(nannies)

    def has_noticed() -> bool:
        return "has no worker" in trial.processes.said(process) or process.poll() is not None

    wait_until(has_noticed, seconds=_NOTICE_SECONDS)
    start_nanny(trial.processes, scheduler)
    trial.ended(process, 0, says="has no worker")


def kill_scheduler(trial: Trial) -> None:
    """SIGKILL the scheduler: the client ends with a message; a new cluster does the rest."""
    scheduler, _ = start_cluster(trial.processes)
    process = trial.client("--scheduler", scheduler)
    trial.wait_for_blocks(process, share=trial.rng.random() * 0.8)
    trial.faults += trial.processes.kill([trial.processes.started[0]])
    trial.ended(process, 1, says="scheduler")
    trial.until_it_ends()


def memory(trial: Trial) -> None:
    """Let a block take more memory than its worker may: the nanny ends the worker."""
    process = trial.client("--memory", "500MiB")
    trial.wait_for_blocks(process)
    (trial.folder / HOG).touch()
    trial.faults += 1
    trial.ended(process, None)
    (trial.folder / HOG).unlink(missing_ok=True)
    if process.returncode:
        trial.until_it_ends()


def poison(trial: Trial) -> None:
    """Let a block fail always: the others of its stage are finished, it is named, then healed."""
    stage, number = trial.rng.choice(STAGES), trial.rng.randrange(len(GRID))
    (trial.folder / POISON).write_text(f"{stage} {number}")
    trial.faults += 1
    process = trial.client()
    trial.ended(process, 1, says=f"1 block failed 3 times and was set aside: {number}")
    (trial.folder / POISON).unlink()
    trial.until_it_ends()


def disk(trial: Trial) -> None:
    """Let the disk be full: a small file system where one can be mounted, else small files."""
    needed = sum(map(len, trial.expected.values()))
    run = Path(trial.root)
    run.mkdir()
    trial.faults += 1
    size = f"size={int(needed * trial.rng.uniform(1.0, 1.6)) // 4096 * 4096}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", run], check=False).returncode:
        trial.ended(trial.client("--file-bytes", "700"), 1)
        trial.until_it_ends()
        return
    trial.stack.callback(lambda: subprocess.run(["umount", "-l", run], check=True))
    process = trial.client()
    trial.ended(process, None)
    subprocess.run(["mount", "-o", "remount,size=64m", run], check=True)
    if process.returncode:
        trial.until_it_ends()


def storage(trial: Trial) -> None:
    """Let an object store fail a fifth of the requests, and the client be killed once."""
    server = trial.stack.enter_context(S3Server())
    proxy = trial.stack.enter_context(FaultProxy(server.endpoint, seed=trial.rng.randrange(99)))
    before = dict(os.environ)
    trial.stack.callback(_restore, before)
    os.environ.update(server.environment())
    trial.environment.update(server.environment())
    server.bucket("runs")
    trial.root = f"s3://runs/run?endpoint={proxy.url}"
    proxy.inject(("500", "503", "reset", "truncate"), share=0.2)
    process = trial.client()
    trial.wait_for_blocks(process)
    trial.faults += trial.processes.kill([process])
    process.wait(30)
    trial.until_it_ends()
    failed = sum(proxy.counts.values()) - proxy.counts["ok"]
    if failed < 20:
        trial.wrong.append(f"only {failed} requests failed")
    proxy.calm()


def two_clients(trial: Trial) -> None:
    """Start a second client while one works: it is refused, and the first one finishes."""
    first = trial.client()
    trial.wait_for_blocks(first, share=trial.rng.random() / 2)
    with _held(trial, first):
        second = trial.client(counted=False)
        trial.faults += 1
        trial.ended(second, 1, says="is being worked on by")
    trial.ended(first)


@contextmanager
def _held(trial: Trial, client: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop the workers of a client, so that it cannot end before another one has looked."""
    workers = trial.processes.workers(client)
    _signal(workers, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(workers, signal.SIGCONT)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def clock_skew(trial: Trial) -> None:
    """Kill a client whose clock is a day off; one elsewhere waits by its own, and takes over."""
    days = trial.rng.choice((-_DAY, _DAY))
    process = trial.client(*_FAR, "--skew", str(days))
    trial.wait_for_blocks(process, share=trial.rng.random() / 2)
    with _held(trial, process):
        refused = trial.client(*_NEAR, "--skew", str(-days), counted=False)
        trial.ended(refused, 1, says="is being worked on by")
    killed = trial.processes.kill([process])  # it may have ended meanwhile
    trial.faults += killed
    process.wait(30)
    second = trial.client(*_NEAR, "--skew", str(-days))
    trial.ended(second, 0, says="taking over" if killed else "")


def stopped(trial: Trial) -> None:
    """Stop a client for long; another takes over, and the first one finds out when it wakes."""
    first = trial.client(*_FAR)
    trial.wait_for_blocks(first, share=trial.rng.random() / 2)
    frozen = [first, *trial.processes.workers(first)]
    for each in frozen:
        each.send_signal(signal.SIGSTOP)
    trial.faults += 1
    if first.poll() is not None:
        return
    second = trial.client(*_NEAR)
    wait_until(lambda: "taking over" in trial.processes.said(second), seconds=30)
    for each in reversed(frozen):  # a client that wakes may end its workers at once
        each.send_signal(signal.SIGCONT)
    trial.ended(first, 1, says="was taken over by")
    trial.ended(second)


KINDS: dict[str, Callable[[Trial], None]] = {
    "worker": kill_worker,
    "client": kill_client,
    "all": kill_all,
    "nanny": kill_nanny,
    "no workers": lose_workers,
    "scheduler": kill_scheduler,
    "memory": memory,
    "poison": poison,
    "disk": disk,
    "storage": storage,
    "two clients": two_clients,
    "clock skew": clock_skew,
    "stopped": stopped,
}


def _restore(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)
