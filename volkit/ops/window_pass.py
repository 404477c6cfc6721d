"""Window pass: a network over the windows of a block, added up in fixed point.

Which windows a block evaluates is all that tells ``recompute`` from ``exchange``::

    recompute   all windows that touch the block    sums over the block, which are complete
    exchange    the windows that begin in it        sums over all that these reach, to be added
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby, islice
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Array
from volkit.engine.usage import count, metered
from volkit.errors import ConfigError, ContractError, ModelError, NonFiniteError
from volkit.geometry import Box, Coord, Windows
from volkit.kernels.blend import Weighting, normalised_weights, weight_sums
from volkit.kernels.sums import MOST_MARKS, blended, empty_sums
from volkit.models.scaling import Scale
from volkit.ops.network import Network
from volkit.ops.padding import Padding, cut_window
from volkit.ops.skipper import Skipper
from volkit.ops.window_sums import WindowSums, window_sums

OutputType = Literal["float32", "float16", "uint8"]

_HALF_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class WindowPass:
    """How windows are laid and blended.

    Parameters
    ----------
    windows : Windows
        The lattice of the domain.
    weights : str
        How answers of overlapping windows are weighted.
    floor : float
        Voxels whose weights sum to less are dimmed, as published for ``pyramid-published``;
        0 elsewhere.
    padding : {'reflect', 'edge', 'constant', 'none'}
        What windows see beyond the domain's faces.
    dtype : {'float32', 'float16', 'uint8'}
        What values become.
    marks : bool
        Whether answers may be NaN, and voxels become so.
    """

    windows: Windows
    weights: Weighting
    floor: float
    padding: Padding
    dtype: OutputType
    marks: bool = False

    def sums(
        self,
        image: NDArray[Any],
        held: Box,
        over: Box,
        indices: Iterable[Coord],
        *,
        network: Network,
        scale: Scale,
    ) -> Array:
        """Add up the answers of windows.

        Parameters
        ----------
        image : ndarray, shape ([C,] Z, Y, X)
            The voxels of ``held``.
        held : Box
            What was read: at least what the windows see inside the domain.
        over : Box
            The voxels to add up.
        indices : iterable of tuple of int
            Positions of the windows.
        network : Network
            What answers.
        scale : Scale
            Of its input.

        Returns
        -------
        ndarray of int32 or int64, shape (C, *over.shape)

        Raises
        ------
        ContractError
            If the image has NaN or infinite voxels.
        ModelError
            If the network does not fit its card.
        """
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise ContractError(
                f"{int((~np.isfinite(image)).sum())} voxels are NaN or infinite; replace them in "
                "the source, or choose a box without them"
            )
        todo = iter(indices)
        if (first := next(todo, None)) is None:  # no network is loaded, nor its batch tried
            return empty_sums(network.channels, over.shape, bounded=network.bounded)
        predictor = network.predictor()
        sums = window_sums(predictor, network, over.shape)
        channels = image.shape[0] if image.ndim == 4 else 1
        size = network.batch_for(predictor, channels)
        for batch in self._batches(chain([first], todo), size):
            boxes = [self.windows.window(index) for index in batch]
            seen = np.stack([self._cut(image, held, box) for box in boxes])
            with metered("network"), _naming(boxes):
                answers = sums.ask(seen, scale)
            count("windows", len(batch))
            check_channels(answers.shape[1], network.channels)
            with metered("blend"):
                for index, box, answer in zip(batch, boxes, answers, strict=True):
                    self._add(sums, over, index, box, answer)
        return sums.total()

    def chosen(
        self, indices: Iterable[Coord], skip: Skipper | None, *, within: Box | None = None
    ) -> Iterable[Coord]:
        """Keep the windows that are needed, and count the others."""
        if skip is None:
            return indices
        asked = list(indices)
        kept = skip.chosen(self.windows, asked, within=within)
        count("skipped_windows", len(asked) - len(kept))
        return kept

    def finish(self, sums: Array, over: Box, skip: Skipper | None = None) -> Array:
        """Turn complete sums into values.

        Parameters
        ----------
        sums : ndarray of int32 or int64, shape (C, *over.shape)
            Over all windows that touch the voxels.
        over : Box
            The voxels.
        skip : Skipper, optional
            Says which of them are wanted; the others become its fill.

        Returns
        -------
        ndarray of ``dtype``, shape (C, *over.shape)

        Raises
        ------
        ContractError
            If a value is too large for it.
        """
        values = blended(sums, marks=self.marks)
        if self.floor:
            values *= np.minimum(weight_sums(self.windows, over, self.weights) / self.floor, 1)
        stored = as_output(values, self.dtype)
        if skip is not None:
            skip.fill_in(stored, over)
        return stored

    def _cut(self, image: Array, held: Box, window: Box) -> Array:
        return cut_window(image, held, window, domain=self.windows.domain, padding=self.padding)

    def _add(self, sums: WindowSums, over: Box, index: Coord, window: Box, answer: Array) -> None:
        held = window.intersect(self.windows.domain) if self.padding == "none" else window
        trusted = self.windows.trusted_box(index)
        part = trusted.intersect(over)
        z_weights, plane_weights = normalised_weights(self.windows, index, self.weights)
        z, y, x = part.relative_to(trusted).slices
        corner, seen = part.relative_to(over).start, part.relative_to(held).slices
        sums.add(answer, corner, z_weights[z], plane_weights[y, x], seen)

    def _batches(self, indices: Iterable[Coord], size: int) -> Iterator[list[Coord]]:
        """Yield windows in batches of equal extent."""
        if self.padding != "none":
            groups: Iterable[Iterable[Coord]] = [indices]
        else:
            groups = (group for _, group in groupby(indices, key=self._shape_inside))
        for group in groups:
            rest = iter(group)
            while batch := list(islice(rest, size)):
                yield batch

    def _shape_inside(self, index: Coord) -> Coord:
        return self.windows.window(index).intersect(self.windows.domain).shape


@contextmanager
def _naming(windows: list[Box]) -> Iterator[None]:
    """Say where the windows lie that were answered by NaN or infinity."""
    try:
        yield
    except NonFiniteError as error:
        where = ", ".join(str(windows[number]) for number in error.windows)
        error.add_note(f"volkit: in windows {where}; nonfinite='mark' goes on, with NaN there")
        raise


def as_output(values: NDArray[np.float32], dtype: OutputType) -> Array:
    """Bring values into the type that is stored.

    Parameters
    ----------
    values : ndarray of float32
        From 0 to 1 for uint8.
    dtype : {'float32', 'float16', 'uint8'}
        The type; 255 stands for 1.

    Returns
    -------
    ndarray of ``dtype``

    Raises
    ------
    ContractError
        If it cannot hold a value.

    Examples
    --------
    >>> as_output(np.array([0, 0.5, 1], np.float32), "uint8").tolist()
    [0, 128, 255]
    """
    if dtype == "uint8":
        if (least := float(values.min(initial=0))) < 0:
            raise ContractError(
                f"the network answered {least:g}, uint8 holds probabilities from 0 to 1; store "
                "float32 (dtype: float32)"
            )
        return np.rint(values * np.float32(255)).astype(np.uint8)
    if dtype == "float16":
        largest = float(np.fmax.reduce(np.abs(values), axis=None, initial=0))  # NaN may be marked
        if largest > _HALF_MAX:
            raise ContractError(
                f"the network answered {largest:g}, float16 holds up to {_HALF_MAX:g}; store "
                "float32 (dtype: float32)"
            )
        return values.astype(np.float16)
    return values


def check_output_type(dtype: OutputType, network: Network) -> None:
    """Refuse a type that cannot hold what a network answers.

    Raises
    ------
    ConfigError
        If it is uint8 and the network's card does not say that it answers probabilities, or NaN
        is to be marked.
    """
    if dtype == "uint8" and not network.bounded:
        raise ConfigError(
            "dtype uint8 holds probabilities, from 0 to 1, and this network does not say that it "
            "answers them (a card with activation sigmoid or softmax does, unless NaN is marked); "
            "store float16 or float32"
        )


def check_marks(windows: Windows, network: Network) -> None:
    """Refuse to mark NaN where more windows hold a voxel than can be told apart from answers.

    Raises
    ------
    ConfigError
        If they do.
    """
    over = prod(-(-t // s) for t, s in zip(windows.trusted, windows.stride, strict=True))
    if network.marks and over > MOST_MARKS:
        raise ConfigError(
            f"at stride {windows.stride}, {over} windows hold a voxel; nonfinite='mark' counts up "
            f"to {MOST_MARKS} of them: choose a larger stride, or nonfinite='fail'"
        )


def check_channels(answered: int, announced: int) -> None:
    """Refuse an answer of other channels than the card says.

    Raises
    ------
    ModelError
        If they differ.
    """
    if answered != announced:
        raise ModelError(
            f"the network answered {answered} channels, {announced} were announced; correct its "
            f"card, or for a module or a function say so: InferenceOptions(channels={answered})"
        )
