"""Places: a folder, local or in an object store, that travels to the workers as a handle."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from volkit.io.sources import OpenOptions
from volkit.io.uris import join_query, local_path, split_query

if TYPE_CHECKING:
    from volkit.io.objects.protocol import Objects


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of objects, or one object in it.

    Parameters
    ----------
    uri : str
        Local path or URL.
    options : OpenOptions
        Credentials and patience; of no meaning locally.

    Examples
    --------
    >>> Place("s3://bucket/run?endpoint=http://127.0.0.1:9000").inside("em.zarr").uri
    's3://bucket/run/em.zarr?endpoint=http://127.0.0.1:9000'
    """

    uri: str
    options: OpenOptions = field(default_factory=OpenOptions)

    @classmethod
    def at(cls, where: "str | Path | Place") -> Self:
        """Take a path, a URL or a place."""
        if isinstance(where, Place):
            return cls(where.uri, where.options)
        return cls(os.fspath(where))

    @property
    def local(self) -> Path | None:
        """Where it lies on this machine; None where it does not."""
        return local_path(self.uri)

    @property
    def name(self) -> str:
        """The last part of it."""
        return Path(split_query(self.uri)[0]).name

    @property
    def above(self) -> Self:
        """The folder that it lies in."""
        path = self.local
        if path is not None:
            return type(self)(str(path.parent), self.options)
        place, query = split_query(self.uri)
        return type(self)(join_query(place.rstrip("/").rpartition("/")[0], query), self.options)

    def inside(self, name: str) -> Self:
        """Give something inside it, by a relative name with slashes."""
        path = self.local
        if path is not None:
            return type(self)(str(path / name), self.options)
        place, query = split_query(self.uri)
        return type(self)(join_query(f"{place.rstrip('/')}/{name}", query), self.options)

    def beside(self, ending: str) -> Self:
        """Give what has the same name with something more at its end."""
        place, query = split_query(self.uri)
        return type(self)(join_query(f"{place.rstrip('/')}{ending}", query), self.options)

    @property
    def objects(self) -> "Objects":
        """The objects in it.

        Raises
        ------
        SourceError
            If there can be no such folder.
        """
        from volkit.io.objects.protocol import open_objects

        return open_objects(self.uri, self.options)

    def exists(self) -> bool:
        """Tell whether anything is there, in the folder or under the name."""
        path = self.local
        if path is not None:
            return path.exists()
        return next(iter(self.objects.keys()), None) is not None

    def __str__(self) -> str:
        return self.uri
