"""Cases of the engine bench about changed parameters: what is done anew, and what is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, wall_seconds
from volkit.engine.base import Progress
from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.geometry import Block, Box, Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume

_BLOCK = (8, 8, 8)
_STAGES = ("first", "second", "last")


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    side = 5 if quick else 10
    yield Case(
        f"last of 3 stages anew, {side**3} blocks / all of them",
        ours=Chain.change_last,
        peer=Chain.run_new,
        setup=partial(_chain, side),
        measure=wall_seconds,
        value=lambda changed, full: changed / full,
        unit="of a run",
        target=0.5,
        better="lower",
        agree=lambda changed, full: (
            changed == {"last": side**3} and full == dict.fromkeys(_STAGES, side**3)
        ),
    )


def _add(block: Block, values: NDArray[Any], *, amount: int) -> NDArray[Any]:
    return values + np.uint8(amount)


@dataclass(frozen=True, slots=True)
class Chain:
    """Three stages, one after another, in this process.

    Parameters
    ----------
    folder : Path
        For runs.
    source : Volume
        What they begin with.
    grid : Grid
        In which blocks.
    numbers : iterator of int
        Fresh names and parameters.
    """

    folder: Path
    source: Volume
    grid: Grid
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run_new(self) -> dict[str, int]:
        """Run all stages into a new folder.

        Returns
        -------
        dict of str to int
            Blocks that were computed in each stage.
        """
        return self.run(self.folder / f"run-{next(self.numbers)}", last=0)

    def change_last(self) -> dict[str, int]:
        """Give the last stage of a finished run another parameter.

        Returns
        -------
        dict of str to int
            Blocks that were computed, in the stages where there were some.
        """
        return self.run(self.folder / "finished", last=next(self.numbers) % 250 + 1)

    def run(self, folder: Path, *, last: int) -> dict[str, int]:
        """Run the stages, and count what is computed."""
        computed: dict[str, int] = {}

        def note(progress: Progress) -> None:
            if progress.done > progress.resumed:
                computed[progress.stage] = progress.done - progress.resumed

        engine = JobEngine(folder, on_progress=note, replace_stale=True)
        values: Any = self.source
        for name, amount in zip(_STAGES, (1, 2, last), strict=True):
            op = Op(_add, np.uint8, params={"amount": amount})
            values = engine.map(op, values, grid=self.grid, name=name)
        return computed


@contextmanager
def _chain(side: int) -> Iterator[Chain]:
    grid = Grid(Box.from_shape([side * n for n in _BLOCK]), _BLOCK)
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        source = create_volume(
            str(Path(name) / "source.zarr"),
            shape=grid.domain.shape,
            dtype=np.uint8,
            chunk_shape=_BLOCK,
        )
        source.write(grid.domain, np.zeros(grid.domain.shape, np.uint8))
        chain = Chain(Path(name), source, grid)
        chain.run(Path(name) / "finished", last=0)
        yield chain
