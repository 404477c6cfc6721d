"""What is to be compared: volumes, tables, and what runs and their versions hold of both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from volkit.engine.reuse_record import read_reuse
from volkit.engine.reuse_search import base_stage
from volkit.engine.stages import find_stages
from volkit.errors import ConfigError, SourceError
from volkit.geometry import Box
from volkit.io.labels import holds_labels
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.pipelines.current_version import current_version
from volkit.pipelines.versions import (
    parse_version,
    read_version,
    read_versions,
    version_folder,
)

Kind = Literal["labels", "values", "table"]
Holding = Volume | Place

_TABLES = (".csv", ".parquet")
_VERSION = re.compile(r"(.+)@(v\d+)")
_LISTED = r"(s3|gs|az|memory)://"  # stores that can say what a folder holds
_MARKERS = ("zarr.json", ".zarray", ".zgroup", "info")  # of volumes, which may hold many files


@dataclass(frozen=True, slots=True)
class Pair:
    """Two things to compare.

    Parameters
    ----------
    name : str
        Of the stage or table; a word for files.
    kind : {'labels', 'values', 'table'}
        What they are.
    old, new : Volume or Place
        A Place where it is a table.
    """

    name: str
    kind: Kind
    old: Holding
    new: Holding

    @property
    def same_computation(self) -> bool:
        """Whether both are known to hold the same without being read."""
        return (
            isinstance(self.old, Volume)
            and isinstance(self.new, Volume)
            and self.old.identity == self.new.identity
        )


@dataclass(frozen=True, slots=True)
class Pairs:
    """What two sides have in common, and what only one of them has.

    Parameters
    ----------
    both : tuple of Pair
        To be compared.
    only_old, only_new : tuple of str
        Names.
    runs : bool
        Whether the sides are runs.
    """

    both: tuple[Pair, ...]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    runs: bool = False


def find_pairs(
    old: str,
    new: str,
    *,
    kind: Literal["auto", "labels", "values"] = "auto",
    only: Sequence[str] = (),
    level: int | None = None,
) -> Pairs:
    """Find what two sides have in common.

    Parameters
    ----------
    old, new : str
        Volumes, tables (``.csv``, ``.parquet``), folders of runs, or versions of runs
        (``RUN@v2``).
    kind : {'auto', 'labels', 'values'}
        What volumes hold; ``auto`` takes what they say of themselves, and their types.
    only : sequence of str
        Of runs: names of the stages and tables that count; empty takes all.
    level : int, optional
        Of volumes that are given by themselves.

    Returns
    -------
    Pairs

    Raises
    ------
    SourceError
        If a side cannot be opened.
    ConfigError
        If the sides are of different kinds, or have nothing in common.
    """
    sides = [_side(uri) for uri in (old, new)]
    if sides[0] != sides[1]:
        raise ConfigError(
            f"{old} is a {sides[0]} and {new} a {sides[1]}; compare two volumes, two tables or two "
            "runs"
        )
    if sides[0] == "run":
        return _of_runs(old, new, kind, only)
    if only:
        raise ConfigError(f"only {', '.join(only)}: there is nothing to choose from in {old}")
    if sides[0] == "table":
        return Pairs((Pair("table", "table", Place.at(old), Place.at(new)),))
    old_volume, new_volume = (open_volume(uri, level=level) for uri in (old, new))
    return Pairs((_volumes("volume", old_volume, new_volume, kind),))


def common_box(old: Volume, new: Volume, box: Box | None) -> Box:
    """Give the box to compare, which both volumes must cover.

    Raises
    ------
    ConfigError
        If the domains differ and no box is given, or one of them does not hold it.
    """
    if box is None:
        if old.domain == new.domain:
            return old.domain
        both = old.domain.intersect(new.domain)
        advice = "they have no voxel in common"
        if both.size:
            corners = zip(both.start, both.stop, strict=True)
            advice = "compare what both have with --box " + ",".join(f"{a}:{b}" for a, b in corners)
        raise ConfigError(
            f"{old.uri} covers {old.domain} and {new.uri} covers {new.domain}, which are not the "
            f"same voxels; {advice}"
        )
    for volume in (old, new):
        if not volume.domain.contains(box):
            raise ConfigError(
                f"box {box} is not inside {volume.uri}, which covers {volume.domain}; choose a box "
                "that both volumes cover"
            )
    return box


def _side(uri: str) -> Literal["run", "table", "volume"]:
    if uri.lower().endswith(_TABLES):
        return "table"
    place = run_folders(uri)[0]
    folder = place.local
    if folder is None and not re.match(_LISTED, place.uri):
        return "volume"
    if folder is not None and (
        not folder.is_dir() or any((folder / name).exists() for name in _MARKERS)
    ):
        return "volume"
    return "run" if _is_run(place) else "volume"


def _is_run(place: Place) -> bool:
    return bool(find_stages(place) or read_reuse(place))


def run_folders(uri: str) -> list[Place]:
    """Find the folder of a run or of a version of one, and those that it may share stages of.

    A run without a version stands for the one that is current.

    Parameters
    ----------
    uri : str
        ``RUN``, or ``RUN@v2``; anything else stands for itself.

    Returns
    -------
    list of Place
        Its own folder first.

    Raises
    ------
    ConfigError
        If there is no such version.
    SourceError
        If it was removed.
    """
    found = _VERSION.fullmatch(uri)
    run = Path(found[1]) if found else Place.at(uri).local
    if run is None or not run.is_dir() or not (found or (run / "versions").is_dir()):
        return [Place.at(uri)]
    number = parse_version(found[2]) if found else current_version(run)
    if read_version(run, number).state == "removed":
        raise SourceError(f"v{number} of {run} was removed by volkit gc; choose another version")
    others = (version.number for version in reversed(read_versions(run)))
    numbers = [number, *(n for n in others if n != number)]
    return [Place.at(version_folder(run, n)) for n in numbers]


def _of_runs(
    old: str, new: str, kind: Literal["auto", "labels", "values"], only: Sequence[str]
) -> Pairs:
    held = [_holdings(uri) for uri in (old, new)]
    unknown = [name for name in only if not any(name in side for side in held)]
    if unknown:
        known = ", ".join(dict.fromkeys([*held[0], *held[1]]))
        raise ConfigError(f"only {', '.join(unknown)}: neither run has it; they have {known}")
    names = [name for name in held[0] if name in held[1] and (not only or name in only)]
    if not names:
        raise ConfigError(
            f"{old} holds {', '.join(held[0]) or 'nothing finished'} and {new} "
            f"{', '.join(held[1]) or 'nothing finished'}; there is nothing to compare"
        )
    pairs = []
    for name in names:
        a, b = held[0][name], held[1][name]
        if isinstance(a, Volume) and isinstance(b, Volume):
            pairs.append(_volumes(name, a, b, kind))
        elif isinstance(a, Place) and isinstance(b, Place):
            pairs.append(Pair(_word(name), "table", a, b))
    return Pairs(
        tuple(pairs),
        tuple(n for n in held[0] if n not in held[1] and (not only or n in only)),
        tuple(n for n in held[1] if n not in held[0] and (not only or n in only)),
        runs=True,
    )


def _holdings(uri: str) -> dict[str, Holding]:
    """Find the finished volumes and the tables of a run, or of a version of one."""
    bases = run_folders(uri)
    place = bases[0]
    found: dict[str, Holding] = {}
    for name in dict.fromkeys([*(stage.name for stage in find_stages(place)), *read_reuse(place)]):
        stage = base_stage(bases, name) if "/" not in name else None
        if stage is not None:
            found[name] = stage.volume
    if place.local is not None:
        for folder in (place.local, place.local / "report"):
            for path in sorted(p for p in folder.glob("*") if p.suffix in _TABLES):
                found[str(path.relative_to(place.local))] = Place.at(path)
    return found


def _volumes(
    name: str, old: Volume, new: Volume, kind: Literal["auto", "labels", "values"]
) -> Pair:
    ids = [volume.dtype.kind in "bui" and volume.channels is None for volume in (old, new)]
    if kind == "auto":
        said = [holds_labels(volume) for volume in (old, new)]
        kind = "labels" if any(said) and all(ids) else "values"
    elif kind == "labels" and not all(ids):
        wrong = old if not ids[0] else new
        channels = "" if wrong.channels is None else f" with {wrong.channels} channels"
        raise ConfigError(
            f"{wrong.uri} holds {wrong.dtype}{channels}; labels are integers without channels: "
            "compare values (--set kind=values)"
        )
    return Pair(name, kind, old, new)


def _word(name: str) -> str:
    """Make a name that files can have."""
    return re.sub(r"[^\w-]+", "-", name)
