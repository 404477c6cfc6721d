"""Versions of a run: records of what each one is, and which of them is current.

Version 1 is the run as it was made.  Others lie beside it and share what did not change::

    RUN/                         stages and report of v1
    RUN/versions/v2/             stages and report of v2, without those that it shares
    RUN/versions/vN/version.json what version N is, for every N
    RUN/current.json             which one counts, and which did before
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from volkit.engine.stages import find_stages
from volkit.errors import ConfigError, SourceError
from volkit.io.place import Place
from volkit.version import __version__

FORMAT = 1
FIRST = 1
_RECORD = "version.json"
_REPORT = Path("report", "run.json")

State = Literal["begun", "finished", "removed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a version of a run is.

    Parameters
    ----------
    number : int
        From 1 on.
    created : str
        UTC, ISO 8601; empty for the first, whose ledgers tell.
    state : {'begun', 'finished', 'removed'}
        Removed ones keep their record and report.
    volkit : str
        By which it was begun.
    parameters : dict
        Its workflow, with whole paths.
    checkpoint : dict
        ``uri``, ``sha256`` of the weights and ``identity`` of all that decides its answers.
    base : int, optional
        The version that it was derived from, whose blocks are copied.
    changes : tuple of str
        What is different from its base.
    selection : dict, optional
        The part that was to be computed anew; None is everything.
    stages : dict
        Of a finished one, by name: ``fingerprint``, ``lies_in``, and numbers of blocks
        ``computed`` and ``copied``.
    """

    number: int
    created: str = ""
    state: State = "begun"
    volkit: str = __version__
    parameters: dict[str, Any]
    checkpoint: dict[str, str]
    base: int | None = None
    changes: tuple[str, ...] = ()
    selection: dict[str, Any] | None = None
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


def version_folder(run: Path, number: int) -> Path:
    """Give the folder of the stages of a version."""
    return run if number == FIRST else run / "versions" / f"v{number}"


def parse_version(text: str) -> int:
    """Read the number of a version.

    Raises
    ------
    ConfigError
        If it is none.

    Examples
    --------
    >>> parse_version("v3"), parse_version("3")
    (3, 3)
    """
    number = text.strip().removeprefix("v")
    if not number.isdecimal() or int(number) < FIRST:
        raise ConfigError(f"{text!r} is no version; give one such as v2")
    return int(number)


def read_versions(run: Path) -> list[Version]:
    """Read the versions of a run, by number.

    Raises
    ------
    SourceError
        If there is no run in the folder, or a record cannot be understood.
    ConfigError
        If a record is of a newer volkit.
    """
    files = (run / "versions").glob(f"v*/{_RECORD}")
    found = {version.number: version for version in map(_read, files)}
    if FIRST not in found:
        found[FIRST] = _first(run)
    return [found[number] for number in sorted(found)]


def read_version(run: Path, number: int) -> Version:
    """Read one version of a run.

    Raises
    ------
    ConfigError
        If there is no such version.
    """
    versions = read_versions(run)
    for version in versions:
        if version.number == number:
            return version
    there = ", ".join(f"v{version.number}" for version in versions)
    raise ConfigError(f"there is no v{number} in {run}; there are {there}")


def write_version(run: Path, version: Version, *, create: bool = False) -> bool:
    """Write what a version is.

    Parameters
    ----------
    run : Path
        Folder of the run.
    version : Version
        What to write.
    create : bool
        Only if its number is not taken.

    Returns
    -------
    bool
        False if it is.
    """
    folder = Place.at(run / "versions" / f"v{version.number}")
    text = json.dumps({"format": FORMAT, **asdict(version)}, indent=1, default=str)
    return folder.objects.put(_RECORD, f"{text}\n".encode(), create=create)


def check_finished(run: Path, number: int) -> None:
    """Make sure that a version is finished, from its folder.

    Raises
    ------
    SourceError
        If it is not, or not any more.
    """
    version, folder = read_version(run, number), version_folder(run, number)
    if version.state == "removed":
        raise SourceError(f"v{number} of {run} was removed by volkit gc; choose another version")
    go_on = "volkit run with its workflow" if number == FIRST else "the same volkit reprocess"
    left = [s for s in find_stages(Place.at(folder)) if s.ledger.count() < s.ledger.total]
    if left or version.state != "finished" or not (folder / _REPORT).exists():
        stage = f" (stage {left[0].name} is not)" if left else ""
        raise SourceError(f"v{number} of {run} is not finished{stage}; finish it first: {go_on}")


def now() -> str:
    """Give the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Version:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        form = int(found.pop("format"))
        by = found["volkit"]
        if form <= FORMAT:
            return Version(**{**found, "changes": tuple(found["changes"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{path} cannot be understood ({error}); delete its folder") from error
    raise ConfigError(
        f"{path} was written by volkit {by} in format {form}, this is {__version__}, which knows "
        f"format {FORMAT}; install that version"
    )


def _first(run: Path) -> Version:
    """Describe a run that has no other versions yet."""
    try:
        found = json.loads((run / _REPORT).read_text(encoding="utf-8"))
        card = {key: str(found["checkpoint"][key]) for key in ("uri", "sha256", "identity")}
        return Version(
            number=FIRST,
            state="finished",
            volkit=str(found["versions"]["volkit"]),
            parameters=dict(found["parameters"]),
            checkpoint=card,
        )
    except FileNotFoundError:
        begun = find_stages(Place.at(run)) if run.is_dir() else []
        raise SourceError(
            f"the run in {run} is not finished, or its pipeline has no versions (no {_REPORT}); "
            "give a run that segments or picks, and finish it first: volkit run with its workflow"
            if begun
            else f"there is no run in {run}; give the output folder of a workflow"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{run / _REPORT} says nothing of a workflow with a checkpoint ({error}); only runs "
            "with a network have versions"
        ) from error
