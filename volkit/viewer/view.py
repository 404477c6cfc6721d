"""Views: volumes, tables, skeletons, runs and evaluations, shown together in a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from volkit.errors import ConfigError
from volkit.geometry import VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.points.options import PointOptions
from volkit.io.volume import Volume
from volkit.viewer.evaluation_layers import evaluation_layers, is_evaluation
from volkit.viewer.found import Found, Item, together
from volkit.viewer.frame import Frame
from volkit.viewer.layer import Layer, State
from volkit.viewer.open_layers import (
    Named,
    kind_of,
    open_for_view,
    skeleton_layer,
    volume_layer,
)
from volkit.viewer.page import view_page
from volkit.viewer.public import SITE, public_layer, public_url
from volkit.viewer.run_layers import is_run, run_layers
from volkit.viewer.served_volume import ServedVolume
from volkit.viewer.server import ViewServer
from volkit.viewer.state import view_state, with_source
from volkit.viewer.table_layers import colour_of, marks_layer, read_marked, table_marks

_CUT = "labels at a threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """How things are opened and shown.

    Parameters
    ----------
    voxel_size_nm : tuple of float or None
        (z, y, x), for volumes that do not say it.
    at : tuple of float or None
        Voxel to look at, (z, y, x); None is the middle.
    tomogram : str or None
        Which, of a run or a table of many.
    credentials : str or None
        As ``open_volume`` takes them.
    """

    voxel_size_nm: Vector | None = None
    at: Vector | None = None
    tomogram: str | None = None
    credentials: str | None = None


@dataclass(slots=True)
class View:
    """Something that is being shown; leaving it ends that.

    Parameters
    ----------
    server : ViewServer
        What answers the browser.
    found : Found
        What is shown.
    frame : Frame
        Where the viewer counts from.

    Examples
    --------
    >>> import numpy as np
    >>> from volkit.io.open import create_volume
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/em.zarr"
    ...     em = create_volume(path, shape=(2, 4, 4), dtype="uint8", voxel_size_nm=(40, 4, 4))
    ...     em.write(em.domain, np.ones(em.shape, np.uint8))
    ...     with View.of([path]) as view:
    ...         print(view.url.startswith("http://127.0.0.1:"), view.state["position"])
    True [2.0, 2.0, 1.0]
    """

    server: ViewServer
    found: Found
    frame: Frame

    @classmethod
    def of(cls, uris: Sequence[str], *, options: ViewOptions | None = None, port: int = 0) -> Self:
        """Show things.

        Parameters
        ----------
        uris : sequence of str
            What ``open_volume`` and ``read_points`` take, ``NAME.swc``, folders of runs and of
            evaluations; with ``KIND=`` before it where the kind is not guessed right.
        options : ViewOptions, optional
            How.
        port : int
            Of the loopback; 0 takes any that is free.

        Raises
        ------
        SourceError
            If something cannot be opened, or does not say how large its voxels are.
        ConfigError
            If there is nothing to show, or the port is taken.
        """
        options = options or ViewOptions()
        found, frame = find(uris, options)
        layers = _layers(found, frame)
        served = {str(n): layer.served for n, layer in enumerate(layers) if layer.served}
        server = ViewServer.start(served, port=port)
        view = cls(server, found, frame)
        states = [layer.state(server.address(str(n))) for n, layer in enumerate(layers)]
        server.show(view_state(states, frame, _first(found), options.at))
        title = ", ".join(Named.parse(uri).name for uri in uris)
        server.page = view_page(title, f"/v/{server.token}/", found.messages, found.cut)
        if found.cut is not None:
            server.on_threshold = partial(view.cut_at, shown=True)
            server.show(view.cut_at(found.cut.threshold))
        return view

    @property
    def url(self) -> str:
        """Where a browser finds it; whoever knows the address can look on."""
        return self.server.url

    @property
    def state(self) -> State:
        """What is shown now, as Neuroglancer has it."""
        return self.server.state

    def cut_at(self, threshold: float, *, shown: bool = False) -> State:
        """Give the state in which labels are those of another threshold.

        Parameters
        ----------
        threshold : float
            0 to 1.
        shown : bool
            Whether they are shown, instead of the labels of the run.

        Raises
        ------
        ConfigError
            If what is shown has no thresholds, or not that one.
        """
        cut = self.found.cut
        if cut is None:
            raise ConfigError("what is shown has no merge tree and no region graph; give a run")
        if not 0 <= threshold <= cut.most:
            raise ConfigError(f"threshold is {threshold}; give a number from 0 to {cut.most:g}")
        name = f"cut-{threshold!r}"
        change = cut.change(threshold)
        self.server.layers[name] = ServedVolume.of(cut.fragments, "segmentation", change)
        url = f"precomputed://{self.server.address(name)}"
        return with_source(self.state, _CUT, url, instead_of="labels" if shown else "")

    def close(self) -> None:
        """Stop showing it."""
        self.server.close()

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return f'<iframe src="{self.url}" title="volkit" width="100%" height="640"></iframe>'

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def find(uris: Sequence[str], options: ViewOptions) -> tuple[Found, Frame]:
    """Find what there is to see, and where a viewer counts from: voxels of the first volume.

    Raises
    ------
    SourceError
        If something cannot be opened.
    ConfigError
        If there is nothing.
    """
    found = together([_found(uri, options) for uri in uris])
    if not found.items:
        raise ConfigError("; ".join(found.messages) or "there is nothing to show; name a volume")
    first = _first(found)
    if first is not None:
        _check_at(options.at, first)
        return found, Frame.of(first.scale)
    size = options.voxel_size_nm or (1.0, 1.0, 1.0)
    return found, Frame.of(VoxelScale(size))


def public_view(
    uris: Sequence[str], *, options: ViewOptions | None = None, site: str = SITE
) -> str:
    """Write an address that shows volumes of public stores to anybody.

    Parameters
    ----------
    uris, options
        As for :meth:`View.of`.
    site : str
        Where Neuroglancer is served.

    Raises
    ------
    ConfigError
        If something lies where nobody else can see it, or the address would be too long.
    """
    options = options or ViewOptions()
    found, frame = find(uris, options)
    layers = []
    for item, layer in zip(found.items, _layers(Found(found.items), frame), strict=True):
        layers.append(layer if layer.source else public_layer(layer, item.uri))
    states = [layer.state("") for layer in layers]
    state = view_state(states, frame, _first(found), options.at)
    return public_url(state, site=site, names=[layer.name for layer in layers])


def _found(uri: str, options: ViewOptions) -> Found:
    named = Named.parse(uri)
    if named.kind is None and not named.is_table and not named.is_skeletons:
        if is_evaluation(named.uri):
            return evaluation_layers(named.uri)
        if is_run(named.uri):
            return run_layers(
                named.uri, tomogram=options.tomogram, voxel_size_nm=options.voxel_size_nm
            )
    if named.is_skeletons:
        return Found((Item(named.name, "skeletons", uri=named.uri),))
    if named.is_table:
        how = PointOptions(tomogram=options.tomogram)
        kind = named.kind or "points"
        return Found((Item(named.name, kind, table=read_marked(named.uri, how), uri=named.uri),))
    said: dict[str, Any] = {}
    if options.credentials is not None:
        said["credentials"] = options.credentials
    volume = open_for_view(named.uri, options.voxel_size_nm, **said)
    kind = named.kind or kind_of(volume, named.uri)
    return Found((Item(named.name, kind, volume, uri=named.uri),))


def _check_at(at: Vector | None, volume: Volume) -> None:
    """Refuse to look where there is nothing."""
    if at is None:
        return
    spans = zip(volume.domain.start, volume.domain.stop, strict=True)
    if not all(a <= n < b for n, (a, b) in zip(at, spans, strict=True)):
        raise ConfigError(
            f"voxel {','.join(f'{n:g}' for n in at)} (z, y, x) is outside {volume.uri}, which "
            f"covers {volume.domain}; choose one inside"
        )


def _first(found: Found) -> Any:
    """Find the volume that positions are counted in: an image before anything else."""
    volumes = [item for item in found.items if item.volume is not None]
    images = [item for item in volumes if item.kind == "image"]
    return (images or volumes)[0].volume if volumes else None


def _layers(found: Found, frame: Frame) -> list[Layer]:
    layers = []
    for number, item in enumerate(found.items):
        if item.volume is not None:
            layer = volume_layer(
                item.volume, frame, name=item.name, kind=item.kind, visible=item.visible
            )
        elif item.table is not None:
            marks = table_marks(item.table, frame, name=item.uri)
            layer = marks_layer(marks, frame, name=item.name, colour=colour_of(number))
        else:
            layer = skeleton_layer(Named(item.uri, "skeletons"), frame)
        layers.append(layer)
    if found.cut is not None:
        fragments = found.cut.fragments
        layers.append(volume_layer(fragments, frame, name=_CUT, kind="labels", visible=False))
    return layers
