"""Stages of a version: where each one lies, and how much of it was computed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from volkit.engine.reuse_record import read_reuse
from volkit.engine.reuse_search import finished_volume, parts_place, table_place
from volkit.engine.stages import find_stages
from volkit.errors import ConfigError, SourceError
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.pipelines.versions import FIRST, check_finished, read_versions, version_folder


@dataclass(frozen=True, slots=True)
class VersionStage:
    """A stage of a version.

    Parameters
    ----------
    name : str
        Of the stage; ``NAME.final`` is what a reduction made of its table.
    fingerprint : str
        Of its computation.
    lies_in : int or None
        The version whose folder holds it; None where it is gone.
    computed, copied : int
        Blocks, in this version; 0 and 0 where it is shared.
    """

    name: str
    fingerprint: str
    lies_in: int | None
    computed: int = 0
    copied: int = 0

    @property
    def as_record(self) -> dict[str, Any]:
        """The same as JSON, without the name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def version_stages(run: Path, number: int) -> list[VersionStage]:
    """Find the stages of a version, from what lies in the folders.

    Parameters
    ----------
    run : Path
        Folder of the run.
    number : int
        Of the version.

    Returns
    -------
    list of VersionStage
        Those that are shared first, each in the order of the run.
    """
    place = Place.at(version_folder(run, number))
    noted = read_reuse(place)
    others = [v.number for v in read_versions(run) if v.number != number]
    found = [
        VersionStage(name, record["fingerprint"], holder(run, others, name, record["fingerprint"]))
        for name, record in noted.items()
        if record.get("shared")
    ]
    names = {stage.name for stage in found}
    for stage in find_stages(place):
        if "/" in stage.name or stage.name in names:
            continue
        copied = int(noted.get(stage.name, {}).get("copied", 0))
        done = stage.ledger.count()
        computed = max(0, done - copied)
        own = stage.ledger.fingerprint
        found.append(VersionStage(stage.name, own, number, computed, min(copied, done)))
    return found


def holder(run: Path, numbers: Iterable[int], name: str, fingerprint: str) -> int | None:
    """Find the version whose folder holds a finished stage.

    Parameters
    ----------
    run : Path
        Folder of the run.
    numbers : iterable of int
        Versions to look in; the first that has it counts.
    name, fingerprint : str
        Of the stage.

    Returns
    -------
    int or None
        None where none has it.
    """
    for number in numbers:
        place = (Place.at(version_folder(run, number)),)
        if (
            finished_volume(place, name, fingerprint)
            or table_place(place, name, fingerprint)
            or parts_place(place, name, [fingerprint])
        ):
            return number
    return None


def stage_volume(run: Path, number: int, name: str) -> Volume:
    """Open the volume of a stage of a version, wherever it lies.

    Parameters
    ----------
    run : Path
        Folder of the run.
    number : int
        Of the version.
    name : str
        Of the stage, such as ``labels``.

    Returns
    -------
    Volume

    Raises
    ------
    ConfigError
        If the version has no such stage.
    SourceError
        If it is gone.
    """
    stages = {stage.name: stage for stage in version_stages(run, number)}
    if name not in stages:
        raise ConfigError(f"v{number} of {run} has no stage {name}; it has {', '.join(stages)}")
    lies_in = stages[name].lies_in
    if lies_in is None:
        raise gone(run, number, [name])
    return Volume(str(version_folder(run, lies_in) / f"{name}.zarr"))


def refuse_replacing(run: Path) -> None:
    """Refuse to compute anew in the folder of a run whose stages other versions share.

    Raises
    ------
    SourceError
        If one does.
    """
    if not (run / "versions").is_dir():
        return
    for version in read_versions(run):
        shares = version.number != FIRST and any(
            stage.lies_in == FIRST for stage in version_stages(run, version.number)
        )
        if shares or version.state == "begun":
            raise SourceError(
                f"v{version.number} of {run} shares stages with v{FIRST}, which --replace would "
                "compute anew; use volkit reprocess, which keeps both, or remove the others first: "
                "volkit gc --keep v1"
            )


def check_whole(run: Path, number: int) -> None:
    """Make sure that a version is finished, and that what it shares is still there.

    Raises
    ------
    SourceError
        If it is not so.
    """
    check_finished(run, number)
    lost = [stage.name for stage in version_stages(run, number) if stage.lies_in is None]
    if lost:
        raise gone(run, number, lost)


def gone(run: Path, number: int, names: Iterable[str]) -> SourceError:
    """Make the error of a version that has lost what it shares."""
    return SourceError(
        f"v{number} of {run} shares {', '.join(names)} with a version that does not have it any "
        "more, as after volkit run --replace; run its volkit reprocess again"
    )
