"""Trials: one of each kind of fault, at a moment that the seed chooses."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from volkit.io.place import Place
from volkit.testing.chaos import checks
from volkit.testing.chaos.job import GRID, STAGES, VARIABLE, compute, make_input
from volkit.testing.chaos.processes import Processes, wait_until

CLIENT = "volkit.testing.chaos.client"
_BLOCKS = len(STAGES) * len(GRID)
_ATTEMPT_SECONDS = 300.0  # where other work presses hard, a start alone takes a minute
_MOST_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial.

    Parameters
    ----------
    kind : str
        Of fault.
    faults : int
        How many there were.
    attempts : int
        How often the command was run.
    repeated : int
        Blocks that were begun more than once.
    seconds : float
        Altogether.
    wrong : tuple of str
        What should not be; empty is what is wanted.
    """

    kind: str
    faults: int
    attempts: int
    repeated: int
    seconds: float
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Trial:
    """One trial while it goes on.

    Parameters
    ----------
    folder : Path
        Of this trial.
    base : Path
        Where the input lies.
    expected : dict
        What an undisturbed run holds.
    rng : random.Random
        Chooses the moments.
    root : str
        Folder of the run; inside the trial's folder if not given.
    """

    folder: Path
    base: Path
    expected: dict[str, bytes]
    rng: random.Random
    root: str = ""
    stack: ExitStack = field(default_factory=ExitStack)
    environment: dict[str, str] = field(default_factory=dict)
    faults: int = 0
    attempts: int = 0
    wrong: list[str] = field(default_factory=list)
    processes: Processes = field(init=False)
    _done: checks.Done = field(default_factory=dict)
    _logged: int = 0
    _strangers: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.root = self.root or str(self.folder / "run")
        self.environment[VARIABLE] = str(self.folder)
        self.processes = Processes(self.folder, self.environment)

    def client(self, *options: str, counted: bool = True) -> Popen[bytes]:
        """Run the command; ``counted`` where it is the next attempt at the run."""
        if counted:
            self._close_attempt()
            self.attempts += 1
        return self.processes.start(CLIENT, self.root, str(self.base), *options)

    def wait_for_blocks(self, process: Popen[bytes], *, share: float | None = None) -> None:
        """Wait until a part of the blocks is begun, or the process has ended."""
        logged = len(checks.read_log(self.folder))
        left = max(1, _BLOCKS - logged)
        wanted = logged + max(1, int(left * (self.rng.random() if share is None else share)))
        wait_until(
            lambda: len(checks.read_log(self.folder)) >= wanted or process.poll() is not None,
            seconds=_ATTEMPT_SECONDS,
        )
        time.sleep(self.rng.random() * 0.05)

    def ended(self, process: Popen[bytes], code: int | None = 0, *, says: str = "") -> None:
        """Wait for a process; note where it did not end, or not as it should."""
        if not wait_until(lambda: process.poll() is not None, seconds=_ATTEMPT_SECONDS):
            self.wrong.append(f"still running after {_ATTEMPT_SECONDS:.0f} s")
            self.processes.kill([*self.processes.workers(process), process])
            process.wait(30)
        said = self.processes.said(process)
        if code is not None and process.returncode != code:
            self.wrong.append(f"exit code {process.returncode} instead of {code}: {said[-500:]}")
        if says not in said:
            self.wrong.append(f"it did not say {says!r}: {said[-500:]}")

    def until_it_ends(self, *options: str) -> None:
        """Run the same command again until it succeeds."""
        while self.attempts < _MOST_ATTEMPTS:
            process = self.client(*options)
            self.ended(process, None)
            if process.returncode == 0:
                return
        said = self.processes.said(process)
        self.wrong.append(f"{self.attempts} attempts, and it has not ended: {said[-500:]}")

    def result(self, kind: str, begun: float) -> Result:
        """Compare the run with an undisturbed one, and end what is left."""
        place = Place(self.root)
        if not self.wrong:
            self._close_attempt()
            executed = checks.read_log(self.folder)
            self.wrong += checks.begun_after_mark(executed, place)
            self.wrong += checks.differences(checks.contents(place), self.expected)
            self.wrong += checks.at_the_end(place)
        repeated = checks.repeated(checks.read_log(self.folder))
        seconds = time.monotonic() - begun
        return Result(kind, self.faults, self.attempts, repeated, seconds, tuple(self.wrong))

    def _close_attempt(self) -> None:
        """Look what the last attempt computed that was finished before it began."""
        executed = checks.read_log(self.folder)
        self.wrong += checks.needless(executed[self._logged :], self._done, self._strangers)
        self._strangers = {each.pid for each in executed}
        self._logged, self._done = len(executed), checks.done_blocks(Place(self.root))


def prepare(base: Path) -> dict[str, bytes]:
    """Store the input and run undisturbed, in this process; what that run holds."""
    import os

    from volkit.engine.job import JobEngine

    base.mkdir(parents=True, exist_ok=True)
    make_input(base)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(base)
    try:
        compute(JobEngine(base / "undisturbed"), base)
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
    return checks.contents(Place(str(base / "undisturbed")))


def run_trial(
    kind: str, body: Callable[[Trial], None], trial: Trial, *, keep: bool = False
) -> Result:
    """Run a trial from its faults to its end, and clear up after it."""
    import shutil

    begun = time.monotonic()
    try:
        with trial.stack:
            try:
                body(trial)
                result = trial.result(kind, begun)
            finally:
                trial.processes.end_all()
    finally:
        if not keep and not trial.wrong:
            shutil.rmtree(trial.folder, ignore_errors=True)
    return result
