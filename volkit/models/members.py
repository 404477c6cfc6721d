"""Members: what is known of a checkpoint or a callable without loading it."""

from typing import Any

import numpy.typing as npt

from volkit.models.checkpoint import Checkpoint
from volkit.models.ensemble import Model, Scales
from volkit.models.scaling import Scale, Scaling
from volkit.models.wrapped import callable_digest


def scaling_of(member: Model) -> Scaling:
    """Say how the input is scaled; a callable gets it as it is."""
    return member.scaling if isinstance(member, Checkpoint) else Scaling()


def is_bounded(member: Model) -> bool:
    """Say whether every answer lies within [-1, 1]; a callable may say so by ``bounded``."""
    if isinstance(member, Checkpoint):
        return member.activation != "none"
    return bool(getattr(member, "bounded", False))


def digest_of(member: Model) -> str:
    """Digest what decides the answers.

    Raises
    ------
    ModelError
        If a callable cannot be pickled.
    """
    return member.identity if isinstance(member, Checkpoint) else callable_digest(member)


def member_facts(member: Model, digest: str) -> dict[str, Any]:
    """Say what decides the answers, as JSON; ``digest`` is that of `digest_of`."""
    if isinstance(member, Checkpoint):
        return {"weights": member.sha256, "card": member.identity}
    return {"function": digest}


def member_origin(member: Model) -> dict[str, Any]:
    """Say where it lies, as JSON."""
    if isinstance(member, Checkpoint):
        return {"uri": member.uri, "sha256": member.sha256}
    name = getattr(member, "__qualname__", type(member).__name__)
    return {"function": f"{member.__module__}.{name}"}


def resolved_scale(
    scaling: Scaling | tuple[Scaling, ...],
    values: npt.ArrayLike | None = None,
    counts: npt.ArrayLike | None = None,
) -> Scale | Scales:
    """Find the numbers that scale the input of a network.

    Parameters
    ----------
    scaling : Scaling or tuple of Scaling
        Of one network, or of all members of an ensemble.
    values, counts : array_like, shape (N,), or None
        Histogram of the volume; see `volkit.models.scaling.Scaling.resolve`.

    Returns
    -------
    Scale or Scales
        For a tuple, those of every member: all from one histogram.
    """
    if isinstance(scaling, Scaling):
        return scaling.resolve(values, counts)
    return Scales(tuple(each.resolve(values, counts) for each in scaling))
