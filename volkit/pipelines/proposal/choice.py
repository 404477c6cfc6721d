"""Choice: the network, the level and the blocks that fit somebody's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, prod
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError
from volkit.geometry import Coord, coord
from volkit.geometry.scale import Vector
from volkit.io.volume import Volume
from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.pipelines.cluster import processors
from volkit.pipelines.config import located, parse_yaml, validate
from volkit.pipelines.proposal.look import Look
from volkit.pipelines.registry import find_pipeline

_REAL = "builtin:boundaries-fib25"
_SYNTHETIC = "builtin:boundaries-specimen"
_PARTICLES = "builtin:particles-specimen"
# Mean boundary at which merging ends, where each of them was measured; others begin between.
THRESHOLDS: Mapping[str, float] = {_REAL: 0.7, _SYNTHETIC: 0.9}
THRESHOLD = 0.7
_OTHERWISE = 1.5  # times larger or smaller: things look different to a network

_BLOCK: Coord = (128, 256, 256)
_LEAST = 32  # voxels of a block on an axis
_STEP = 8  # block shapes are multiples of it, so that chunks divide them


@dataclass(frozen=True, slots=True)
class Network:
    """A network, and how data are shown to it.

    Parameters
    ----------
    card : str
        Where its card lies.
    checkpoint : Checkpoint
        What that says.
    level : int
        Whose voxels are nearest to those that it was trained on.
    remark : str
        What is to be known of it with these data.
    """

    card: str
    checkpoint: Checkpoint
    level: int
    remark: str


def boundary_network(look: Look, card: str | None, *, levels: int) -> Network:
    """Choose a network of boundaries for an image.

    Parameters
    ----------
    look : Look
        The image.
    card : str or None
        What a person wants instead.
    levels : int
        That may be chosen from.

    Returns
    -------
    Network
    """
    chosen = card or (_SYNTHETIC if look.uri.startswith("specimen://") else _REAL)
    return _shown(look, chosen, levels)


def particle_network(look: Look, card: str | None) -> Network:
    """Choose a network of particles for a tomogram."""
    found = _shown(look, card or _PARTICLES, levels=1)
    if card is not None or look.uri.startswith("specimen://"):
        return found
    remark = (
        f"{_PARTICLES} knows synthetic tomograms alone: good for a trial, not for results; train "
        "one on yours (workflows/particles/train.yaml)"
    )
    return replace(found, remark=remark)


def nearest_level(volume: Volume, size_nm: Vector, *, levels: int) -> int:
    """Find the level whose voxels are most like others.

    Parameters
    ----------
    volume : Volume
        At any level.
    size_nm : tuple of float
        Of these others, (z, y, x).
    levels : int
        That may be chosen from.
    """

    def unlike(level: int) -> float:
        found = volume.at_level(level).voxel_size_nm
        return sum(abs(log(a / b)) for a, b in zip(found, size_nm, strict=True))

    return min(range(levels), key=unlike)


def block_shape(shape: Coord) -> Coord:
    """Choose blocks of a domain: not too large, and enough for all processors.

    Parameters
    ----------
    shape : tuple of int
        Of the domain, voxels.

    Examples
    --------
    >>> block_shape((4000, 9000, 9000))
    (128, 256, 256)
    """
    block = [min(b, n) for b, n in zip(_BLOCK, shape, strict=True)]
    while True:
        blocks = prod(-(-n // b) for n, b in zip(shape, block, strict=True))
        longest = block.index(max(block))
        if blocks >= 2 * processors() or block[longest] < 2 * _LEAST:
            return coord(block)
        block[longest] = _halved(block[longest])


def fitting(text: str, block: Coord, *, pipeline: str, file: Path) -> Coord:
    """Halve blocks until a plan of the workflow says that they fit the memory of workers.

    Parameters
    ----------
    text : str
        A workflow.
    block : tuple of int
        To begin with.
    pipeline : str
        Its name.
    file : Path
        Where it will lie.

    Returns
    -------
    tuple of int

    Raises
    ------
    ConfigError
        If no block fits.
    """
    found = find_pipeline(pipeline)
    if found.plan is None:
        return block
    tree = located(parse_yaml(text, where=str(file)), found.paths, file.absolute().parent)
    del tree["pipeline"]
    while True:
        config: Any = validate({**tree, "block_shape": list(block)}, found.config, where=str(file))
        plan = found.plan(config)
        if plan.memory_bytes is None or plan.worst.memory_bytes <= plan.memory_bytes:
            return block
        longest = block.index(max(block))
        if block[longest] < 2 * _LEAST:
            raise ConfigError(
                f"even blocks of {block} need {plan.worst.memory_bytes / 2**30:.1f} GiB for each "
                f"worker, there are {plan.memory_bytes / 2**30:.1f}; free memory, or work on a "
                "machine that has more"
            )
        block = coord([_halved(n) if i == longest else n for i, n in enumerate(block)])


def training_window(shape: Sequence[int], most: int) -> Coord:
    """Choose a window that a volume holds and a network of four levels takes: multiples of 8."""
    return coord([max(_STEP, min(most, n // _STEP * _STEP)) for n in shape])


def isotropic(size_nm: Vector) -> bool:
    """Tell whether voxels are cubes, or nearly."""
    return max(size_nm) < _OTHERWISE * min(size_nm)


def by(values: Sequence[float]) -> str:
    """Write an extent."""
    return " x ".join(f"{value:g}" for value in values)


def _shown(look: Look, card: str, levels: int) -> Network:
    checkpoint = read_checkpoint(card)
    trained = checkpoint.voxel_size_nm
    if trained is None or not look.scaled:
        return Network(card, checkpoint, look.volume.level, "")
    stated = look.volume.level if look.states_level else None
    level = nearest_level(look.volume, trained, levels=levels) if stated is None else stated
    size = look.volume.at_level(level).voxel_size_nm
    off = max(max(a / b, b / a) for a, b in zip(size, trained, strict=True))
    remark = (
        f"{card} was trained on voxels of {by(trained)} nm, these are {by(size)} nm: expect many "
        "errors, and train one on labelled parts of yours (volkit init IMAGE LABELS --pipeline "
        "train_boundaries)"
    )
    return Network(card, checkpoint, level, remark if off > _OTHERWISE else "")


def _halved(length: int) -> int:
    return -(-length // (2 * _STEP)) * _STEP
