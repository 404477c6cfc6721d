"""Garbage collection: what no version that is kept uses is removed from the folder of a run."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from volkit.engine.lock import run_lock
from volkit.errors import ConfigError
from volkit.ops.sharded_lookup import FOLDER as LOOKUPS
from volkit.pipelines.current_version import current_version
from volkit.pipelines.version_stages import holder, version_stages
from volkit.pipelines.versions import (
    Version,
    read_versions,
    version_folder,
    write_version,
)

SHARED = "shared"  # tables that travelled to the workers of a version
_OF_STAGE = (".zarr", ".ledger", ".parts", ".npz", ".json")


@dataclass(frozen=True, slots=True)
class Freed:
    """What was removed, or would be.

    Parameters
    ----------
    version : int
        Whose folder it lay in.
    stage : str
        Its name.
    bytes : int
        On the disk.
    """

    version: int
    stage: str
    bytes: int


def collect(run: Path, *, keep: Sequence[int] | None = None, dry_run: bool = False) -> list[Freed]:
    """Remove the stages that no version that is kept uses.

    The current version is always kept, and so is all that a kept one shares; one that is not
    finished keeps all that lies in the others, since it may come to use it.  Records and reports
    stay.

    Parameters
    ----------
    run : Path
        Folder of the run.
    keep : sequence of int, optional
        Versions to keep besides; None keeps those that are newer than the current one.
    dry_run : bool
        Only say what would be removed.

    Returns
    -------
    list of Freed

    Raises
    ------
    ConfigError
        If a version to keep is not there.
    RunLockedError
        If somebody works on a version that is to be removed.
    """
    run = run.absolute()
    versions = read_versions(run)
    kept = _kept(run, versions, keep)
    used = _used(run, versions, kept)
    freed = []
    for version in versions:
        if version.number in kept:
            continue
        folder = version_folder(run, version.number)
        with ExitStack() as stack:
            if not dry_run:
                stack.enter_context(run_lock(folder))
            for name, paths in _stages(run, version.number):
                if (version.number, name) not in used:
                    freed.append(Freed(version.number, name, sum(map(_size, paths))))
                    _remove(() if dry_run else paths)
        if not dry_run:
            write_version(run, replace(version, state="removed"))
    return [each for each in freed if each.bytes]


def _kept(run: Path, versions: Sequence[Version], keep: Sequence[int] | None) -> set[int]:
    current, numbers = current_version(run), [version.number for version in versions]
    if keep is None:
        return {number for number in numbers if number >= current}
    unknown = [f"v{number}" for number in keep if number not in numbers]
    if unknown:
        raise ConfigError(
            f"--keep {','.join(unknown)}: {run} has {', '.join(f'v{n}' for n in numbers)}"
        )
    return {current, *keep}


def _used(run: Path, versions: Sequence[Version], kept: Collection[int]) -> set[tuple[int, str]]:
    """Find the stages that kept versions use, and which folders these lie in."""
    numbers = [version.number for version in versions]
    order = sorted(numbers, key=lambda number: number not in kept)  # what stays anyway comes first
    used: set[tuple[int, str]] = set()
    for version in versions:
        if version.number not in kept or version.state == "removed":
            continue
        if version.state == "begun":
            used |= {(n, name) for n in numbers for name, _ in _stages(run, n)}
        for stage in version_stages(run, version.number):
            where = holder(run, order, stage.name, stage.fingerprint)
            if where is not None:
                used.add((where, stage.name))
    return used


def _stages(run: Path, number: int) -> Iterator[tuple[str, list[Path]]]:
    """List the stages in the folder of a version, with what each one leaves there."""
    folder = version_folder(run, number)
    own = [stage.name for stage in version_stages(run, number) if stage.lies_in == number]
    final = [f"{name}.final" for name in own]
    for name in [*own, *final]:
        paths = [folder / f"{name}{ending}" for ending in _OF_STAGE]
        there = [path for path in paths if path.exists()]
        if there:
            yield name, there
    tables = [path for name in (SHARED, LOOKUPS) if (path := folder / name).exists()]
    if tables:
        yield SHARED, tables


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
