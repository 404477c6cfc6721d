"""Layers of a run: what its folder holds, finished or not, and what it was made of."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

from volkit.engine.origin import read_origin
from volkit.engine.reuse_record import read_reuse
from volkit.engine.reuse_search import base_stage
from volkit.engine.stages import Stage, find_stages
from volkit.engine.verify import volume_of
from volkit.errors import VolkitError
from volkit.geometry.scale import Vector
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.io.points.files import read_points
from volkit.io.points.options import PointOptions
from volkit.io.stated_size import says_size, sized_by
from volkit.io.volume import Volume
from volkit.pipelines.changed_keys import TOLD
from volkit.pipelines.diff_inputs import run_folders
from volkit.viewer.found import Found, Item
from volkit.viewer.layer import Kind
from volkit.viewer.merge_tables import merge_tables
from volkit.viewer.open_layers import kind_of
from volkit.viewer.threshold import Cut, find_cut
from volkit.viewer.vessel_layers import flagged_vessels

_ROLES: dict[str, Kind] = {"image": "image", "truth": "labels", "stored": "prob", "heat": "prob"}
_SHOWN = ("image", "prob", "labels", "picks")  # at first; all else is listed, and off
_LOWEST = ("image", "prob", "affinities", "fragments", "truth", "labels")


def is_run(uri: str) -> bool:
    """Tell the folder of a run, or a version of one (``RUN@v2``), from anything else."""
    if "::" in uri or uri.lower().endswith((".zarr", ".n5", ".csv", ".parquet")):
        return False
    place = run_folders(uri)[0]
    if place.local is None and uri.split("://")[0] not in ("s3", "gs", "az", "memory"):
        return False
    if place.local is not None and not place.local.is_dir():
        return False
    return bool(find_stages(place) or read_reuse(place) or _told(place))


def run_layers(
    uri: str, *, tomogram: str | None = None, voxel_size_nm: Vector | None = None
) -> Found:
    """Find what a run holds.

    Parameters
    ----------
    uri : str
        Its folder, or ``RUN@v2``; it may be going on, or have ended half way.
    tomogram : str, optional
        Which, of a run over many.
    voxel_size_nm : tuple of float, optional
        (z, y, x), of a run over volumes that do not say it.

    Returns
    -------
    Found
    """
    bases = run_folders(uri)
    told = _told(bases[0])
    if "tomograms" in told:
        return _tomogram(bases[0], told, tomogram)
    messages: list[str] = []
    items = [*_inputs(bases[0], told, messages), *_results(bases, messages)]
    items.sort(key=lambda item: _LOWEST.index(item.name) if item.name in _LOWEST else 1)
    if items:  # boxes are voxels of a volume; clips have none
        items += flagged_vessels(bases[0], messages)
    if not items:
        messages.append(f"{uri} has no volume yet; look at volkit status {quote(uri)}")
    keys = _keys(bases[0])
    cut = _cut(bases, items, keys.get("segment"), messages)
    source = keys.get("input")
    size = voxel_size_nm or (source.get("voxel_size_nm") if isinstance(source, dict) else None)
    items = [_placed(item, size) for item in items]
    if cut is not None and size is not None:
        cut = replace(cut, fragments=sized_by(cut.fragments, size))
    messages += _unsized(items)
    return Found(tuple(items), tuple(messages), cut)


def _placed(item: Item, size: Vector | None) -> Item:
    if item.volume is None or size is None:
        return item
    return replace(item, volume=sized_by(item.volume, size))


def _unsized(items: list[Item]) -> list[str]:
    names = [i.name for i in items if i.volume is not None and not says_size(i.volume)]
    if not names:
        return []
    return [
        f"the voxel size of {', '.join(names)} is not stated: lengths are voxels (--voxel-size "
        "z,y,x says it)"
    ]


def _told(place: Place) -> Mapping[str, Any]:
    """Read what the report says the run was made of; empty before there is one."""
    return _tree(place.inside("report"), "run.json")


def _tree(folder: Place, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(folder.objects.get(name) or b"{}")
    except ValueError:
        return {}  # half written
    return found if isinstance(found, dict) else {}


def _inputs(place: Place, told: Mapping[str, Any], messages: list[str]) -> Iterator[Item]:
    """Open what the run reads: as its report says, or before that, as its ledgers do."""
    known = {
        role: (str(said["uri"]), int(said.get("level", 0)))
        for role, said in told.get("inputs", {}).items()
    } or dict(_noted(place))
    for role, (uri, level) in known.items():
        try:
            volume = open_volume(uri, level=level)
        except (VolkitError, ImportError) as error:
            messages.append(f"{role} is not shown: {error}")
            continue
        kind = _ROLES.get(role) or kind_of(volume, uri)
        yield Item(role, kind, volume, uri=uri, visible=role == "image")


def _noted(place: Place) -> Iterator[tuple[str, tuple[str, int]]]:
    """Name the volumes outside of the run that its stages read, in the order of the stages."""
    seen: set[str] = set()
    for stage in find_stages(place):
        if "/" in stage.name:  # of tables, which were made of what others had read
            continue
        origin = read_origin(stage.ledger.root)
        for said in () if origin is None else origin.inputs:
            uri = str(said["uri"])
            if uri in seen or uri.startswith((origin.root if origin else uri) + "/"):
                continue
            role = "image" if not seen else uri.rstrip("/").rpartition("/")[2]
            seen.add(uri)
            yield role, (uri, int(said.get("level") or 0))


def _results(bases: list[Place], messages: list[str]) -> Iterator[Item]:
    """Find the volumes of its stages, also those that it is working on."""
    stages = {stage.name: stage for stage in find_stages(bases[0])}
    for name in dict.fromkeys([*stages, *read_reuse(bases[0])]):
        if "/" in name:
            continue
        shared, stage = base_stage(bases, name), stages.get(name)
        if shared is not None:
            volume: Volume | None = shared.volume
        else:
            volume = None if stage is None else volume_of(bases[0], stage)
        if volume is None or (name in stages and not _begun(stages[name], messages)):
            continue
        try:
            kind = kind_of(volume, name)
        except VolkitError as error:
            messages.append(f"{name} is not shown: {error}")
            continue
        if name in _ROLES or volume.shape:
            yield Item(name, kind, volume, uri=volume.uri, visible=name in _SHOWN)


def _begun(stage: Stage, messages: list[str]) -> bool:
    """Tell whether a stage has anything to show; say of one that is not finished how far it is."""
    done, total = stage.ledger.count(), stage.ledger.total
    if 0 < done < total:
        messages.append(
            f"{stage.name} is not finished: {done:,} of {total:,} blocks are there, the rest is "
            "empty"
        )
    return done > 0


def _cut(bases: list[Place], items: list[Item], told: Any, messages: list[str]) -> Cut | None:
    if not any(item.name == "fragments" for item in items):
        return None
    volumes = [item.volume for item in items if item.volume is not None]
    segment = told if isinstance(told, dict) else None
    return find_cut(list(merge_tables(bases)), volumes, segment, messages)


def _keys(place: Place) -> Mapping[str, Any]:
    """Read the workflow of a run from its report, its version, or what it notes at its end."""
    for folder, name in ((place.inside("report"), "run.json"), (place, "version.json")):
        found = _tree(folder, name).get("parameters")
        if isinstance(found, dict):
            return found
    return _tree(place, TOLD)


def _tomogram(place: Place, told: Mapping[str, Any], name: str | None) -> Found:
    """Show one tomogram of many, and what was picked there."""
    known = {str(one.get("name")): one for one in told["tomograms"] if one.get("inputs")}
    messages: list[str] = []
    chosen = name or next(iter(known), "")
    if chosen not in known:
        return Found((), (f"{place} has no tomogram {chosen!r}; it has {', '.join(known)}",))
    if name is None and len(known) > 1:
        others = ", ".join(known)
        messages.append(f"shown is {chosen}; choose another with --tomogram: {others}")
    items = list(_inputs(place, {"inputs": known[chosen]["inputs"]}, messages))
    picks = place.inside("picks.parquet")
    if picks.exists():
        how = PointOptions(tomogram=chosen, open=place.options)
        table = read_points(picks.uri, how).drop(columns="tomogram", errors="ignore")
        items.append(Item("picks", "points", table=table, uri=picks.uri))
    size = known[chosen].get("voxel_size_nm")
    return Found(tuple(_sized(item, size) for item in items), tuple(messages))


def _sized(item: Item, size: Any) -> Item:
    """State the voxel size that the run went by, which the file may not say."""
    if item.volume is None or not size or item.volume.voxel_size_nm == tuple(size):
        return item
    opened: Volume = open_volume(item.volume.uri, voxel_size_nm=tuple(size))
    return Item(item.name, item.kind, opened, uri=item.uri, visible=item.visible)
