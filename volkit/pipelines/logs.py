"""Logs: what is known of the blocks of a run that failed, or of one block."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from volkit.engine.stages import Stage, find_stages
from volkit.errors import ConfigError, SourceError
from volkit.io.place import Place


@dataclass(frozen=True, slots=True)
class BlockLog:
    """What is known of a block.

    Parameters
    ----------
    stage : str
        Whose.
    number : int
        Of the block.
    box : str
        Its voxels, volume coordinates; empty for a table.
    time : int
        Unix time at which it finished or was set aside, by the client's clock; 0 where neither
        has happened.
    seconds : float
        How long it took; 0 where it was set aside.
    content : str
        CRC-32 of its voxels, as hexadecimal digits; empty where it is not known.
    error : str
        Why it was set aside; empty where it was not.
    traceback : str
        Where in the code.
    worker : str
        Address of the worker on which it failed last.
    attempts : int
        How often it was tried; 0 where nothing was noted.
    """

    stage: str
    number: int
    box: str
    time: int = 0
    seconds: float = 0.0
    content: str = ""
    error: str = ""
    traceback: str = ""
    worker: str = ""
    attempts: int = 0


def read_logs(
    run: Place | Path | str, *, stage: str | None = None, block: int | None = None
) -> list[BlockLog]:
    """Read which blocks were set aside, and why; of one block, all that is known.

    Parameters
    ----------
    run : Place, Path or str
        Folder of the run, local or in an object store.
    stage : str, optional
        Only this one.
    block : int, optional
        Only this one, in every stage that has it; finished or not.

    Returns
    -------
    list of BlockLog

    Raises
    ------
    SourceError
        If there is no run in the folder.
    ConfigError
        If it has no such stage.
    """
    place = Place.at(run)
    stages = find_stages(place)
    if not stages:
        raise SourceError(
            f"there is no run in {place} (no ledger); give the output folder of a workflow"
        )
    if stage is not None and stage not in [each.name for each in stages]:
        raise ConfigError(
            f"the run {place} has no stage {stage!r}; it has {', '.join(s.name for s in stages)}"
        )
    return [
        found for each in stages if stage in (None, each.name) for found in _of_stage(each, block)
    ]


def _of_stage(stage: Stage, block: int | None) -> Iterator[BlockLog]:
    done = stage.ledger.done()
    for failure in stage.ledger.failures():
        number = int(failure.get("number", -1))
        if 0 <= number < len(done) and not done[number] and block in (None, number):
            yield BlockLog(
                stage=stage.name,
                number=number,
                box=_box(stage, number),
                time=int(failure.get("time", 0)),
                error=str(failure.get("error", "")),
                traceback=str(failure.get("traceback", "")),
                worker=str(failure.get("worker", "")),
                attempts=int(failure.get("attempts", 1)),
            )
    if block is not None and 0 <= block < len(done) and done[block]:
        records = stage.ledger.records()
        last = records[records["number"] == block][-1]
        yield BlockLog(
            stage=stage.name,
            number=block,
            box=_box(stage, block),
            time=int(last["finished"]),
            seconds=float(last["seconds"]),
            content=f"{int(last['content']):08x}" if last["content"] else "",
        )


def _box(stage: Stage, number: int) -> str:
    return "" if stage.grid is None else str(stage.grid[number].write)
