"""Status: how far a run is, from what lies in its folder and nothing else."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from volkit.engine.attendance import State, read_state
from volkit.engine.lock_record import Held, read_lock
from volkit.engine.owner import Owner
from volkit.engine.stages import find_stages
from volkit.errors import SourceError
from volkit.io.place import Place
from volkit.pipelines.failure import read_failure
from volkit.pipelines.stage_status import StageStatus, stage_status

FORMAT = 1  # of the JSON


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """Who works on a run, or did last.

    Parameters
    ----------
    host, user : str
        Where and who.
    pid : int
        Of the process.
    since, beat : float
        Unix times by its clock: of its beginning, and of its last sign of life.
    running : bool or None
        None where that cannot be told from here: see whether ``beat`` changes.
    stage : str
        What it works on.
    in_flight : int
        Blocks that were handed out and have not come back.
    workers, threads : int
        Processes, and blocks at the same time.
    """

    host: str
    user: str
    pid: int
    since: float
    beat: float
    running: bool | None
    stage: str = ""
    in_flight: int = 0
    workers: int = 0
    threads: int = 0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is.

    Parameters
    ----------
    run : str
        Its folder.
    stages : tuple of StageStatus
        Those that were begun, in their order.
    client : ClientStatus or None
        None where nobody locked the run.
    failure : str
        What ended the last attempt; empty where nothing did, or it is still going on.
    failed_stage : str
        In which stage.
    """

    run: str
    stages: tuple[StageStatus, ...]
    client: ClientStatus | None
    failure: str
    failed_stage: str

    @property
    def worker_hours(self) -> float:
        """What it cost so far: the time that workers spent in finished blocks."""
        return sum(stage.worker_seconds for stage in self.stages) / 3600

    @property
    def state(self) -> str:
        """How it stands, in a word or a few."""
        if self.failure:
            return f"failed in {self.failed_stage or 'its beginning'}"
        if self.client is not None and self.client.running:
            return "going on"  # also between two stages, when all that were begun are finished
        done = all(stage.done == stage.total for stage in self.stages)
        return "finished" if done else "not finished"

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain values; see docs/how-to/read-status.md."""
        return {"format": FORMAT, **asdict(self), "worker_hours": self.worker_hours}

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        from volkit.pipelines.shown_status import shown_status

        return shown_status(self)


def read_status(run: Place | Path | str) -> RunStatus:
    """Read how far a run is.

    Parameters
    ----------
    run : Place, Path or str
        Its folder, local or in an object store.

    Returns
    -------
    RunStatus

    Raises
    ------
    SourceError
        If there is no run in the folder.
    """
    place = Place.at(run)
    held, failure = read_lock(place), read_failure(place)
    since = 0.0 if held is None else held.since
    stages = tuple(stage_status(stage, since=since) for stage in find_stages(place))
    if not stages:
        raise SourceError(
            f"there is no run in {place} (no ledger); give the output folder of a workflow"
        )
    client = None if held is None else _client(held, read_state(place))
    return RunStatus(
        run=str(place),
        stages=stages,
        client=client,
        failure=failure.get("message", ""),
        failed_stage=failure.get("stage", ""),
    )


def _client(held: Held, state: State | None) -> ClientStatus:
    owner = held.owner
    running = False if held.released else owner.alive(Owner.here())
    found = ClientStatus(owner.host, owner.user, owner.pid, held.since, held.beat, running)
    if state is None or state.id != held.id or running is False:
        return found
    return ClientStatus(
        **{
            **asdict(found),
            "stage": state.stage,
            "in_flight": state.in_flight,
            "workers": state.workers,
            "threads": state.threads,
            "beat": max(held.beat, state.time),
        }
    )
