"""Larger windows for networks to which it is all the same where a window ends.

An answer of valid convolutions depends on its field of view alone, and so does one of padded
convolutions that lies no nearer to a face than they reach.  Larger windows then give the same
answers, up to rounding, and compute less of what is not used; windows need not overlap either.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.architectures import build
from volkit.models.card import PROGRAMS, Checkpoint
from volkit.models.dense_cost import DenseCost, choose_dense, dense_cost
from volkit.models.dense_layers import ONE, reach_of
from volkit.models.trust import is_foreign

_HEADROOM = 1.25  # scratch space of convolutions, and the windows before and after
_FINENESS = 8  # windows grow by an eighth of what they answer
_WORTH = 1e-3  # the least saving for which a window grows


def is_position_free(module: nn.Module, margin: Coord) -> bool:
    """Tell whether an answer inside the margin is the same wherever the window ends.

    Parameters
    ----------
    module : torch.nn.Module
        Any.
    margin : tuple of int
        Voxels at each face of a window that are not used, (z, y, x).

    Returns
    -------
    bool
        True for chains of convolutions, max-pooling and pointwise layers that see no further
        than the margin; False for all others, and for what cannot be told.

    Examples
    --------
    >>> same = nn.Conv3d(1, 1, 3, padding=1)
    >>> is_position_free(same, (1, 1, 1)), is_position_free(same, (1, 0, 1))
    (True, False)
    """
    try:
        reach = reach_of(module)
        seen = reach.margin
    except ModelError:
        return False
    padded = reach.padding
    if reach.stride != ONE and any(padded):
        return False
    shift_free = all(p in (0, m) for p, m in zip(padded, seen, strict=True))
    return shift_free and all(n <= m for n, m in zip(seen, margin, strict=True))


def has_free_windows(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint answers alike in windows of every extent.

    Such windows need not overlap: `Windows` with a stride of their trusted extent give the result
    of any other lattice, up to rounding.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its weights are not read.

    Returns
    -------
    bool
        False for programs, whose layers cannot be told.

    Raises
    ------
    ModelError
        If the architecture cannot be built.
    """
    module = _architecture(checkpoint)
    return module is not None and is_position_free(module, checkpoint.margin)


def larger_window(
    checkpoint: Checkpoint, memory_bytes: int, *, domain: Coord | None = None, batch: int = 1
) -> Coord:
    """Choose the window that costs least for each voxel, within a given memory.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its weights are not read.
    memory_bytes : int
        What the maps of a batch may take.
    domain : tuple of int, optional
        Voxels to be answered, (z, y, x); no window answers more than these.
    batch : int
        Windows at once.

    Returns
    -------
    tuple of int
        Voxels, (z, y, x): at least the card's window, and just that where answers depend on the
        window or larger ones save nothing.

    Raises
    ------
    ModelError
        If the architecture cannot be built.
    """
    module = _architecture(checkpoint)
    if module is None or not is_position_free(module, checkpoint.margin):
        return checkpoint.window
    search = _Search(module, checkpoint.margin, memory_bytes, batch)
    answered = search.answered(checkpoint.window)
    while (better := search.better(answered, domain)) is not None:
        answered = better
    if domain is not None:
        answered = search.evened(answered, domain, search.answered(checkpoint.window))
    return search.window(answered)


def _architecture(checkpoint: Checkpoint) -> nn.Module | None:
    """Build a network without numbers; None for a program."""
    if checkpoint.format in PROGRAMS or checkpoint.planes or is_foreign(checkpoint.architecture):
        return None
    with torch.device("meta"):
        return build(checkpoint.architecture, **checkpoint.arguments).eval()


@dataclass(frozen=True, slots=True)
class _Search:
    """Windows of a network by what they answer, and what they cost."""

    module: nn.Module
    margin: Coord
    memory_bytes: int
    batch: int

    def window(self, answered: Coord) -> Coord:
        z, y, x = (n + 2 * m for n, m in zip(answered, self.margin, strict=True))
        return z, y, x

    def answered(self, window: Coord) -> Coord:
        z, y, x = (n - 2 * m for n, m in zip(window, self.margin, strict=True))
        return z, y, x

    def better(self, answered: Coord, domain: Coord | None) -> Coord | None:
        """Grow a window on the one axis where that saves most; None if it saves nothing."""
        now = self.cost(answered).work / prod(answered)
        best, least = None, now * (1 - _WORTH)
        for axis, step in enumerate(reach_of(self.module).stride):
            more = max(1, answered[axis] // _FINENESS // step) * step
            tried = list(answered)
            tried[axis] += more
            if domain is not None and tried[axis] + more > domain[axis]:
                tried[axis] = max(domain[axis], answered[axis])  # no rest for another window
            z, y, x = tried
            if (z, y, x) == answered:
                continue
            cost = self.cost((z, y, x))
            fits = cost.memory_bytes * _HEADROOM <= self.memory_bytes
            if fits and cost.work / prod(tried) < least:
                best, least = (z, y, x), cost.work / prod(tried)
        return best

    def evened(self, answered: Coord, domain: Coord, smallest: Coord) -> Coord:
        """Share a domain out evenly among as many windows."""
        counts = [-(-n // a) for n, a in zip(domain, answered, strict=True)]
        even = [-(-n // c) for n, c in zip(domain, counts, strict=True)]
        z, y, x = (max(a, b) for a, b in zip(even, smallest, strict=True))
        return z, y, x

    def cost(self, answered: Coord) -> DenseCost:
        window = self.window(answered)
        method = choose_dense(self.module, window)
        return dense_cost(self.module, window, method=method, batch=self.batch)
