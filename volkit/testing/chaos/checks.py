"""Checks of a trial: the same bytes, every block counted, nothing computed again needlessly."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from volkit.engine.lock_record import read_lock
from volkit.engine.stages import find_stages
from volkit.engine.verify import verify
from volkit.io.place import Place
from volkit.testing.chaos.job import LOG

Done = dict[str, set[int]]


@dataclass(frozen=True, slots=True)
class Executed:
    """A line of the log: a block was begun.

    Parameters
    ----------
    stage : str
        Of the block.
    number : int
        Of the block.
    begun : float
        Unix time.
    pid : int
        Of the worker.
    """

    stage: str
    number: int
    begun: float
    pid: int


def contents(root: Place) -> dict[str, bytes]:
    """Read all of a run but its ledgers and its lock."""
    folder, objects = root.local, root.objects
    if folder is None:
        names = list(objects.keys())
    else:  # what killed writers left is not passed over here
        names = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
    kept = [n for n in names if not n.startswith("lock/") and ".ledger/" not in n]
    if folder is None:
        return {name: objects.get(name) or b"" for name in kept}
    return {name: (folder / name).read_bytes() for name in kept}


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Name what is missing, too much or different."""
    return [
        f"{name}: {_difference(found.get(name), expected.get(name))}"
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]


def read_log(folder: Path) -> list[Executed]:
    """Read which blocks were begun, in order."""
    path = folder / LOG
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        Executed(stage, int(number), float(begun), int(pid))
        for stage, number, begun, pid in (line.split() for line in lines)
    ]


def done_blocks(root: Place) -> Done:
    """Read which blocks are marked as finished."""
    return {
        stage.name: set(stage.ledger.done().nonzero()[0].tolist()) for stage in find_stages(root)
    }


def needless(executed: Iterable[Executed], done: Done, strangers: set[int]) -> list[str]:
    """Name blocks that were begun though they were marked before.

    Parameters
    ----------
    executed : iterable of Executed
        Since the last attempt began.
    done : dict
        What was marked by then.
    strangers : set of int
        Workers of earlier attempts, which may still be busy with what they were handed.
    """
    return [
        f"{each.stage} {each.number} was computed again"
        for each in executed
        if each.pid not in strangers and each.number in done.get(each.stage, ())
    ]


def begun_after_mark(executed: Iterable[Executed], root: Place) -> list[str]:
    """Name blocks that were begun after they were marked, whoever did it."""
    marked = {}
    for stage in find_stages(root):
        for record in stage.ledger.records()[::-1]:
            # Whole seconds are kept: what began a second later surely began after the mark.
            marked[stage.name, int(record["number"])] = int(record["finished"]) + 1
    return [
        f"{each.stage} {each.number} began {each.begun - marked[each.stage, each.number]:.1f} s "
        "after its mark"
        for each in executed
        if each.begun > marked.get((each.stage, each.number), float("inf"))
    ]


def repeated(executed: Iterable[Executed]) -> int:
    """Count how often blocks were begun beyond once each."""
    return sum(n - 1 for n in Counter((e.stage, e.number) for e in executed).values())


def at_the_end(root: Place) -> list[str]:
    """Name what is wrong with a run that has ended: counts, check sums, the lock."""
    found = [str(finding) for each in verify(root) for finding in each.findings]
    found += [
        f"{each.stage}: {each.done} of {each.total}"
        for each in verify(root)
        if each.done != each.total
    ]
    lock = read_lock(root)
    if lock is None or not lock.released:
        found.append("the lock was not released")
    return found


def _difference(found: bytes | None, expected: bytes | None) -> str:
    if found is None:
        return "missing"
    if expected is None:
        return "too much"
    return f"{len(found)} bytes differ from {len(expected)}"
