"""The chains that end in the segmentation of affinities, composed once for every engine.

::

    image ─► network ─► affinities ──┐
    image ─► network ─► boundaries ──┼─► basins ─► merge tree ─► labels ─► filled ─► scores
    image ─► 2-D network ─► map ─┐   │
      └──────────────────────────┴─► recursive network ─► boundaries
"""

from typing import Any

from volkit.engine.base import Engine
from volkit.errors import ConfigError
from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Ensemble
from volkit.models.scaling import Scaling
from volkit.ops.affinity_boundary import boundary_affinities
from volkit.ops.affinity_channels import affinity_boundary, nearest_affinities, nearest_channels
from volkit.ops.inference import infer
from volkit.ops.map_stack import map_stack
from volkit.ops.network import Network
from volkit.pipelines.segment_affinities_config import (
    OffsetKeys,
    Recursive,
    SegmentAffinities,
    SegmentBoundaries,
)
from volkit.pipelines.segment_affinities_inputs import AffinityInputs, Model
from volkit.pipelines.segment_affinities_labels import AffinitySegmented, Signed, segmented
from volkit.pipelines.segment_affinities_stages import RenamedStages

MAP = "map"
"""Stage of the preliminary network, whose answers are those of its card."""


def compute_affinities(
    inputs: AffinityInputs, config: SegmentAffinities, engine: Engine
) -> AffinitySegmented:
    """Compose the chain from affinities.

    Parameters
    ----------
    inputs : AffinityInputs
        What the workflow names, opened.
    config : SegmentAffinities
        The options.
    engine : Engine
        Where; a LazyEngine gives dask arrays and computes nothing.

    Returns
    -------
    AffinitySegmented

    Raises
    ------
    ConfigError
        If offsets of neighbours are not among those that are stated, there are not as many as
        channels, or far ones are asked for and none is.
    """
    where: dict[str, Any] = {"grid": inputs.grid, "engine": engine}
    stated = config.offsets or _offsets_of(inputs.checkpoint)
    channels, offsets = nearest_channels(stated)
    many = _answers_of(inputs)
    if many != len(stated):
        raise ConfigError(
            f"{len(stated)} offsets are stated, and affinities have {many} channels; state the "
            "offset of each channel, in their order"
        )
    if inputs.stored is None:
        answers = infer(inputs.seen, inputs.answering, options=config.infer, **where)
    else:
        answers = inputs.stored
    as_they_are = channels == (0, 1, 2) and len(stated) == len(channels)
    affinities = answers if as_they_are else nearest_affinities(answers, channels=channels, **where)
    boundary = None
    if config.segment.fill is not None:
        toward = config.segment.options(offsets).watershed.toward
        boundary = affinity_boundary(affinities, toward=toward, **where)
    signed = None
    if config.segment.mutex is not None:
        signed = Signed(answers, stated, channels)
    return segmented(affinities, boundary, inputs, config, engine, offsets=offsets, signed=signed)


def compute_boundaries(
    inputs: AffinityInputs, config: SegmentBoundaries, engine: Engine
) -> AffinitySegmented:
    """Compose the chain from boundary probabilities.

    Parameters
    ----------
    inputs : AffinityInputs
        What the workflow names, opened.
    config : SegmentBoundaries
        The options.
    engine : Engine
        Where.

    Returns
    -------
    AffinitySegmented

    Raises
    ------
    ConfigError
        If nobody says which channel is the boundary.
    """
    where: dict[str, Any] = {"grid": inputs.grid, "engine": engine}
    if inputs.stored is None:
        channel = boundary_channel(inputs.answering, config.channel)
        prob = infer(inputs.seen, inputs.answering, options=config.infer, **where)
    else:
        channel, prob = _stored_channel(inputs.stored.channels, config.channel), inputs.stored
    affinities = boundary_affinities(prob, channel=channel, **where)
    return segmented(affinities, prob, inputs, config, engine, channel=channel)


def compute_recursive(
    inputs: AffinityInputs, config: Recursive, engine: Engine
) -> AffinitySegmented:
    """Compose the chain of two networks, the second of which sees what the first one answered.

    Parameters
    ----------
    inputs : AffinityInputs
        What the workflow names, opened.
    config : Recursive
        The options.
    engine : Engine
        Where.

    Returns
    -------
    AffinitySegmented

    Raises
    ------
    ConfigError
        If nobody says which channel is the boundary.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843
    """
    grid, first = inputs.grid, inputs.first
    known = boundary_channel(first, config.channel)
    channel = boundary_channel(inputs.answering, config.channel)
    naming = RenamedStages(engine, {"prob": MAP, "histogram": f"{MAP}_histogram"})
    options = config.infer_preliminary
    found = infer(inputs.seen, first, options=options, grid=grid, engine=naming)
    scales = Network.of(inputs.answering, window=config.infer.window).scaling
    scaled = scales.kind if isinstance(scales, Scaling) else scales[0].kind
    stack = map_stack(
        inputs.seen,
        found,
        network=Network.of(first, window=options.window) if scaled == "none" else None,
        channel=known,
        levels=config.levels,
        grid=grid,
        engine=RenamedStages(engine, {"histogram": f"{MAP}_histogram"}),
    )
    prob = infer(stack, inputs.answering, options=config.infer, grid=grid, engine=engine)
    affinities = boundary_affinities(prob, channel=channel, grid=grid, engine=engine)
    return segmented(affinities, prob, inputs, config, engine, channel=channel)


def boundary_channel(model: Model, stated: int | None) -> int:
    """Find which channel of a network's answers is the boundary.

    Parameters
    ----------
    model : Checkpoint or Ensemble
        Whose card may name its channels.
    stated : int or None
        What the workflow says.

    Returns
    -------
    int

    Raises
    ------
    ConfigError
        If nobody says it, or there is no such channel.
    """
    card = _card(model)
    channels = card.channels[1]
    if stated is None and "boundary" in card.classes:
        return card.classes.index("boundary")
    return _stored_channel(channels, stated)


def _card(model: Model) -> Checkpoint:
    return model.checkpoints[0] if isinstance(model, Ensemble) else model


def _answers_of(inputs: AffinityInputs) -> int:
    """Count the channels of affinities; 1 where there is no axis of channels."""
    if inputs.stored is not None:
        return inputs.stored.channels or 1
    return _card(inputs.answering).channels[1]


def _stored_channel(channels: int | None, stated: int | None) -> int:
    many = channels or 1
    if stated is None and many > 1:
        raise ConfigError(
            f"there are {many} channels, and nothing says which is the boundary; give channel"
        )
    if not 0 <= (stated or 0) < many:
        raise ConfigError(f"channel is {stated}, there are {many}; give 0 to {many - 1}")
    return stated or 0


def _offsets_of(model: Model | None) -> OffsetKeys:
    card = model.checkpoints[0] if isinstance(model, Ensemble) else model
    if not isinstance(card, Checkpoint) or not card.offsets:
        raise ConfigError(
            "neither the card nor the workflow states the offsets of the affinities; give offsets"
        )
    return card.offsets
