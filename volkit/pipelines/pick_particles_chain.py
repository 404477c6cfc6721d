"""The chain of ``pick_particles`` for one tomogram, composed once for jobs and plans.

::

    image ─► heat maps ─► peaks ─► picks
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from volkit.engine.base import Engine
from volkit.engine.op import Op, Reduction
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Grid, VoxelScale
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble, read_model
from volkit.ops.inference import infer
from volkit.ops.particle_options import PickOptions
from volkit.ops.particles import pick, stated_scale
from volkit.pipelines.pick_particles_classes import pick_options
from volkit.pipelines.pick_particles_config import PickParticles, TruthKeys
from volkit.pipelines.pick_particles_inputs import Tomogram, find_tomograms
from volkit.pipelines.pick_particles_truth import corners, read_truth, true_points


@dataclass(frozen=True, slots=True)
class PickJob:
    """What all tomograms of a workflow share.

    Parameters
    ----------
    config : PickParticles
        The workflow.
    tomograms : tuple of Tomogram
        In their order.
    model : Checkpoint, Ensemble or None
        The network; None where heat maps are stored.
    options : PickOptions
        What counts as a particle.
    truth : pandas.DataFrame or None
        The table of true points, where there is one for all.
    """

    config: PickParticles
    tomograms: tuple[Tomogram, ...]
    model: Checkpoint | Ensemble | None
    options: PickOptions
    truth: pd.DataFrame | None

    @property
    def scoring(self) -> TruthKeys:
        """How picks are scored."""
        return self.config.truth or TruthKeys()


@dataclass(frozen=True, slots=True)
class OpenTomogram:
    """A tomogram, opened.

    Parameters
    ----------
    name : str
        Its name.
    image, heat : Volume or None
        At least one of them.
    scale : VoxelScale
        Where its voxels lie.
    grid : Grid
        Domain and blocks.
    truth : pandas.DataFrame or None
        Its true points; None where nobody knows them.
    """

    name: str
    image: Volume | None
    heat: Volume | None
    scale: VoxelScale
    grid: Grid
    truth: pd.DataFrame | None

    @property
    def shown(self) -> Volume:
        """What a figure shows: the image, or the heat maps where there is none."""
        shown = self.image or self.heat
        if shown is None:
            raise TypeError("a tomogram has an image or heat maps")
        return shown


@dataclass(frozen=True, slots=True)
class StagesOf:
    """An engine whose stages are called after a tomogram: many share the folder of a run.

    Parameters
    ----------
    engine : Engine
        What works.
    tomogram : str
        Before the name of every stage, with a dash between.
    """

    engine: Engine
    tomogram: str

    def map(self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()) -> Any:
        """Apply an Op under the longer name."""
        return self.engine.map(op, *inputs, grid=grid, name=self._called(name), shared=shared)

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Add up a table under the longer name."""
        name = self._called(name)
        return self.engine.reduce(reduction, *inputs, grid=grid, name=name, shared=shared)

    def _called(self, name: str) -> str:
        return f"{self.tomogram}-{name}"


def open_job(config: PickParticles) -> PickJob:
    """Open what all tomograms share, and check that it fits together.

    Parameters
    ----------
    config : PickParticles
        The workflow.

    Returns
    -------
    PickJob

    Raises
    ------
    SourceError
        If there are no tomograms, or the table of true points cannot be read.
    ModelError
        If there is no such checkpoint.
    ConfigError
        If nothing says what the channels are, or options name other classes.
    """
    model = None if config.checkpoint is None else read_model(config.checkpoint)
    options = pick_options(config, model)
    tomograms = find_tomograms(config)
    told = config.truth
    table = None if told is None or told.points is None else read_truth(told.points, config)
    if table is not None and "tomogram" not in table.columns and len(tomograms) > 1:
        raise ConfigError(
            f"truth.points {told and told.points} does not name tomograms, and there are "
            f"{len(tomograms)}; add a column tomogram, or give each of the list its own truth"
        )
    job = PickJob(config, tomograms, model, options, table)
    scored = told is not None or any(tomogram.truth for tomogram in tomograms)
    known = job.scoring.convention("czii").classes
    strange = [name for name in options.classes if name not in known]
    if scored and strange:
        raise ConfigError(
            f"truth.radius_nm does not name {', '.join(strange)}, which the network finds; give "
            "the radius of every class that is scored"
        )
    return job


def open_one(tomogram: Tomogram, job: PickJob) -> OpenTomogram:
    """Open a tomogram, and check that it can be picked and scored.

    Parameters
    ----------
    tomogram : Tomogram
        Which.
    job : PickJob
        What it shares with the others.

    Returns
    -------
    OpenTomogram

    Raises
    ------
    SourceError
        If something cannot be opened, or true points are not what they must be.
    GeometryError
        If it does not say how large voxels are, or its heat maps do not cover it.
    """
    uri = _image(tomogram, job)
    image = None if uri is None else _opened(uri, job)
    heat = None if tomogram.heat is None else _opened(tomogram.heat, job)
    if image is not None and heat is not None and heat.domain != image.domain:
        raise GeometryError(
            f"heat maps {heat.uri} cover {heat.domain}, the tomogram covers {image.domain}; give "
            "those of the same voxels"
        )
    shown: Any = image or heat
    scale, grid = stated_scale(shown), Grid(shown.domain, job.config.block_shape)
    truth = true_points(tomogram, job.config, job.truth, extent_nm=corners(scale, grid.domain))
    return OpenTomogram(tomogram.name, image, heat, scale, grid, truth)


def _image(tomogram: Tomogram, job: PickJob) -> str | None:
    told = job.config.input
    if tomogram.project is None:
        return tomogram.image
    return tomogram.project.tomogram(
        tomogram.name, kind=told.kind, voxel_spacing=told.voxel_spacing
    )


def _opened(uri: str, job: PickJob) -> Volume:
    told = job.config.input
    return open_volume(
        uri,
        level=told.level,
        voxel_size_nm=told.voxel_size_nm,
        missing=told.missing,
        credentials=told.credentials,
        patience=told.patience,
        cache=told.cache,
    )


def compute(tomogram: OpenTomogram, job: PickJob, engine: Engine) -> Any:
    """Compose the chain of a tomogram.

    Parameters
    ----------
    tomogram : OpenTomogram
        Which.
    job : PickJob
        Network and options.
    engine : Engine
        Where; its stages get the tomogram's name before theirs.

    Returns
    -------
    pandas.DataFrame or Delayed
        Its picks.
    """
    named, heat = StagesOf(engine, tomogram.name), tomogram.heat
    if heat is None:
        if job.model is None:
            raise ConfigError(f"{tomogram.name} has no heat maps, and there is no checkpoint")
        heat = infer(
            tomogram.image, job.model, options=job.config.infer, grid=tomogram.grid, engine=named
        )
    return pick(heat, job.options, scale=tomogram.scale, grid=tomogram.grid, engine=named)
