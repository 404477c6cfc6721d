"""Configuration of scoring points: the keys ``points`` of an evaluate workflow."""

from dataclasses import dataclass, field

from volkit.kernels.matching import Match
from volkit.ops.particle_convention import CZII, PointConvention


@dataclass(frozen=True, slots=True, kw_only=True)
class PointScoring:
    """How points are scored; as in the CZII challenge by default.

    Parameters
    ----------
    radius_nm : dict of str to float
        Radius of each class, nanometres; empty takes the six classes of the challenge and their
        weights.
    weight : dict of str to float
        Of each class; 1 where none is given.
    share, beta, match
        As for :class:`~volkit.ops.particle_convention.PointConvention`.
    class_name : str, optional
        What points are whose file does not say it.
    tomogram : str, optional
        The one to score; None takes all of which there is truth.
    user, session : str, optional
        Whose predicted picks of a copick project, and of which session.
    true_user, true_session : str, optional
        Whose picks of a copick project are true, and of which session.

    Raises
    ------
    ConfigError
        If the convention makes no sense.
    """

    radius_nm: dict[str, float] = field(default_factory=dict)
    weight: dict[str, float] = field(default_factory=dict)
    share: float = 0.5
    beta: float = 4.0
    match: Match = "czii"
    class_name: str | None = None
    tomogram: str | None = None
    user: str | None = None
    session: str | None = None
    true_user: str | None = None
    true_session: str | None = None

    def __post_init__(self) -> None:
        self.convention  # noqa: B018 (refuses what makes no sense, at once)

    @property
    def convention(self) -> PointConvention:
        """Classes, radii and weights."""
        radius = self.radius_nm or CZII.radius_nm
        weight = self.weight or ({} if self.radius_nm else CZII.weight)
        return PointConvention(radius, weight, self.share, self.beta, self.match)
