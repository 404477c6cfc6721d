"""Channels: what the service says of one, and what is wrong where it says nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.io.bossdb.address import Address
from volkit.io.bossdb.client import BossClient, RefusedError
from volkit.io.bossdb.levels import Frame, Level, find_level, read_frame
from volkit.io.faults import Patience

# The service's types; intern knows all but uint32, and refuses to open or to make such channels.
READABLE = ("uint8", "uint16", "uint32", "uint64")
WRITABLE = ("uint8", "uint16", "uint64")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel, understood.

    Parameters
    ----------
    address : Address
        Its names.
    stated : mapping
        JSON of the channel.
    experiment : mapping
        JSON of its experiment.
    frame : Frame
        Where its voxels lie.
    downsampling : mapping or None
        What the service says of its levels.
    """

    address: Address
    stated: Mapping[str, Any]
    experiment: Mapping[str, Any]
    frame: Frame
    downsampling: Mapping[str, Any] | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return np.dtype(str(self.stated["datatype"]).lower())

    @property
    def first_level(self) -> int:
        """The finest level that holds voxels."""
        return int(self.stated.get("base_resolution") or 0)

    @property
    def levels(self) -> int:
        """Number of levels, those that hold nothing below the first included."""
        return self.first_level + int(self.experiment.get("num_hierarchy_levels") or 1)

    def level(self, level: int) -> Level:
        """Say where the voxels of a level lie.

        Raises
        ------
        SourceError
            If there is no such level.
        """
        if not self.first_level <= level < self.levels:
            raise SourceError(
                f"{self.address.uri} has no level {level}; it has {self.first_level} to "
                f"{self.levels - 1}, {self.first_level} the finest"
            )
        isotropic = str(self.experiment.get("hierarchy_method")).lower() == "isotropic"
        return find_level(self.frame, level, isotropic=isotropic, stated=self.downsampling)

    def attributes(self) -> dict[str, Any]:
        """Say what the service tells of the channel, as JSON."""
        return {
            "collection": self.address.collection,
            "experiment": self.address.experiment,
            "channel": self.address.channel,
            "type": self.stated.get("type"),
            "description": self.stated.get("description") or "",
            "sources": list(self.stated.get("sources") or ()),
            "coordinate_frame": self.experiment.get("coord_frame"),
            "voxel_unit": self.frame.unit,
            "hierarchy_method": self.experiment.get("hierarchy_method"),
            "downsample_status": self.stated.get("downsample_status"),
        }


def get_channel(client: BossClient, address: Address, patience: Patience) -> dict[str, Any]:
    """Get the JSON of a channel.

    Raises
    ------
    SourceError
        If it is not there, saying whether collection, experiment or channel is not; or if it may
        not be read.
    """
    url = f"{_experiment(address)}/channel/{address.channel}"
    try:
        return client.get_json(url, patience=patience, what=address.uri)
    except RefusedError as error:
        if error.status == 404:
            _say_absent(client, address, patience, error)
        client.explain(address.uri, error)


def describe(client: BossClient, address: Address, patience: Patience) -> Channel:
    """Get all that the service says of a channel whose voxels it keeps itself.

    Raises
    ------
    SourceError
        If it is not there, may not be read, or holds what is no volume.
    """
    stated = get_channel(client, address, patience)
    return describe_stated(client, address, stated, patience)


def describe_stated(
    client: BossClient, address: Address, stated: Mapping[str, Any], patience: Patience
) -> Channel:
    """Get the rest of what the service says, where the JSON of the channel is there already.

    Raises
    ------
    SourceError
        If it may not be read, or holds what is no volume.
    """
    if str(stated.get("datatype")).lower() not in READABLE:
        raise SourceError(
            f"{address.uri} holds {stated.get('datatype')!r}; channels hold one of "
            f"{', '.join(READABLE)}"
        )
    what = f"{address.uri}: its coordinate frame"
    try:
        experiment = client.get_json(_experiment(address), patience=patience, what=address.uri)
        frame = client.get_json(f"coord/{experiment['coord_frame']}", patience=patience, what=what)
    except KeyError:
        raise SourceError(f"{address.uri}: its experiment names no coordinate frame") from None
    except RefusedError as error:
        client.explain(what, error)
    return Channel(
        address=address,
        stated=stated,
        experiment=experiment,
        frame=read_frame(frame, uri=address.uri),
        downsampling=_downsampling(client, address, patience),
    )


def _downsampling(
    client: BossClient, address: Address, patience: Patience
) -> Mapping[str, Any] | None:
    """Ask for the levels; a service that does not know the question leaves them to arithmetic."""
    url = f"downsample/{address.collection}/{address.experiment}/{address.channel}/"
    try:
        return client.get_json(url, patience=patience, what=f"{address.uri}: its levels")
    except RefusedError:
        return None


def _experiment(address: Address) -> str:
    return f"collection/{address.collection}/experiment/{address.experiment}"


def _say_absent(
    client: BossClient, address: Address, patience: Patience, error: RefusedError
) -> None:
    """Find out which of the three names is not there, and say so."""
    names = (
        ("collection", address.collection, f"collection/{address.collection}"),
        ("experiment", address.experiment, _experiment(address)),
    )
    for kind, name, url in names:
        try:
            client.get_json(url, patience=patience, what=address.uri)
        except RefusedError as found:
            if found.status != 404:
                break
            raise _absent(client, address, kind, name) from error
    raise _absent(client, address, "channel", address.channel) from error


def _absent(client: BossClient, address: Address, kind: str, name: str) -> SourceError:
    return SourceError(
        f"{address.uri}: there is no {kind} {name!r} on {client.access.host}; check the spelling, "
        "and that the token may see it"
    )
