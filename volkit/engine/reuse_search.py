"""Search for finished stages in the folders of earlier versions, by name and fingerprint.

Nothing is known by its place, so that a run may be moved with all its versions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from volkit.engine.fingerprint import Facts
from volkit.engine.ledger import Ledger, read_header
from volkit.engine.reuse_record import BlocksRecord, read_blocks, read_reuse
from volkit.engine.stages import Stage
from volkit.geometry import Grid
from volkit.io.place import Place
from volkit.io.volume import Volume


@dataclass(frozen=True, slots=True)
class BaseStage:
    """A finished stage of an earlier version.

    Parameters
    ----------
    fingerprint : str
        Of its computation.
    facts : dict
        The same, to be read.
    volume : Volume
        What it made.
    """

    fingerprint: str
    facts: Facts
    volume: Volume


def base_stage(bases: Sequence[Place], name: str) -> BaseStage | None:
    """Find what the first of several versions has for a stage, wherever that lies.

    Parameters
    ----------
    bases : sequence of Place
        Folders of versions; what the first one shares is searched in the others.
    name : str
        Of the stage.

    Returns
    -------
    BaseStage or None
        None where there is none, or it is not finished.
    """
    if not bases:
        return None
    noted = read_reuse(bases[0]).get(name)
    header = read_header(bases[0].inside(f"{name}.ledger"))
    known = noted["fingerprint"] if noted else header["fingerprint"] if header else None
    return None if known is None else _finished(bases, name, known)


def finished_volume(bases: Sequence[Place], name: str, fingerprint: str) -> Volume | None:
    """Find the volume of a stage that one of several versions has finished.

    Parameters
    ----------
    bases : sequence of Place
        Folders of versions.
    name : str
        Of the stage.
    fingerprint : str
        Of its computation.

    Returns
    -------
    Volume or None
        None where there is none.
    """
    found = _finished(bases, name, fingerprint)
    return None if found is None else found.volume


def table_place(bases: Sequence[Place], name: str, fingerprint: str) -> Place | None:
    """Find the table of a reduction that one of several versions has finished.

    Returns
    -------
    Place or None
        Of the ``.npz``; None where there is none.
    """
    for base in bases:
        about = base.objects.get(f"{name}.json")
        if about is None or base.objects.modified(f"{name}.npz") is None:
            continue
        try:
            found = json.loads(about)["fingerprint"]
        except (ValueError, KeyError, TypeError):
            continue  # as good as absent: who owns it will say so
        if found == fingerprint:
            return base.inside(f"{name}.npz")
    return None


def parts_place(bases: Sequence[Place], name: str, fingerprints: Sequence[str]) -> Place | None:
    """Find the tables of the boxes of a cascade that one of several versions has finished.

    Parameters
    ----------
    bases : sequence of Place
        Folders of versions.
    name : str
        Of the stage.
    fingerprints : sequence of str
        Of its levels, the lowest first; those that are not given are not looked at.

    Returns
    -------
    Place or None
        The folder ``NAME.parts``; None where there is none.
    """
    for base in bases:
        parts = base.inside(f"{name}.parts")
        stages = [name, *(f"{name}.parts/{level}" for level in range(1, len(fingerprints)))]
        wanted = zip(stages, fingerprints, strict=True)
        whole = all(_is_finished(base.inside(f"{stage}.ledger"), said) for stage, said in wanted)
        if whole and parts.exists():
            return parts
    return None


def _is_finished(root: Place, fingerprint: str) -> bool:
    header = read_header(root)
    if header is None or header["fingerprint"] != fingerprint:
        return False
    total = int(header["total"])
    return Ledger(root, total, fingerprint).count() >= total


def blocks_of(volume: Volume) -> tuple[Grid, BlocksRecord] | None:
    """Read which blocks of a stage's volume were computed, and which copied.

    Parameters
    ----------
    volume : Volume
        Any; what no job made has no such record.

    Returns
    -------
    tuple of Grid and BlocksRecord, or None
        None where there is no record.
    """
    made_by = volume.attributes.get("volkit", {}).get("fingerprint")
    place = Place(volume.uri, volume.options)
    name = place.name.removesuffix(".zarr")
    if made_by is None or name == place.name:
        return None
    ledger = place.above.inside(f"{name}.ledger")
    header = read_header(ledger)
    if header is None or header["fingerprint"] != made_by:
        return None
    total = int(header["total"])
    stage = Stage(name, Ledger(ledger, total, made_by), header["facts"])
    record, grid = read_blocks(ledger, total), stage.grid
    return None if record is None or grid is None else (grid, record)


def _finished(bases: Sequence[Place], name: str, fingerprint: str) -> BaseStage | None:
    for base in bases:
        root, place = base.inside(f"{name}.ledger"), base.inside(f"{name}.zarr")
        header = read_header(root)
        if header is None or not _is_finished(root, fingerprint) or not place.exists():
            continue
        volume = Volume(place.uri, 0, place.options)
        if volume.attributes.get("volkit", {}).get("fingerprint") == fingerprint:
            return BaseStage(fingerprint, header["facts"], volume)
    return None
