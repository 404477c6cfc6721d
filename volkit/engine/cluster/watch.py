"""Watch: what is known of a cluster in the process that uses it.

Engines say how much work of which kind is left; whoever keeps the cluster reads that, and says what
went wrong with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from volkit.errors import ConfigError, VolkitError

CPU, GPU = "CPU", "GPU"
THREADS = 2  # of a GPU worker: beside the one in the network, one reads and writes


@dataclass(slots=True)
class Backlog:
    """The work that is left in the stage that goes on.

    Parameters
    ----------
    kind : str
        Of workers that it needs.
    blocks : int
        Left.
    seconds_each : float or None
        What a block takes; None before the first is done.
    """

    kind: str
    blocks: int
    seconds_each: float | None = None


@dataclass(slots=True, eq=False)
class Watch:
    """What is known of a cluster.

    Parameters
    ----------
    kinds : frozenset of str
        Kinds of workers that it has or will have; empty where only the workers themselves tell.
    say : callable
        Told what a person may want to know, such as why jobs wait.
    problem : str
        Why it cannot be used any more; empty while it can.
    kind_of_problem : type
        What is raised then.
    wait_seconds : float
        How long work waits for a first worker, of a cluster of which nobody says what it will have.
    remedy : str
        What to do where none comes.
    asks : str
        Resource that tasks of the stage ask for; empty where any worker will do.
    seen : float
        When workers were last seen, by ``time.monotonic``.
    """

    kinds: frozenset[str] = frozenset()
    say: Callable[[str], None] = field(default=lambda text: None)
    problem: str = ""
    kind_of_problem: type[VolkitError] = ConfigError
    wait_seconds: float = 120.0
    remedy: str = "start some there, and run again"
    asks: str = ""
    seen: float = 0.0
    backlog: Backlog | None = None
    _said: str = ""

    def tell(self, text: str) -> None:
        """Say something, once."""
        if text != self._said:
            self._said = text
            self.say(text)

    def check(self) -> None:
        """Raise what is wrong with the cluster.

        Raises
        ------
        ConfigError
            If it cannot be used any more.
        SourceError
            If its workers have gone.
        """
        if self.problem:
            raise self.kind_of_problem(self.problem)

    def fail(
        self, client: Any, problem: str, kind_of_problem: type[VolkitError] = ConfigError
    ) -> None:
        """Give the cluster up: whoever waits for work on it stops waiting."""
        from distributed import Future

        if not self.problem:
            self.problem, self.kind_of_problem = problem, kind_of_problem
            flying: list[Any] = [Future(key, client) for key in list(client.futures)]
            client.loop.add_callback(client.cancel, flying, asynchronous=True, force=True)


_WATCHES: WeakKeyDictionary[Any, Watch] = WeakKeyDictionary()


@contextmanager
def watched(client: Any, watch: Watch) -> Iterator[Watch]:
    """Let a Watch be found by its client."""
    _WATCHES[client] = watch
    try:
        yield watch
    finally:
        _WATCHES.pop(client, None)


def watch_of(client: Any) -> Watch:
    """Find the Watch of a client; an empty one where nobody keeps it."""
    return _WATCHES.get(client) or Watch()
