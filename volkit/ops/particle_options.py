"""Options of particle picking: what counts as a particle in a heat map."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.errors import ConfigError
from volkit.geometry import Coord, coord


@dataclass(frozen=True, slots=True)
class PickOptions:
    """How heat maps become points.

    Parameters
    ----------
    classes : tuple of str
        Names of the channels, in their order.
    threshold : float or mapping of str to float
        Points score above it; one for all classes, or one for each.
    kernel : int or tuple of int
        Extent of the max-pooling window, (z, y, x), voxels; odd.
    refine : bool
        Move each point to the top of the parabola through it and its neighbours along each axis.
    exclusion_nm : float, mapping of str to float, or None
        A point removes all worse ones within this distance; one for all classes, or one for each.
        None removes none.
    across_classes : bool
        Whether a point removes those of other classes too.
    target_offset : float
        Between centres and the voxels that mark them, see
        :class:`~volkit.kernels.particle_coordinates.ParticleCoordinates`.

    Raises
    ------
    ConfigError
        If classes repeat or are none, a mapping names others, a threshold is not finite, a kernel
        is even, or a distance is negative.

    Examples
    --------
    >>> options = PickOptions(("ribosome", "apo-ferritin"), threshold={"ribosome": 0.2,
    ...                       "apo-ferritin": 0.1}, exclusion_nm=6.0)
    >>> options.thresholds, options.exclusions_nm, options.reach
    ((0.2, 0.1), (6.0, 6.0), (3, 3, 3))
    """

    classes: tuple[str, ...]
    threshold: float | Mapping[str, float] = 0.5
    kernel: Coord | int = 7
    refine: bool = False
    exclusion_nm: float | Mapping[str, float] | None = None
    across_classes: bool = False
    target_offset: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", coord(self.kernel, name="kernel"))
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ConfigError(
                f"classes are {', '.join(self.classes) or 'none'}; name each channel of the heat "
                "map once, in their order"
            )
        if not all(n % 2 == 1 and n > 0 for n in self.kernel):  # type: ignore[union-attr]
            raise ConfigError(f"kernel is {self.kernel}; give odd numbers of voxels, such as 7")
        if not np.isfinite(self.thresholds).all():
            raise ConfigError(f"threshold is {self.threshold}; give finite numbers")
        distances = self.exclusions_nm
        if distances is not None and not all(0 <= d < np.inf for d in distances):
            raise ConfigError(f"exclusion_nm is {self.exclusion_nm}; give distances of 0 or more")
        if self.across_classes and distances is None:
            raise ConfigError("across_classes needs exclusion_nm: a distance in nanometres")
        if not np.isfinite(self.target_offset):
            raise ConfigError(f"target_offset is {self.target_offset}; give voxels, such as 0.5")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Threshold of each class."""
        return _for_each(self.threshold, self.classes, "threshold")

    @property
    def exclusions_nm(self) -> tuple[float, ...] | None:
        """Exclusion distance of each class, nanometres; None where points remove none."""
        if self.exclusion_nm is None:
            return None
        return _for_each(self.exclusion_nm, self.classes, "exclusion_nm")

    @property
    def reach(self) -> Coord:
        """Voxels beside a point that decide whether it is a peak."""
        z, y, x = self.kernel  # type: ignore[misc]
        return z // 2, y // 2, x // 2


def _for_each(value: Any, classes: tuple[str, ...], name: str) -> tuple[float, ...]:
    if not isinstance(value, Mapping):
        return (float(value),) * len(classes)
    if set(value) != set(classes):
        raise ConfigError(
            f"{name} is given for {', '.join(value) or 'no class'}, the classes are "
            f"{', '.join(classes)}; give one for each of them, and for no other"
        )
    return tuple(float(value[each]) for each in classes)
