"""Shown places: viewers of one run that are opened as somebody asks for places in it."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Self

from volkit.geometry.scale import Vector
from volkit.viewer.view import View, ViewOptions


@dataclass(slots=True)
class ShownPlaces:
    """The viewers that are open; leaving it closes them.

    Parameters
    ----------
    uri : str
        What they show: a run.
    credentials : str or None
        As ``open_volume`` takes them.
    most : int
        That stay open: the one that was opened first is closed for another one.
    """

    uri: str
    credentials: str | None = None
    most: int = 4
    _views: dict[Vector | None, View] = field(default_factory=dict)
    _opening: Lock = field(default_factory=Lock)

    def show(self, at: Vector | None = None) -> str:
        """Open a viewer at a voxel, or give the one that is open there.

        Parameters
        ----------
        at : tuple of float or None
            (z, y, x); None is the middle.

        Returns
        -------
        str
            Its address.

        Raises
        ------
        VolkitError
            As :meth:`View.of <volkit.viewer.view.View.of>` does.
        """
        with self._opening:
            if at not in self._views:
                options = ViewOptions(at=at, credentials=self.credentials)
                self._views[at] = View.of([self.uri], options=options)
                if len(self._views) > self.most:
                    self._views.pop(next(iter(self._views))).close()
            return self._views[at].url

    def close(self) -> None:
        """Close them all."""
        while self._views:
            self._views.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
