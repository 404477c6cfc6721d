"""Stores: whether volumes can be read from here, and results written there."""

import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from volkit.errors import VolkitError
from volkit.geometry import Box
from volkit.io.credentials import Credentials
from volkit.io.faults import Patience
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.io.volume import Volume
from volkit.pipelines.doctor.check import Check
from volkit.pipelines.doctor.machine import disk
from volkit.pipelines.thumbnail import unit_shape

_PATIENCE = Patience(attempts=2, deadline_seconds=30.0)  # who looks around does not wait for long
_MOST_SECONDS = 5.0
_DATA = b"volkit doctor"


def check_stores(
    uris: Sequence[str], *, output: str | None = None, credentials: Credentials | None = None
) -> Iterator[Check]:
    """Read a little of each volume, and write a little where results will go.

    Parameters
    ----------
    uris : sequence of str
        What ``open_volume`` takes.
    output : str, optional
        Folder or URL.
    credentials : str, optional
        Of all of them.
    """
    for uri in uris:
        yield _read(uri, credentials)
    if output is not None:
        yield from _written(output, credentials)


def _read(uri: str, credentials: Credentials | None) -> Check:
    begun = time.perf_counter()
    try:
        volume = open_volume(uri, credentials=credentials, patience=_PATIENCE, missing="zero")
        box = _middle(volume)
        values = volume.read(box)
    except VolkitError as error:
        return Check(f"read {uri}", "fail", str(error), "see the message")
    seconds = time.perf_counter() - begun
    found = (
        f"{volume.dtype}, {' x '.join(map(str, volume.shape))} voxels; "
        f"{values.nbytes / 2**20:.2f} MiB came in {seconds:.2f} s"
    )
    if seconds > _MOST_SECONDS:
        copy = f"volkit mirror {quote(uri)} em.zarr, and work there"
        return Check(f"read {uri}", "warn", found, copy)
    return Check(f"read {uri}", "ok", found)


def _middle(volume: Volume) -> Box:
    """Choose a chunk in the middle of a volume, at its own level."""
    unit = unit_shape(volume)
    start = [
        first + (n // 2) // u * u
        for first, n, u in zip(volume.domain.start, volume.shape, unit, strict=True)
    ]
    return Box.from_shape(unit, start).intersect(volume.domain)


def _written(output: str, credentials: Credentials | None) -> Iterator[Check]:
    place = Place(output, OpenOptions(credentials=credentials, patience=_PATIENCE))
    name = f"write {output}"
    folders = () if place.local is None else (place.local, *place.local.parents)
    new: list[Path] = []
    try:
        new += [folder for folder in folders if not folder.exists()]
        back = _back(place)
    except (VolkitError, OSError) as error:
        yield Check(name, "fail", str(error), "choose another place, or other --credentials")
    else:
        if back == _DATA:
            yield Check(name, "ok", "an object was written, read back and removed")
            if place.local is not None:
                yield disk(f"disk {output}", place.local)
        else:
            found = f"what was written came back as {back!r}"
            yield Check(name, "fail", found, "use another store")
    yield from _removed(new)


def _back(place: Place) -> bytes | None:
    """Write an object, and give what is read of it."""
    key = f".volkit-doctor-{uuid.uuid4().hex}"
    objects = place.objects
    objects.put(key, _DATA)
    back = objects.get(key)
    objects.delete(key)
    return back


def _removed(new: Sequence[Path]) -> Iterator[Check]:
    """Remove folders that were not there before, the innermost first."""
    for folder in new:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue  # it was never made
        except OSError as error:
            found = f"{folder} was made to try it, and cannot be removed again: {error.strerror}"
            yield Check(f"remove {folder}", "warn", found, "remove it where nothing needs it")
            return
