"""The memory that a mirror needs, which should not depend on what is mirrored.

Each mirror runs in a process of its own, which tells how far its memory rose beyond what it took
to start: client libraries hold most of theirs where Python does not see it.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from volkit.bench.harness import Case, told
from volkit.bench.voxels import image
from volkit.geometry import Box, Coord
from volkit.io.open import create_volume


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of mirrors: one volume, beside another with a quarter of its voxels.

    Blocks are small and many: what the allocator keeps for later grows over the first dozens.
    """
    if quick:
        yield of_volumes((256, 256, 256), (1024, 256, 256), block_shape=(64, 128, 128), once=True)
    else:
        yield of_volumes((512, 512, 512), (2048, 512, 512), block_shape=(64, 256, 256))


def of_volumes(small: Coord, large: Coord, *, block_shape: Coord, once: bool = False) -> Case:
    """Make the case that compares the memory of two mirrors, measured in each round or once."""
    return Case(
        "mirror, peak memory / that for a quarter of the voxels",
        ours=lambda site: site.peak_megabytes("large"),
        peer=lambda site: site.peak_megabytes("small"),
        setup=partial(_site, {"small": small, "large": large}, block_shape, once=once),
        measure=told,
        value=lambda ours, peer: ours / peer,
        target=1.2,
        better="lower",
    )


@dataclass(frozen=True, slots=True)
class Site:
    """Volumes to mirror, and a folder for the copies.

    Parameters
    ----------
    folder : Path
        Holds ``small.zarr`` and ``large.zarr``.
    block_shape : tuple of int
        What a mirror copies at once, (z, y, x), voxels.
    once : bool
        Whether a mirror is measured once, and then remembered.
    known : dict of str to float
        What was measured.
    """

    folder: Path
    block_shape: Coord
    once: bool
    known: dict[str, float] = field(default_factory=dict)

    def peak_megabytes(self, name: str) -> float:
        """Mirror a volume in a process of its own; tell how far its memory rose, 10^6 bytes."""
        if not (self.once and name in self.known):
            self.known[name] = self._measured(name)
        return self.known[name]

    def _measured(self, name: str) -> float:
        source, copies = self.folder / f"{name}.zarr", self.folder / "copies"
        shape = map(str, self.block_shape)
        command = ["-m", "volkit.bench.mirror_process", str(source), str(copies / "copy.zarr")]
        done = subprocess.run(
            [sys.executable, *command, *shape], stdout=subprocess.PIPE, text=True, check=True
        )
        rmtree(copies)
        return int(done.stdout) / 1e6


@contextmanager
def _site(shapes: dict[str, Coord], block_shape: Coord, *, once: bool) -> Iterator[Site]:
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        for kind, shape in shapes.items():
            volume = create_volume(Path(name) / f"{kind}.zarr", shape=shape, dtype="u1")
            depth = volume.write_shape[0]
            slab = image((depth, *shape[1:]))
            for z in range(0, shape[0], depth):
                volume.write(Box((z, 0, 0), (z + depth, *shape[1:])), slab)
        yield Site(Path(name), block_shape, once)
