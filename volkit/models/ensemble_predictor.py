"""Ensemble predictors: members and views answer a window, and their answers become one.

Where a shifted affinity map has no value, at a window's faces, or one from a margin that is not to
be used, the view is left out of the mean there: a voxel takes the mean over the views that say
something of its edge.  The window as it is says something everywhere, so that nothing is missing,
and no further margin has to be given up.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.ensemble import Combine, Scales
from volkit.models.predictor import Batch, Floats, Predictor, ScaleLike, check_batch
from volkit.models.roles import Roles
from volkit.models.scaling import UNSCALED, Scale
from volkit.models.turned import Spread, add_turned, view_counts
from volkit.models.views import IDENTITY, View

Ask = Callable[[Any, Batch, Scale], Any]
"""How a member is asked; what it answers is an ndarray, or a tensor on its device."""

_NO_ROLES = Roles()


@dataclass(frozen=True, slots=True)
class EnsemblePredictor:
    """Members and views as one predictor.

    Views of a member are averaged; then the members are combined.

    Parameters
    ----------
    members : tuple of Predictor
        In the order in which they answer.
    weights : tuple of float
        One for each member.
    views : tuple of View
        How windows are turned; the first is the window as it is.
    roles : Roles
        Which channels point somewhere.
    combine : {"mean", "max"}
        What becomes of the members' answers.
    deviation : bool
        Whether the standard deviation of all answers follows in further channels.
    margin : tuple of int
        Voxels at a window's faces whose answer is not to be used, (z, y, x).

    Examples
    --------
    >>> from volkit.models.predictor import as_predictor
    >>> members = as_predictor(lambda batch: batch), as_predictor(lambda batch: 3 * batch)
    >>> both = EnsemblePredictor(members, (1.0, 1.0), deviation=True)
    >>> both(np.full((1, 1, 1, 1), 2)).ravel().tolist()
    [4.0, 2.0]
    """

    members: tuple[Predictor, ...]
    weights: tuple[float, ...]
    views: tuple[View, ...] = (IDENTITY,)
    roles: Roles = _NO_ROLES
    combine: Combine = "mean"
    deviation: bool = False
    margin: Coord = (0, 0, 0)

    @property
    def identity(self) -> str | None:
        """Digest of all that decides the answer; None where that of a member is not known."""
        known = [member.identity for member in self.members]
        if None in known:
            return None
        views = [view.name for view in self.views]
        said = (known, self.weights, views, self.roles, self.combine, self.deviation, self.margin)
        return hashlib.sha256(repr(said).encode()).hexdigest()

    @property
    def bounded(self) -> bool:
        """Whether every answer lies within [-1, 1], as those of all members do."""
        return all(member.bounded for member in self.members)

    def __call__(self, batch: Batch, *, scale: ScaleLike | Scales = UNSCALED) -> Floats:
        """Answer a batch of windows.

        Parameters
        ----------
        batch : ndarray of real, shape (B, C, z, y, x) or (B, z, y, x)
            Voxels as stored.
        scale : Scale, tuple of four, or Scales
            The same for all members, or one for each.

        Returns
        -------
        ndarray of float32, shape (B, C', z, y, x)
            With deviations, these are the second half of the channels.

        Raises
        ------
        ModelError
            If a member refuses the batch, or members answer different channels.
        """
        answer = self._combined(
            batch, scale, lambda member, seen, numbers: member(seen, scale=numbers)
        )
        return np.ascontiguousarray(answer, np.float32)

    def _combined(self, batch: Batch, scale: ScaleLike | Scales, ask: Ask) -> Any:
        given = check_batch(batch)
        total: Any = None
        spread: Spread | None = None
        counts: Any = 1
        for member, weight, numbers in zip(
            self.members, self._shares, self._scales(scale), strict=True
        ):
            mean: Any = None
            for view in self.views:
                answer = view.undo(ask(member, view.apply(given), numbers))
                moves = self.roles.under(view, channels=int(answer.shape[1]))
                # Copied, since a function may go on with the array that it answered.
                mean = answer * 1 if mean is None else add_turned(mean, answer, moves, self.margin)
                if total is not None:
                    _check_alike(total, answer)
                if self.deviation:
                    spread = spread or Spread(mean * 1, self.margin)
                    spread.add(answer, moves, weight)
            counts = (
                view_counts(self.roles, self.views, mean, self.margin) if total is None else counts
            )
            total = self._joined(total, mean / counts, weight)
        everything = float(np.add.accumulate(np.array(self._shares, np.float32))[-1])
        combined = total / everything if self.combine == "mean" else total
        if spread is None:
            return combined
        return _concatenated(combined, spread.deviation(counts * everything))

    @property
    def _shares(self) -> list[float]:
        """Weights as float32 has them: added up as answers are, a mean stays in bounds."""
        return [float(np.float32(weight)) for weight in self.weights]

    def _joined(self, total: Any, mean: Any, weight: float) -> Any:
        if self.combine == "mean":
            mean *= weight
            return mean if total is None else total + mean
        return mean if total is None else _larger(total, mean)

    def _scales(self, scale: ScaleLike | Scales) -> Sequence[Scale]:
        if isinstance(scale, Scales):
            return scale.members
        return [Scale(*scale)] * len(self.members)


@dataclass(frozen=True, slots=True)
class DeviceEnsemblePredictor(EnsemblePredictor):
    """An ensemble whose members leave their answers on one device, where they are combined."""

    @property
    def device(self) -> str:
        """Where the answers are."""
        member: Any = self.members[0]
        return member.device

    def on_device(self, batch: Batch, *, scale: ScaleLike | Scales = UNSCALED) -> Any:
        """Answer a batch of windows, and leave the answer where it is.

        Parameters
        ----------
        batch, scale
            As when called.

        Returns
        -------
        Tensor of float32, shape (B, C', z, y, x)
            On the device, in any memory order.
        """
        import torch

        with torch.inference_mode():
            return self._combined(
                batch, scale, lambda member, seen, numbers: member.on_device(seen, scale=numbers)
            )

    def __call__(self, batch: Batch, *, scale: ScaleLike | Scales = UNSCALED) -> Floats:
        """Answer a batch of windows; see `EnsemblePredictor`."""
        answer = self.on_device(batch, scale=scale)
        return answer.contiguous().cpu().numpy()


def ensemble_predictor(
    members: tuple[Predictor, ...],
    weights: tuple[float, ...],
    *,
    views: tuple[View, ...] = (IDENTITY,),
    roles: Roles = _NO_ROLES,
    combine: Combine = "mean",
    deviation: bool = False,
    margin: Coord = (0, 0, 0),
) -> EnsemblePredictor:
    """Make a predictor of members and views, on their device where they have one.

    Parameters
    ----------
    members, weights, views, roles, combine, deviation, margin
        See `EnsemblePredictor`.

    Returns
    -------
    EnsemblePredictor
        With ``on_device`` and ``device`` if all members have it.
    """
    there = all(hasattr(member, "on_device") for member in members)
    kind = DeviceEnsemblePredictor if there else EnsemblePredictor
    return kind(members, weights, views, roles, combine, deviation, margin)


def _check_alike(total: Any, answer: Any) -> None:
    if total.shape != answer.shape:
        raise ModelError(
            f"members of an ensemble answered {tuple(total.shape)} and {tuple(answer.shape)} to "
            "the same batch; choose members with the same channels"
        )


def _larger(a: Any, b: Any) -> Any:
    return np.maximum(a, b) if isinstance(a, np.ndarray) else a.maximum(b)


def _concatenated(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray):
        return np.concatenate([a, b], axis=1)
    import torch

    return torch.cat([a, b], dim=1)
