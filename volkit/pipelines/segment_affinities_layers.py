"""Precomputed layers of a run, beside its results: what Neuroglancer opens."""

from pathlib import Path

from volkit.engine.job import JobEngine
from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.volume import Volume
from volkit.ops.mirror import mirror
from volkit.ops.multiscale import pyramid
from volkit.pipelines.segment_affinities_config import LayerOptions

FOLDER = "layers"


def write_layers(
    volumes: dict[str, Volume], *, domain: Box, options: LayerOptions, engine: JobEngine
) -> tuple[tuple[str, str], ...]:
    """Copy volumes into precomputed layers, with their coarser levels; killed, it goes on later.

    Parameters
    ----------
    volumes : dict of str to Volume
        By the name of the layer, on which ``options`` decide.
    domain : Box
        What of them.
    options : LayerOptions
        Which, and how many levels.
    engine : JobEngine
        Folder and workers of the run.

    Returns
    -------
    tuple of (str, str)
        Names and URIs of the layers.

    Raises
    ------
    SourceError
        If the run lies in an object store, or an image has a type that layers cannot hold.
    """
    wanted = {"image": options.image, "labels": options.labels}
    folder = engine.place.local
    if folder is None:
        raise SourceError(
            f"layers are written beside the results, and {engine.place} is no folder of this "
            "machine; switch them off (layers.image=false, layers.labels=false), and mirror the "
            "labels afterwards"
        )
    found = []
    for name, volume in volumes.items():
        if wanted[name]:
            target = f"precomputed://{folder / FOLDER / name}"
            Path(folder / FOLDER).mkdir(exist_ok=True)
            layer = mirror(
                volume.cutout(box=domain),
                target,
                client=engine.client,
                replace_stale=engine.replace_stale,
            )
            pyramid(
                layer,
                method="mode" if name == "labels" else "mean",
                levels=options.levels,
                client=engine.client,
                replace_levels=engine.replace_stale,
            )
            found.append((f"{name} layer", target))
    return tuple(found)
