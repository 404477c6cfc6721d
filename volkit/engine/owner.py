"""Owner: which process of which machine, known again by another process."""

import getpass
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process.

    Parameters
    ----------
    host : str
        Name of the machine, for people.
    user : str
        Who started it, for people.
    machine : str
        Equal for processes that see each other's ids, and for no others: two containers may have
        one host name.
    pid : int
        Its id there.
    started : str
        When it began, by the machine's own count: ids are given again.
    """

    host: str
    user: str
    machine: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> Self:
        """Describe this process."""
        return cls(socket.gethostname(), _user(), _machine(), os.getpid(), _started(os.getpid()))

    def alive(self, observer: "Owner") -> bool | None:
        """Tell whether it still runs, as far as the observer's machine can.

        Returns
        -------
        bool or None
            None where it cannot be told from there.
        """
        if os.name != "posix" or not self.machine or self.machine != observer.machine:
            return None
        try:
            os.kill(self.pid, 0)  # asks only
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody else's, and alive
        began = _started(self.pid)
        return began == self.started if self.started or began else True

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid})"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


def _machine() -> str:
    """Name the machine since its last start, and the part of it that shares process ids."""
    parts = [socket.gethostname()]
    try:
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text().strip())
        parts.append(str((_PROC / "self/ns/pid").readlink()))
    except OSError:
        pass
    return " ".join(parts)


def _started(pid: int) -> str:
    """Give when a process began, in ticks; empty where it has ended or nobody counts."""
    try:
        # The name in brackets may hold anything; after it come the state and 19 more fields.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    ended = fields[0] in "ZX"  # dead, though nobody has asked yet how it ended
    return "" if ended else fields[19]
