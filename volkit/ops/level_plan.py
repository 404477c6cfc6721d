"""Plans of levels: how voxels become one, by which factors, and in which blocks."""

from collections.abc import Sequence
from math import prod
from typing import Any, cast

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord, coord
from volkit.geometry.scale import Vector
from volkit.kernels.downsample import LARGEST

_SMALL = 256  # voxels on an axis: what a viewer shows at once
_INPUT_BYTES = 64 * 2**20  # read at a time: enough for whole chunks, little for a worker
_ENOUGH = 64  # levels: more than any volume can have


def level_factors(
    shape: Coord,
    voxel_size_nm: Vector,
    *,
    levels: int | None = None,
    factors: Coord | Sequence[Coord] | None = None,
) -> tuple[Coord, ...]:
    """Choose how many voxels of each level become one of the next.

    Halved are the axes that leave voxels nearest to cubes, so that 40 x 4 x 4 nm becomes
    40 x 8 x 8, 40 x 16 x 16, 40 x 32 x 32, 80 x 64 x 64 and so on.  An axis of one voxel stays.

    Parameters
    ----------
    shape : tuple of int
        Of level 0, (z, y, x), voxels.
    voxel_size_nm : tuple of float
        Of level 0.
    levels : int or None
        Level 0 included; None goes on until no axis is longer than 256 voxels.
    factors : tuple of int, sequence of them, or None
        Given instead: for every level, or for each.

    Returns
    -------
    tuple of tuple of int
        One for each level beyond 0.

    Raises
    ------
    ConfigError
        If ``levels`` is below 1, or factors are not 1 to 4, or change nothing, or contradict
        ``levels``.

    Examples
    --------
    >>> level_factors((1000, 8000, 8000), (40, 4, 4))
    ((1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    >>> level_factors((100, 100, 100), (8, 8, 8), levels=2)
    ((2, 2, 2),)
    """
    given, wanted = _given(factors, levels)
    steps: list[Coord] = []
    extent, size = list(shape), list(voxel_size_nm)
    while len(steps) < wanted and (wanted < _ENOUGH or max(extent) > _SMALL):
        step = given[min(len(steps), len(given) - 1)] if given else _nearest_cube(extent, size)
        if all(min(f, n) == 1 for f, n in zip(step, extent, strict=True)):
            raise ConfigError(
                f"level {len(steps) + 1} would be as large as the one before it: {tuple(extent)} "
                f"voxels, factor {step}; ask for fewer levels, or another factor"
            )
        steps.append(step)
        extent = [-(-n // f) for n, f in zip(extent, step, strict=True)]
        size = [s * f for s, f in zip(size, step, strict=True)]
    return tuple(steps)


def finer_box(box: Box, factor: Coord) -> Box:
    """Find the fine voxels that coarse ones stand for."""
    start, stop = (
        tuple(n * f for n, f in zip(corner, factor, strict=True))
        for corner in (box.start, box.stop)
    )
    return Box(start, stop)  # type: ignore[arg-type]


def block_shape(shape: Coord, unit: Coord, factor: Coord, voxel_bytes: int) -> Coord:
    """Join stored objects of a level into blocks that read up to 64 MiB.

    Parameters
    ----------
    shape : tuple of int
        Of the level, voxels.
    unit : tuple of int
        Its stored objects; a block is one at least, whatever it reads.
    factor : tuple of int
        Fine voxels that become one.
    voxel_bytes : int
        Of a fine voxel, all channels.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> block_shape((64, 1000, 1000), (64, 64, 64), (2, 2, 2), 1)
    (64, 512, 256)
    """
    block = [min(u, n) for u, n in zip(unit, shape, strict=True)]
    while True:
        room = [i for i in range(3) if block[i] < shape[i]]
        if not room or 2 * prod(block) * prod(factor) * voxel_bytes > _INPUT_BYTES:
            return coord(block)
        axis = min(room, key=lambda i: block[i])
        block[axis] = min(2 * block[axis], shape[axis])


def piece_shape(block: Coord, factor: Coord, voxel_bytes: int) -> Coord:
    """Halve a block until the fine voxels of a piece fit 64 MiB.

    Parameters
    ----------
    block : tuple of int
        Voxels of the level.
    factor : tuple of int
        Fine voxels that become one.
    voxel_bytes : int
        Of a fine voxel, all channels.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> piece_shape((128, 128, 128), (2, 2, 2), 8)
    (64, 128, 128)
    """
    piece = list(block)
    while prod(piece) * prod(factor) * voxel_bytes > _INPUT_BYTES and prod(piece) > 1:
        axis = max(range(3), key=lambda i: piece[i])
        piece[axis] = -(-piece[axis] // 2)
    return coord(piece)


def _given(factors: Coord | Sequence[Coord] | None, levels: int | None) -> tuple[list[Coord], int]:
    """Check what is given: factors, the last of which goes on, and how many levels are wanted."""
    if levels is not None and not 1 <= levels <= _ENOUGH:
        raise ConfigError(f"levels={levels}; give 1 to {_ENOUGH}, level 0 included")
    wanted = _ENOUGH if levels is None else levels - 1
    if factors is None:
        return [], wanted
    single = all(isinstance(f, int) for f in factors)
    steps = [coord(f, name="factors") for f in cast("Any", [factors] if single else factors)]
    for step in steps:
        if not all(1 <= f <= LARGEST for f in step):
            raise ConfigError(f"factor {step}; give 1 to {LARGEST} on every axis, (z, y, x)")
    if single:
        return steps, wanted
    if levels not in (None, 1 + len(steps)):
        raise ConfigError(
            f"{len(steps)} factors make {1 + len(steps)} levels, asked for {levels}; leave one out"
        )
    return steps, len(steps)


def _nearest_cube(extent: Sequence[int], size: Sequence[float]) -> Coord:
    """Halve the finest axis, the two finest, or all three: what leaves voxels nearest to cubes."""
    axes = sorted((i for i in range(3) if extent[i] > 1), key=lambda i: size[i])

    def halved(count: int) -> list[float]:
        return [size[i] * (2 if i in axes[:count] else 1) for i in axes]

    def ratio(count: int) -> float:
        return round(max(halved(count)) / min(halved(count)), 9)

    # Of equally good choices the one that shrinks most.
    best = min(range(len(axes), 0, -1), key=ratio, default=0)
    z, y, x = (2 if i in axes[:best] else 1 for i in range(3))
    return z, y, x
