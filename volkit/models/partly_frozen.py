"""Partly frozen networks: first parts that stay as they are while the rest is trained."""

from collections.abc import Sequence
from typing import Self

from torch import nn

from volkit.errors import ModelError


class PartlyFrozen(nn.Module):
    """A network made of named parts, of which the first ones may be frozen.

    Parameters
    ----------
    parts : sequence of str
        Names of its submodules from the input to the answer.
    attended : str
        The submodule whose maps show where the network looks: spatial, before they are pooled.
        Empty where there are no such maps.

    Notes
    -----
    Normalisations of frozen parts stay in evaluation mode whatever mode the network is set to: else
    their running statistics would drift with the new data.

    Examples
    --------
    >>> net = PartlyFrozen(["stem", "head"], attended="stem")
    >>> net.stem, net.head = nn.BatchNorm3d(2), nn.Linear(2, 2)
    >>> net.freeze_below("head"), net.train().stem.training, net.head.training
    (6, False, True)
    """

    def __init__(self, parts: Sequence[str], *, attended: str) -> None:
        super().__init__()
        self.parts, self.attended = tuple(parts), attended
        self._frozen: tuple[str, ...] = ()

    def freeze_below(self, first: str) -> int:
        """Keep the weights of the first parts as they are while the rest is trained.

        Parameters
        ----------
        first : str
            The first part that is trained; the first of all trains everything.

        Returns
        -------
        int
            Parameters that are trained.

        Raises
        ------
        ModelError
            If there is no such part.
        """
        if first not in self.parts:
            raise ModelError(
                f"there is no part {first!r} to train from; choose one of {', '.join(self.parts)}"
            )
        self._frozen = self.parts[: self.parts.index(first)]
        self.requires_grad_(not self._frozen)  # parameters outside of parts come before them
        for name in self.parts:
            self.get_submodule(name).requires_grad_(name not in self._frozen)
        self.train(self.training)
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parts that stay as they are."""
        return self._frozen

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all parts but the frozen ones."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self
