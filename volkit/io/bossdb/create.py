"""Creating channels: what is not there is made, what is there must agree."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.bossdb.access import find_access
from volkit.io.bossdb.address import Address, parse_address
from volkit.io.bossdb.channel import WRITABLE, describe
from volkit.io.bossdb.client import BossClient, RefusedError, connect
from volkit.io.bossdb.provenance import read_provenance, write_provenance
from volkit.io.faults import Patience
from volkit.io.layout import Layout
from volkit.io.sources import OpenOptions
from volkit.version import __version__

_EXISTS = 6002  # of the service: somebody else made it, or an answer was lost on its way


def create_channel(
    uri: str,
    layout: Layout,
    options: OpenOptions,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Make a channel, and the collection, frame and experiment around it where they are not there.

    ``kind="labels"`` makes an annotation channel; so does uint64, where no kind is given.  A new
    experiment has one level and the frame of the volume, named as intern names it.  Chunks and
    shards of the layout do not count: the service keeps cuboids of 512 x 512 x 16.

    Parameters
    ----------
    uri : str
        ``bossdb://collection/experiment/channel[?host=…]``.
    layout : Layout
        What the volume shall be.
    options : OpenOptions
        ``credentials`` name a token that may create; the public one may not.
    overwrite : bool
        Refused where the channel is there: volkit removes none.
    attributes : mapping or None
        JSON to keep with it: provenance, a fingerprint.

    Raises
    ------
    SourceError
        If the service cannot hold such a volume, another one is there, or the token may not create.
    """
    address = parse_address(uri)
    _check_layout(address, layout)
    access = find_access(address, options.credentials)
    maker = _Maker(connect(access), address, options.patience)
    if maker.has_channel():
        if overwrite:
            raise SourceError(
                f"{uri} exists, and volkit removes no channels; choose another name, or have its "
                "keeper remove it"
            )
        _check_equal(maker, layout, attributes or {})
        return
    for kind, route, body in _resources(address, layout):
        maker.ensure(kind, route, body)
    _check_equal(maker, layout, None)
    own = {"version": __version__, **(attributes or {})}
    write_provenance(maker.client, address, own, options.patience)


class _Maker:
    """Makes resources of a service, those that are not there."""

    __slots__ = ("address", "client", "patience")

    def __init__(self, client: BossClient, address: Address, patience: Patience) -> None:
        self.client, self.address, self.patience = client, address, patience

    def has_channel(self) -> bool:
        """Tell whether the channel is there."""
        a = self.address
        return self.has(f"collection/{a.collection}/experiment/{a.experiment}/channel/{a.channel}")

    def has(self, route: str) -> bool:
        """Tell whether a resource is there: 404 means that it is not, and nothing else does."""
        try:
            self.client.get_json(route, patience=self.patience, what=self.address.uri)
        except RefusedError as error:
            if error.status != 404:
                self.client.explain(self.address.uri, error)
            return False
        return True

    def ensure(self, kind: str, route: str, body: Mapping[str, Any]) -> None:
        """Make a resource that is not there."""
        if self.has(route):
            return
        what = f"{self.address.uri}: the {kind} {body['name']!r} is not there and cannot be made"
        request = self.client.request("POST", route, json=dict(body))
        try:
            self.client.send(request, success=201, patience=self.patience, what=what)
        except RefusedError as error:
            if error.code != _EXISTS:
                self.client.explain(what, error)


def _resources(address: Address, layout: Layout) -> list[tuple[str, str, dict[str, Any]]]:
    """List what a channel needs, in the order in which it is made: kind, route and body."""
    frame = f"CF_{address.collection}_{address.experiment}"
    box = Box.from_shape(layout.shape, layout.start)
    corners = zip("zyx", box.start, box.stop, layout.voxel_size_nm, strict=True)
    place: dict[str, Any] = {"name": frame, "description": "", "voxel_unit": "nanometers"}
    for axis, start, stop, size in corners:
        place |= {f"{axis}_start": start, f"{axis}_stop": stop, f"{axis}_voxel_size": size}
    experiment = {
        "name": address.experiment,
        "description": "",
        "collection": address.collection,
        "coord_frame": frame,
        "num_hierarchy_levels": 1,
        "hierarchy_method": "anisotropic",
        "num_time_samples": 1,
        "time_step": 0,
        "time_step_unit": "seconds",
    }
    dtype = np.dtype(layout.dtype).name
    labels = dtype == "uint64" if layout.kind is None else layout.kind == "labels"
    channel: dict[str, Any] = {
        "name": address.channel,
        "description": "",
        "type": "annotation" if labels else "image",
        "datatype": dtype,
        "base_resolution": 0,
        "default_time_sample": 0,
        "sources": [],
        "related": [],
    }
    collection = f"collection/{address.collection}"
    inside = f"{collection}/experiment/{address.experiment}"
    return [
        ("collection", collection, {"name": address.collection, "description": ""}),
        ("coordinate frame", f"coord/{frame}", place),
        ("experiment", inside, experiment),
        ("channel", f"{inside}/channel/{address.channel}", channel),
    ]


def _check_layout(address: Address, layout: Layout) -> None:
    """Refuse what the service cannot hold."""
    uri, dtype = address.uri, np.dtype(layout.dtype).name
    if address.level is not None:
        raise SourceError(f"{uri} names a level; create the channel, without a number behind it")
    if dtype not in WRITABLE:
        raise SourceError(
            f"{uri} cannot be created with {dtype}; a channel is written as one of "
            f"{', '.join(WRITABLE)}: convert, or create zarr"
        )
    if layout.channels is not None:
        raise SourceError(
            f"{uri} cannot be created with {layout.channels} channels; create one for each, or zarr"
        )
    if layout.encoding is not None:
        raise SourceError(
            f"{uri} cannot be created with encoding={layout.encoding!r}; the service chooses how "
            "it stores: leave it out"
        )
    if min(layout.start) < 0:
        raise SourceError(f"{uri} cannot begin at {layout.start}; BossDB has no negative voxels")
    if any(layout.origin_nm):
        raise SourceError(
            f"{uri} cannot keep origin_nm={layout.origin_nm}; voxel (0, 0, 0) of BossDB lies at "
            "the origin: leave it out, or say with start where the volume begins"
        )


def _check_equal(maker: _Maker, layout: Layout, attributes: Mapping[str, Any] | None) -> None:
    """Refuse a channel that is not the one that was asked for."""
    uri = maker.address.uri
    found = describe(maker.client, maker.address, maker.patience)
    box = Box.from_shape(layout.shape, layout.start)
    pairs: dict[str, tuple[Any, Any]] = {
        "extent": (str(found.frame.extent), str(box)),
        "dtype": (found.dtype.name, np.dtype(layout.dtype).name),
        "voxel_size_nm": (found.frame.voxel_size_nm, layout.voxel_size_nm),
    }
    if attributes is not None:
        own = read_provenance(maker.client, maker.address, maker.patience)
        pairs["fingerprint"] = (own.get("fingerprint"), attributes.get("fingerprint"))
    differing = [key for key, (there, wanted) in pairs.items() if there != wanted]
    if differing:
        raise SourceError(
            f"{uri} is in an experiment or channel that exists with "
            + ", ".join(f"{k} {pairs[k][0]}" for k in differing)
            + "; asked for "
            + ", ".join(f"{k} {pairs[k][1]}" for k in differing)
            + ": choose another name"
        )
