"""A process that mirrors a volume and says how far its memory rose meanwhile.

``python -m volkit.bench.mirror_process SOURCE TARGET Z Y X`` mirrors in blocks of (z, y, x) voxels
and writes to standard output how many bytes it held at most beyond those it held before.
"""

import resource
import sys
from pathlib import Path

from volkit.io.open import open_volume
from volkit.ops.mirror import mirror

_STATUS = Path("/proc/self/status")


def main(arguments: list[str]) -> None:
    """Mirror, and say how far memory rose."""
    source, target, *shape = arguments
    z, y, x = (int(text) for text in shape)
    volume = open_volume(source)
    before = _held("VmRSS")
    mirror(volume, target, block_shape=(z, y, x))
    sys.stdout.write(f"{_held('VmHWM') - before}\n")


def _held(name: str) -> int:
    """Tell the bytes held now (VmRSS), or at most since the start (VmHWM).

    Where there is no /proc, both are the most that was held, which counts less of the rise.
    """
    if not _STATUS.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(words[1]) * 1024 for words in lines if words[0] == f"{name}:")


if __name__ == "__main__":
    main(sys.argv[1:])
