"""A process that mirrors a volume and says how far its memory rose meanwhile.

``python -m volkit.bench.mirror_process SOURCE TARGET Z Y X`` mirrors in blocks of (z, y, x) voxels
and writes to standard output how many bytes it held at most beyond those it held before.
"""

import sys

from volkit.bench.memory import held
from volkit.io.open import open_volume
from volkit.ops.mirror import mirror


def main(arguments: list[str]) -> None:
    """Mirror, and say how far memory rose."""
    source, target, *shape = arguments
    z, y, x = (int(text) for text in shape)
    volume = open_volume(source)
    before = held("VmRSS")
    mirror(volume, target, block_shape=(z, y, x))
    sys.stdout.write(f"{held('VmHWM') - before}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
