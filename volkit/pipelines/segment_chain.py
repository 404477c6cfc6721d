"""The chain of ``segment_neurons``, composed once for notebooks, jobs and plans."""

from dataclasses import dataclass
from typing import Any

from volkit.engine.base import Engine
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble, read_model
from volkit.ops.evaluation_alignment import check_same_voxels
from volkit.ops.inference import infer
from volkit.ops.metrics import segmentation_scores
from volkit.ops.polarity import polarity
from volkit.ops.segmentation import segment
from volkit.pipelines.segment_config import SegmentNeurons


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a workflow names, opened.

    Parameters
    ----------
    image : Volume
        What the network sees.
    truth : Volume or None
        Labels to score against.
    checkpoint : Checkpoint or Ensemble
        The network.
    grid : Grid
        Domain and blocks.
    """

    image: Volume
    truth: Volume | None
    checkpoint: Checkpoint | Ensemble
    grid: Grid


@dataclass(frozen=True, slots=True)
class Segmented:
    """What the chain computes.

    Parameters
    ----------
    prob : Volume or dask array of float32, shape (C, Z, Y, X)
        What the network says.
    labels : Volume or dask array of uint64, shape (Z, Y, X)
        Cells; 0 is background.
    scores : SegmentationScores, Delayed or None
        None without a truth.
    warnings : tuple of str, Delayed or None
        What looks wrong beside the truth; None without one.
    """

    prob: Any
    labels: Any
    scores: Any
    warnings: Any = None


def open_inputs(config: SegmentNeurons) -> Inputs:
    """Open what a workflow names, and check that it fits together.

    Raises
    ------
    SourceError
        If a volume cannot be opened.
    GeometryError
        If the box is outside the image, or the truth does not cover it or lies elsewhere.
    ModelError
        If there is no such checkpoint.
    """
    told = config.input
    image = open_volume(
        told.image,
        voxel_size_nm=told.voxel_size_nm,
        level=told.level,
        missing=told.missing,
        credentials=told.credentials,
        patience=told.patience,
        cache=told.cache,
    )
    domain = told.box or image.domain
    if not image.domain.contains(domain):
        raise GeometryError(
            f"input.box {domain} is not inside {told.image}, which covers {image.domain}; choose "
            "a box within it"
        )
    truth = None
    if told.truth is not None:
        truth = open_volume(told.truth, voxel_size_nm=told.voxel_size_nm, level=told.level)
        if not truth.domain.contains(domain):
            raise GeometryError(
                f"input.truth {told.truth} covers {truth.domain}, the domain is {domain}; give "
                "labels of the same voxels, or a box that both cover"
            )
        check_same_voxels(image, truth)
    checkpoint = read_model(config.checkpoint)
    return Inputs(image, truth, checkpoint, Grid(domain, config.block_shape))


def compute(inputs: Inputs, config: SegmentNeurons, engine: Engine) -> Segmented:
    """Compose the chain: the same for a notebook, a job and a plan.

    Parameters
    ----------
    inputs : Inputs
        From :func:`open_inputs`.
    config : SegmentNeurons
        The options.
    engine : Engine
        Where; a LazyEngine gives dask arrays and computes nothing.

    Returns
    -------
    Segmented
    """
    grid = inputs.grid
    prob = infer(inputs.image, inputs.checkpoint, options=config.infer, grid=grid, engine=engine)
    labels = segment(prob, options=config.segment, grid=grid, engine=engine)
    scores, warnings = None, None
    if inputs.truth is not None:
        scores = segmentation_scores(
            inputs.truth,
            labels,
            true_zero=config.score.true_zero,
            pred_zero=config.score.pred_zero,
            form=config.score.form,
            grid=grid,
            engine=engine,
        )
        channel = config.segment.fragments.channel
        warnings = polarity(prob, inputs.truth, options=channel, grid=grid, engine=engine)
    return Segmented(prob, labels, scores, warnings)
