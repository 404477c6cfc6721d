"""A process that serves one channel by the Boss protocol: ``python -m volkit.bench.boss_process``.

It is told the channel's path and extent, (z, y, x), says its host on standard output, and ends
when its standard input does.
"""

import sys

from volkit.bench.voxels import image
from volkit.testing.servers.boss import BossServer


def main(arguments: list[str]) -> None:
    """Serve until standard input ends."""
    channel, z, y, x = arguments
    voxels = image((int(z), int(y), int(x)))
    collection, experiment, name = channel.split("/")
    with BossServer() as server:
        server.add(collection, experiment, name, voxels)
        sys.stdout.write(f"{server.host}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
