"""Batch: many volumes and cutouts as one job that resumes, on one cluster.

Every item is a workflow with a folder of its own.  What is finished is left as it is; what fails is
noted, and the others go on.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from volkit.engine.base import OnProgress
from volkit.engine.lock import run_lock
from volkit.errors import ConfigError, VolkitError
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.models.ensemble import read_model
from volkit.pipelines.batch_file import Batch, Item
from volkit.pipelines.batch_record import (
    ItemStatus,
    Record,
    read_batch_status,
    read_record,
    record_place,
    write_record,
)
from volkit.pipelines.changed_keys import keys_named
from volkit.pipelines.cluster import LentCluster, workers
from volkit.pipelines.registry import OnMessage, Workflow
from volkit.version import __version__

_logger = logging.getLogger(__name__)
_UNSAID = ("cluster", "output")  # where it runs and lies decides no voxel


def run_batch(
    batch: Batch,
    *,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    replace_stale: bool = False,
) -> tuple[ItemStatus, ...]:
    """Carry out all items that are not finished, one after the other.

    Parameters
    ----------
    batch : Batch
        From its file.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.
    replace_stale : bool
        Compute anew what other settings left in the folders of items.

    Returns
    -------
    tuple of ItemStatus
        In the order of the file.

    Raises
    ------
    RunLockedError
        If another client works on this batch.
    SourceError
        If the cluster cannot be started, or is lost.
    """
    say: OnMessage = _logger.info if on_message is None else on_message
    with (
        run_lock(record_place(batch), on_message=say) as lock,
        workers(batch.cluster, say) as client,
    ):
        for number, item in enumerate(batch.items, 1):
            lock.check()
            said = f"item {number}/{len(batch.items)}: {item.name}"
            before = read_record(batch, item.name)
            if before is not None and _is_finished(item, before):
                say(f"{said} is finished")
                continue
            say(said)
            attempt = _Attempt(batch, item, before, client)
            attempt.carry_out(on_progress, say, replace_stale=replace_stale)
    return batch_status(batch)


def batch_status(batch: Batch) -> tuple[ItemStatus, ...]:
    """Read where all items stand.

    Parameters
    ----------
    batch : Batch
        From its file.

    Returns
    -------
    tuple of ItemStatus
        In the order of the file.
    """
    begun = [item for item in batch.items if read_record(batch, item.name) is not None]
    return read_batch_status(batch, {item.name: told(item) for item in begun})


def told(item: Item) -> str:
    """Digest what an item is told; where it runs and where it lies count for nothing."""
    tree = {key: value for key, value in item.tree().items() if key not in _UNSAID}
    said = {
        "tree": tree,
        "center_um": item.center_um,
        "size_um": item.size_um,
        "volkit": ".".join(__version__.split(".")[:2]),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


class _Attempt:
    """One attempt at an item."""

    def __init__(self, batch: Batch, item: Item, before: Record | None, client: Any) -> None:
        self.batch, self.item, self.client = batch, item, client
        output = str(item.tree().get("output", batch.output / item.name))
        attempts = 1 if before is None else 1 + before.attempts
        self.record = Record("running", told(item), {}, output, attempts)

    def carry_out(
        self, on_progress: OnProgress | None, on_message: OnMessage, *, replace_stale: bool
    ) -> None:
        """Do it, and note what became of it."""
        write_record(self.batch, self.item.name, self.record)
        begun = time.monotonic()
        with self._noted(on_message, lambda: time.monotonic() - begun):
            workflow = self._workflow()
            _refuse_impossible(workflow, replace_stale=replace_stale)
            inputs = _inputs(workflow)
            with keys_named(workflow):
                outcome = workflow.pipeline.run(
                    workflow,
                    on_progress=on_progress,
                    on_message=lambda s: None if s.startswith("dashboard") else on_message(s),
                    replace_stale=replace_stale,
                )
            finished = replace(
                self.record,
                state="finished",
                inputs=inputs,
                blocks=sum(stage.blocks for stage in outcome.times),
                seconds=time.monotonic() - begun,
                scores=outcome.scores,
            )
            write_record(self.batch, self.item.name, finished)

    @contextmanager
    def _noted(self, on_message: OnMessage, seconds: Callable[[], float]) -> Iterator[None]:
        """Note what ends an item, whatever it is: the others are to go on."""
        try:
            yield
        except Exception as error:
            notes = [n for n in getattr(error, "__notes__", ()) if n.startswith("volkit: ")]
            kind = "" if isinstance(error, VolkitError) else f"{type(error).__name__}: "
            text = "\n".join([kind + (str(error) or type(error).__name__), *notes])
            failed = replace(self.record, state="failed", error=text, seconds=seconds())
            write_record(self.batch, self.item.name, failed)
            if self.client is not None and self.client.status != "running":
                raise  # with the cluster lost, every other item would fail alike
            on_message(f"{self.item.name} failed: {text}")

    def _workflow(self) -> Workflow:
        """Read the workflow, find the cutout, and lend it the cluster."""
        workflow = self.item.read(_cutout(self.item))
        if not hasattr(workflow.config, "cluster"):
            return workflow
        lent = LentCluster.of(workflow.config.cluster, self.client)
        return replace(workflow, config=replace(workflow.config, cluster=lent))


def _cutout(item: Item) -> list[str]:
    """Find the voxels of a cutout that is said in micrometres."""
    if item.center_um is None or item.size_um is None:
        return []
    told_input = item.read().config.input
    names = ("level", "credentials", "voxel_size_nm", "axes", "patience")
    given = {name: getattr(told_input, name, None) for name in names}
    options: Any = {name: value for name, value in given.items() if value is not None}
    volume = open_volume(told_input.image, **options)
    box = volume.cutout(center_um=item.center_um, size_um=item.size_um).domain
    return [f"input.box={json.dumps({'start': list(box.start), 'stop': list(box.stop)})}"]


def _refuse_impossible(workflow: Workflow, *, replace_stale: bool) -> None:
    if workflow.pipeline.plan is None:
        return
    problems = workflow.pipeline.plan(workflow.config).problems(replace=replace_stale)
    if problems:
        raise ConfigError("\n".join(problems))


def _is_finished(item: Item, record: Record) -> bool:
    """Tell whether an item is finished as it is told now, from what is there now."""
    if record.state != "finished" or record.settings != told(item):
        return False
    there = Place.at(record.output).local
    if there is not None and not there.exists():
        return False
    try:
        return _inputs(item.read()) == record.inputs
    except (VolkitError, OSError):
        return True  # what it was made from is out of reach; that undoes nothing


def _inputs(workflow: Workflow) -> dict[str, str]:
    """Identify what an item reads."""
    found: dict[str, str] = {}
    given: Any = getattr(workflow.config, "input", None)
    for name in ("image", "truth"):
        uri = getattr(given, name, None)
        if uri is not None:
            options: Any = {"level": getattr(given, "level", None)}
            if name == "image" and getattr(given, "credentials", None) is not None:
                options["credentials"] = given.credentials
            found[name] = open_volume(uri, **options).identity
    if "output" in workflow.tree and "checkpoint" in workflow.tree:
        found["checkpoint"] = read_model(workflow.config.checkpoint).identity
    return found
