"""Cuboids: what a volume shows of each segment, read in groups and as clips show it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box
from volkit.io.volume import Volume
from volkit.kernels.clips import Clip
from volkit.kernels.relabel import renamed
from volkit.kernels.vessel_outline import outlined, segment_signal, segment_voxels
from volkit.ops.components import foreground

Array = NDArray[Any]
Outline = Literal["painted", "channel", "none"]
CHANNELS: Mapping[Outline, int] = {"painted": 3, "channel": 2, "none": 1}
_NM_PER_UM = 1000.0
_WASTE = 3  # a read of several cuboids together may be as many times their sum


@dataclass(frozen=True, slots=True)
class Look:
    """How a cuboid is shown.

    Parameters
    ----------
    outline : {"painted", "channel", "none"}
        In orange in every plane, as in annotated clips; as a second channel; or not at all.
    grey : tuple of float, optional
        Values that become 0 and 255; None takes those of uint8 as they are.
    threshold : float
        Voxels of the mask above it are vessel.
    channel : int
        Of the mask, where it has several.
    most_voxels : int
        That are read together; larger cuboids are read by themselves.

    Raises
    ------
    ConfigError
        If the greys are no range, or there is no such outline.
    """

    outline: Outline = "painted"
    grey: tuple[float, float] | None = None
    threshold: float = 0.0
    channel: int = 0
    most_voxels: int = 2**25

    def __post_init__(self) -> None:
        if self.outline not in CHANNELS or (self.grey and self.grey[0] >= self.grey[1]):
            raise ConfigError(
                f"outline {self.outline!r} and grey {self.grey}; give one of "
                f"{', '.join(CHANNELS)}, and a range such as [0, 4095]"
            )


@dataclass(frozen=True, slots=True)
class CuboidReader:
    """The volumes that cuboids are read from.

    Parameters
    ----------
    image, mask, lines : Volume
        Grey values, the vessel mask, and ids on the centre lines, of the same voxels.
    look : Look
        How they are shown.

    Raises
    ------
    ConfigError
        If the image is not grey, or not of 8 bits and without a range.
    """

    image: Volume
    mask: Volume
    lines: Volume
    look: Look = Look()

    def __post_init__(self) -> None:
        if self.image.channels is not None:
            raise ConfigError(
                f"{self.image.uri} has {self.image.channels} channels; give the one that shows "
                "blood as a volume of its own"
            )
        if self.image.dtype != np.uint8 and self.look.grey is None:
            raise ConfigError(
                f"{self.image.uri} is {self.image.dtype}; say which values become black and white "
                "(grey: [low, high]), as networks see 8 bits"
            )

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the cuboids, as JSON."""
        volumes = (self.image, self.mask, self.lines)
        return {
            "volumes": [volume.identity for volume in volumes],
            "outline": self.look.outline,
            "grey": self.look.grey and list(self.look.grey),
            "threshold": self.look.threshold,
            "channel": self.look.channel,
        }

    def read(
        self, segments: Sequence[int], boxes: Sequence[Box], became: tuple[Array, Array]
    ) -> Iterator[tuple[int, Clip, dict[str, float]]]:
        """Read cuboids, near ones together; one group at a time is in memory.

        Parameters
        ----------
        segments : sequence of int
            Their ids.
        boxes : sequence of Box
            What to show.
        became : tuple of ndarray
            Ids on the centre lines, and of the segments that they belong to.

        Yields
        ------
        number : int
            Which of the sequence.
        clip : Clip
            What the network shall see.
        signal : dict of float
            ``n_voxels``, and those of `volkit.kernels.vessel_outline.segment_signal`.
        """
        for group in read_groups(boxes, most_voxels=self.look.most_voxels):
            whole = _around([boxes[n] for n in group])
            image, mask = self.image.read(whole), self.mask.read(whole)
            vessel = foreground(mask, threshold=self.look.threshold, channel=self.look.channel)
            lines = renamed(self.lines.read(whole), *became)
            for n in group:
                here = boxes[n].relative_to(whole).slices
                yield (
                    n,
                    *self._shown(image[here], vessel[here], lines[here], segments[n], boxes[n]),
                )

    def _shown(
        self, image: Array, vessel: Array, lines: Array, segment: int, box: Box
    ) -> tuple[Clip, dict[str, float]]:
        z, y, x = (size / _NM_PER_UM for size in self.image.voxel_size_nm)
        inside = segment_voxels(vessel, lines, segment, spacing=(z, y, x))
        if not inside.any():
            raise ContractError(
                f"segment {segment} has no voxel in {box}; image, mask and centre lines are not of "
                "the same voxels"
            )
        signal = segment_signal(image, inside, ~vessel)
        signal["n_voxels"] = float(inside.sum())
        colours = outlined(self._grey(image), inside, channels=CHANNELS[self.look.outline])
        return Clip(colours, box), signal

    def _grey(self, image: Array) -> NDArray[np.uint8]:
        if self.look.grey is None:
            return image
        low, high = self.look.grey
        share = (image.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def read_groups(boxes: Sequence[Box], *, most_voxels: int) -> Iterator[list[int]]:
    """Gather neighbours in a sequence of boxes that are worth one read.

    Parameters
    ----------
    boxes : sequence of Box
        In an order in which neighbours are near.
    most_voxels : int
        Of one read, unless one box alone is larger.

    Yields
    ------
    list of int
        Numbers, each once.

    Examples
    --------
    >>> boxes = [Box((0, 0, n), (4, 4, n + 4)) for n in (0, 2, 90)]
    >>> list(read_groups(boxes, most_voxels=1000))
    [[0, 1], [2]]
    """
    group: list[int] = []
    for n, box in enumerate(boxes):
        joined = [*(boxes[k] for k in group), box]
        around, alone = _around(joined).size, sum(b.size for b in joined)
        if group and (around > most_voxels or around > _WASTE * alone):
            yield group
            group = []
        group = [*group, n]
    if group:
        yield group


def _around(boxes: Sequence[Box]) -> Box:
    starts, stops = (np.array([getattr(b, side) for b in boxes]) for side in ("start", "stop"))
    z, y, x = (int(v) for v in starts.min(0))
    k, j, i = (int(v) for v in stops.max(0))
    return Box((z, y, x), (k, j, i))
