"""What a process holds of memory, as the system counts it."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def held(name: str) -> int:
    """Tell the bytes held now (VmRSS), or at most since the start (VmHWM).

    Where there is no /proc, both are the most that was held, which counts less of a rise.
    """
    if not _STATUS.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(words[1]) * 1024 for words in lines if words[0] == f"{name}:")
