"""Window spread: the windows that begin in a block, evaluated once, for blocks to exchange."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from volkit.engine.op import Array
from volkit.geometry import Block, Box, Coord
from volkit.models.scaling import Scale
from volkit.ops.network import Network
from volkit.ops.skipper import Skipper
from volkit.ops.window_pass import WindowPass


@dataclass(frozen=True, slots=True)
class WindowSpread:
    """A window pass as what the engines exchange at seams; see `volkit.engine.op.Spread`.

    Parameters
    ----------
    window_pass : WindowPass
        How windows are laid and blended.
    skip : Skipper, optional
        Which voxels are wanted, for blocks to read no more than their windows need; None where
        that is not known yet, or all are.
    """

    window_pass: WindowPass
    skip: Skipper | None = None

    @property
    def reach(self) -> Coord:
        """Voxels that the windows of a block may reach beyond its last one."""
        z, y, x = (t - 1 for t in self.window_pass.windows.trusted)
        return z, y, x

    def reads(self, block: Block) -> Box:
        """Find the voxels that the windows of a block see."""
        windows = self.window_pass.windows
        if self.skip is None:
            return windows.seen_from(block.write)
        return self.skip.seen(windows, windows.starting_in(block.write))

    def covers(self, block: Block) -> Box:
        """Find the voxels that the windows of a block answer."""
        return self.window_pass.windows.decided_from(block.write)

    def contribute(
        self,
        block: Block,
        image: NDArray[Any],
        network: Network,
        scale: Scale,
        skip: Skipper | None = None,
    ) -> Array:
        """Add up the windows that begin in a block, over all that they cover."""
        return self.window_pass.sums(
            image,
            self.reads(block),
            self.covers(block),
            self.window_pass.chosen(self.window_pass.windows.starting_in(block.write), skip),
            network=network,
            scale=scale,
        )

    def finish(
        self,
        block: Block,
        sums: Array,
        network: Network,
        scale: Scale,
        skip: Skipper | None = None,
    ) -> Array:
        """Turn complete sums over a block into values."""
        return self.window_pass.finish(sums, block.write, skip)

    @property
    def everywhere(self) -> "WindowSpread":
        """The same where everything is wanted."""
        return replace(self, skip=None)
