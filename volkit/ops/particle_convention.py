"""Conventions of scoring points: what counts as found, and how much each class weighs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from volkit.errors import ConfigError
from volkit.kernels.matching import Match, check_match


@dataclass(frozen=True, slots=True)
class PointConvention:
    """What counts as found.

    Parameters
    ----------
    radius_nm : mapping of str to float
        Radius of each class of particle, nanometres; classes are scored in this order.
    weight : mapping of str to float
        Of each class in the score; 0 leaves it out.  Classes that are not named weigh 1.
    share : float
        Up to this part of its radius from a true centre a point finds it, that included.
    beta : float
        How many times as much recall counts as precision does.
    match : {'czii', 'one_to_one'}
        See :func:`~volkit.kernels.matching.match_counts`.

    Raises
    ------
    ConfigError
        If there are no classes, a number is out of range, or a weight is of an unknown class.
    """

    radius_nm: Mapping[str, float]
    weight: Mapping[str, float] = field(default_factory=dict)
    share: float = 0.5
    beta: float = 4.0
    match: Match = "czii"

    def __post_init__(self) -> None:
        check_match(self.match)
        unknown = sorted(set(self.weight) - set(self.radius_nm))
        if not self.radius_nm or unknown:
            raise ConfigError(
                f"weights are given for {', '.join(unknown) or 'no'} class(es) without a radius; "
                f"classes with one are {', '.join(self.radius_nm) or 'none'}"
            )
        numbers = {**self.radius_nm, "share": self.share, "beta": self.beta}
        for name, number in numbers.items():
            if not 0 < number < np.inf:
                what = f"radius of {name}" if name in self.radius_nm else name
                raise ConfigError(f"{what} is {number}; give a number above 0")
        weights = list(self.weights.values())
        if min(weights) < 0 or not 0 < sum(weights) < np.inf:
            raise ConfigError(f"weights are {self.weights}; give 0 or more, and not 0 for all")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(self.radius_nm)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every class."""
        return {name: float(self.weight.get(name, 1.0)) for name in self.radius_nm}

    def reach_nm(self, name: str) -> float:
        """Say how far from a true centre of a class a point may lie, nanometres."""
        return self.share * self.radius_nm[name]


CZII = PointConvention(
    radius_nm={
        "apo-ferritin": 6.0,
        "beta-amylase": 6.5,
        "beta-galactosidase": 9.0,
        "ribosome": 15.0,
        "thyroglobulin": 13.0,
        "virus-like-particle": 13.5,
    },
    weight={"beta-amylase": 0.0, "beta-galactosidase": 2.0, "thyroglobulin": 2.0},
)
"""The CZII challenge (CryoET object identification, 2024): F4, half the radius, and beta-amylase,
which is hardly there to be seen, left out."""
