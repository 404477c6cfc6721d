"""Verify tables: those of reductions, their parts, and those that travel to the workers."""

import json
from collections.abc import Iterator

from volkit.engine.columns import digest, read_columns
from volkit.engine.findings import Finding, Problem, Verified
from volkit.engine.fingerprint import fingerprint
from volkit.engine.op import Columns
from volkit.engine.stages import Stage
from volkit.engine.tree import part_place
from volkit.errors import SourceError
from volkit.io.place import Place

SHARED = "shared"


def check_tables(root: Place, stage: Stage) -> Iterator[Finding]:
    """Find what is wrong with the tables of a reduction: the finished one, else its parts.

    Parameters
    ----------
    root : Place
        Folder of the run.
    stage : Stage
        A reduction, or a level of one.

    Yields
    ------
    Finding
        Without a number where the finished table is meant.
    """
    name, _, level = stage.name.partition(".parts/")
    about = None if level else _about(root, f"{name}.json")
    if about is None:
        yield from _check_parts(root.inside(f"{name}.parts").inside(level or "0"), stage)
        return
    what = {key: value for key, value in stage.facts.items() if key != "level"}
    if about.get("fingerprint") != fingerprint(what):
        detail = f"{name}.json records another computation than the ledger"
        yield Finding(stage.name, "torn", None, None, detail)
        return
    for table in (name, f"{name}.final"):
        said = about if table == name else _about(root, f"{table}.json")
        if said is not None:
            yield from _check_table(root, stage.name, table, str(said.get("sha256", "")))


def check_shared(root: Place) -> Verified | None:
    """Look at the tables that travel to the workers, whose names begin their digests.

    Parameters
    ----------
    root : Place
        Folder of the run.

    Returns
    -------
    Verified or None
        None where there are none.
    """
    keys = [key for key in root.objects.keys(f"{SHARED}/") if key.endswith(".npz")]
    findings = []
    for number, key in enumerate(keys):
        columns, finding = _read(root.inside(key), SHARED, number)
        if columns is not None and not digest(columns).startswith(key[len(SHARED) + 1 : -4]):
            finding = Finding(SHARED, "torn", number, None, f"{key} is not what its name says")
        if finding is not None:
            findings.append(finding)
    if not keys:
        return None
    count = len(keys)
    return Verified(SHARED, count, count, count - len(findings), 0, tuple(findings))


def shared_key(root: Place, number: int) -> str:
    """Name a table of :func:`check_shared` by its number."""
    return [key for key in root.objects.keys(f"{SHARED}/") if key.endswith(".npz")][number]


def _check_table(root: Place, stage: str, table: str, sha256: str) -> Iterator[Finding]:
    columns, finding = _read(root.inside(f"{table}.npz"), stage, None)
    if columns is not None and sha256 and digest(columns) != sha256:
        detail = f"{table}.npz holds another table than was written"
        finding = Finding(stage, "torn", None, None, detail)
    if finding is not None:
        yield finding


def _check_parts(folder: Place, stage: Stage) -> Iterator[Finding]:
    for number in stage.ledger.done().nonzero()[0].tolist():
        _, finding = _read(part_place(folder, number), stage.name, number)
        if finding is not None:
            yield finding


def _read(place: Place, stage: str, number: int | None) -> tuple[Columns | None, Finding | None]:
    """Read a table; a zip holds a check sum of every array."""
    if place.above.objects.modified(place.name) is None:
        return None, Finding(stage, "missing", number, None, f"{place} is not there")
    try:
        return read_columns(place), None
    except SourceError as error:
        problem: Problem = "unreadable"
        return None, Finding(stage, problem, number, None, str(error))


def _about(root: Place, key: str) -> dict[str, object] | None:
    data = root.objects.get(key)
    if data is None:
        return None
    try:
        return dict(json.loads(data))
    except ValueError:
        return {}
