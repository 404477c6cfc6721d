"""Plans of segmentations: what their stages need, and what their networks cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from volkit.engine.job import check_aligned
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble
from volkit.models.views import views_of
from volkit.ops.arguments import arguments
from volkit.ops.empty_cells import STAGE
from volkit.ops.free_windows import window_advice
from volkit.ops.inference import InferenceOptions, lattice, passes
from volkit.ops.network import Network
from volkit.ops.padding import padding_advice
from volkit.ops.skipping import planned_windows
from volkit.pipelines.plan import StagePlan

# Measured on one block of 256^3 voxels (peak of the process, less its inputs and twice its result),
# rounded up: what kernels need beside these, bytes for every voxel that they read.
WORK_BYTES = {
    "histogram": 8.0,
    "seed_parts": 16.0,
    "seed_links": 12.0,
    "seeds": 8.0,
    "fragments": 8.0,
    "region_graph": 8.0,
    "labels": 8.0,
    "contingency": 10.0,
    # The same on blocks of 192^3, on smooth noise and on a saturated map, the worse of the two; 12
    # more where affinities of uint8 become float32.
    "stack": 12.0,
    "affinities": 4.0,
    "boundary": 22.0,
    "affinity_histogram": 60.0,
    "ways": 14.0,
    "plateaus": 8.0,
    "divided": 6.0,
    "basin_parts": 2.0,
    "basin_links": 2.0,
    "basin_graph": 20.0,
    "agglomeration": 28.0,
    # Basins of 660 voxels in a block of 128^3, nine channels of noise: the most pairs there can be.
    "signed_graph": 90.0,
    "polarity": 24.0,
    "filled": 16.0,
}
_MOST_WINDOWS = 8  # of a batch that is found by trying, on the CPU
_FLOATS_PER_WINDOW_VOXEL = 128  # the compact U-Net of first width 16 takes 111 in float32


@dataclass(frozen=True, slots=True)
class NetworkStage:
    """A stage in which a network answers.

    Parameters
    ----------
    name : str
        Of the stage.
    model : Checkpoint or Ensemble
        What answers.
    options : InferenceOptions
        How.
    key : str
        Of the workflow that holds these options.
    """

    name: str
    model: Checkpoint | Ensemble
    options: InferenceOptions
    key: str = "infer"

    @property
    def batch(self) -> int:
        """Windows at once, at most."""
        return _MOST_WINDOWS if self.options.batch == "auto" else self.options.batch

    def planned(self, stage: StagePlan, image: Volume, grid: Grid) -> StagePlan:
        """Add what the network costs to the plan of its stage.

        Parameters
        ----------
        stage : StagePlan
            As it is without.
        image : Volume
            What masks and boxes leave windows out of.
        grid : Grid
            The blocks.

        Returns
        -------
        StagePlan
        """
        network = Network.of(
            self.model, window=self.options.window, views=views_of(self.options.views)
        )
        windows = lattice(grid.domain, network, self.options)
        call = arguments(image, grid=grid, engine=None)
        found = planned_windows(self.options.skip, call, windows)
        activations = 4 * _FLOATS_PER_WINDOW_VOXEL * self.batch * prod(network.window)
        turned, laid = network.passes, passes(windows, grid, self.options)
        return replace(
            stage,
            # Blocks that evaluate windows on seams again do so where they are needed, alike.
            passes=turned * (laid * found.evaluated // found.windows),
            least_passes=turned * found.evaluated,
            skipped=turned * found.skipped,
            memory_bytes=stage.memory_bytes + activations,
        )

    def advice(self, grid: Grid, memory_bytes: int | None) -> Iterator[str]:
        """Say where windows are padded, and what would cost less.

        Parameters
        ----------
        grid : Grid
            The blocks.
        memory_bytes : int or None
            Of a worker; None where nobody knows.

        Yields
        ------
        str
            For a person.
        """
        network = Network.of(self.model, window=self.options.window)
        windows = lattice(grid.domain, network, self.options)
        for text in (
            *padding_advice(windows, self.options.padding),
            *window_advice(network, windows, memory_bytes, batch=self.batch),
        ):
            yield text.replace("infer.", f"{self.key}.")


def misaligned(grid: Grid, folder: Path, stages: Sequence[StagePlan]) -> Iterator[str]:
    """Name the volumes of an earlier run whose stored objects the blocks would cut.

    Parameters
    ----------
    grid : Grid
        The blocks.
    folder : Path
        Of the run.
    stages : sequence of StagePlan
        What it would write.

    Yields
    ------
    str
        For a person.
    """
    for stage in stages:
        path = folder / f"{stage.name}.zarr"
        if path.exists() and stage.name != STAGE:  # whose blocks are not the grid's
            try:
                check_aligned(grid, open_volume(str(path)))
            except GeometryError as error:
                yield f"{error}; or write to another folder, or run with --replace"
