"""What the workflows that segment affinities name, opened and checked."""

from dataclasses import dataclass
from typing import Any

from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble, read_model
from volkit.ops.evaluation_alignment import check_same_voxels
from volkit.pipelines.segment_affinities_config import (
    Recursive,
    SegmentAffinities,
    SegmentBoundaries,
    SourceOptions,
)

Model = Checkpoint | Ensemble
Config = SegmentAffinities | SegmentBoundaries | Recursive


@dataclass(frozen=True, slots=True)
class AffinityInputs:
    """What a workflow names, opened.

    Parameters
    ----------
    image : Volume or None
        What networks see; None where their answers are stored, and there is nothing to show.
    stored : Volume or None
        A boundary map or affinities; None where a network answers.
    truth : Volume or None
        Labels to score against.
    checkpoint : Checkpoint, Ensemble or None
        The network.
    preliminary : Checkpoint, Ensemble or None
        The one whose answers it sees.
    grid : Grid
        Domain and blocks.
    """

    image: Volume | None
    stored: Volume | None
    truth: Volume | None
    checkpoint: Model | None
    preliminary: Model | None
    grid: Grid

    @property
    def seen(self) -> Volume:
        """What the network sees."""
        return _there(self.image)

    @property
    def answering(self) -> Model:
        """The network."""
        found: Model = _there(self.checkpoint)
        return found

    @property
    def first(self) -> Model:
        """The network whose answers the other one sees."""
        found: Model = _there(self.preliminary)
        return found


def open_inputs(config: Config) -> AffinityInputs:
    """Open what a workflow names, and check that it fits together.

    Parameters
    ----------
    config : SegmentAffinities, SegmentBoundaries or Recursive
        The workflow.

    Returns
    -------
    AffinityInputs

    Raises
    ------
    SourceError
        If a volume cannot be opened.
    GeometryError
        If the box is outside a volume, one of them does not cover it, or the truth lies elsewhere.
    ModelError
        If there is no such checkpoint.
    """
    told = config.input
    image = None if told.image is None else _opened(told, told.image)
    kept = told.boundaries or told.affinities
    size = told.voxel_size_nm
    stored = (
        None
        if kept is None
        else open_volume(kept, voxel_size_nm=size, credentials=told.credentials)
    )
    truth = (
        None
        if told.truth is None
        else open_volume(told.truth, voxel_size_nm=size, level=told.level)
    )
    # An image beside a stored map is for show: it does not say what is segmented.
    domain = told.box or _there(stored or image).domain
    for name, volume in (("image", image), (_stored_name(told), stored), ("truth", truth)):
        if volume is not None:
            _check_covers(volume, domain, name)
    if truth is not None:
        check_same_voxels(_there(image or stored), truth)
    first = config.preliminary if isinstance(config, Recursive) else None
    return AffinityInputs(
        image,
        stored,
        truth,
        None if config.checkpoint is None else read_model(config.checkpoint),
        None if first is None else read_model(first),
        Grid(domain, config.block_shape),
    )


def _opened(told: SourceOptions, uri: str) -> Volume:
    return open_volume(
        uri,
        voxel_size_nm=told.voxel_size_nm,
        level=told.level,
        missing=told.missing,
        credentials=told.credentials,
        patience=told.patience,
        cache=told.cache,
    )


def _stored_name(told: SourceOptions) -> str:
    return "boundaries" if told.affinities is None else "affinities"


def _check_covers(volume: Volume, domain: Box, name: str) -> None:
    if not volume.domain.contains(domain):
        raise GeometryError(
            f"input.{name} {volume.uri} covers {volume.domain}, the domain is {domain}; give "
            "volumes of the same voxels, or an input.box that all of them cover"
        )


def _there(value: Any) -> Any:
    if value is None:
        raise TypeError("the workflow was checked to name it")
    return value
