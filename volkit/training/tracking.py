"""Tracking: the numbers of a training, told to whoever keeps them.

A table beside the networks is always written.  TensorBoard and Weights & Biases are told too where
they are asked for; the latter also without a network, into a folder that is sent later.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import pandas as pd
from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.io.tables import Column, Schema, write_table

Values = Mapping[str, float]


class Tracker(Protocol):
    """Who is told the numbers of a training."""

    def log(self, step: int, values: Values) -> None:
        """Hear the numbers of a step, from 0 on, in order; the last one of a run before again."""

    def close(self) -> None:
        """Hear that there will be no more."""


@dataclass(frozen=True, slots=True)
class TrackingKeys:
    """Who is told, beside the table.

    Parameters
    ----------
    tensorboard : bool
        Write event files for TensorBoard.
    wandb : {"no", "offline", "online"}
        Tell Weights & Biases; ``offline`` writes a folder that ``wandb sync`` sends later, and
        needs neither network nor account.
    project, name : str
        Of the run there; the name is followed by the fold.

    Raises
    ------
    ConfigError
        If the project is empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    tensorboard: bool = False
    wandb: Literal["no", "offline", "online"] = "no"
    project: str = "volkit"
    name: str = "t1w"

    def __post_init__(self) -> None:
        if not self.project or not self.name:
            raise ConfigError("tracking needs a project and a name; give both, or leave them out")


@dataclass(slots=True)
class TableTracker:
    """Numbers as a table, whole after every step.

    Parameters
    ----------
    path : Path
        CSV.
    rows : list of mapping
        Of steps before, as an earlier run told them.
    """

    path: Path
    rows: list[dict[str, float]] = field(default_factory=list)

    def log(self, step: int, values: Values) -> None:
        """Add a row, and write all of them."""
        self.rows.append({"step": float(step), **values})
        frame = pd.DataFrame(self.rows).astype("float64").astype({"step": "int64"})
        schema = Schema(tuple(Column(str(name), frame[name].dtype.name) for name in frame))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_table(self.path, frame, schema, {})

    def close(self) -> None:
        """Do nothing: the table is written."""


@dataclass(frozen=True, slots=True)
class Trackers:
    """Several who are told the same.

    Parameters
    ----------
    all : tuple of Tracker
        In order.
    """

    all: tuple[Tracker, ...]

    def log(self, step: int, values: Values) -> None:
        """Tell all."""
        for tracker in self.all:
            tracker.log(step, values)

    def close(self) -> None:
        """Tell all, whatever happens to one of them."""
        with ExitStack() as stack:
            for tracker in self.all:
                stack.callback(tracker.close)


@contextmanager
def tracked(
    folder: Path,
    name: str,
    keys: TrackingKeys,
    *,
    identity: str,
    facts: Mapping[str, Any],
    known: Sequence[Values] = (),
) -> Iterator[Trackers]:
    """Open who is told of a training, and close them at its end.

    Parameters
    ----------
    folder : Path
        Gets ``NAME.csv``, and folders ``tensorboard/NAME`` and ``wandb``.
    name : str
        Of this training in the run, such as ``fold0``.
    keys : TrackingKeys
        Who.
    identity : str
        Digest of what decides the training: runs that go on have the same one.
    facts : mapping
        JSON: what decides it, in words.
    known : sequence of mapping
        Numbers of the steps that an earlier run has told.

    Yields
    ------
    Trackers

    Raises
    ------
    MissingExtraError
        If one is asked for and not installed.
    """
    first = max(len(known) - 1, 0)
    rows = [{"step": float(n), **values} for n, values in enumerate(known[:first])]
    told: list[Tracker] = [TableTracker(folder / f"{name}.csv", rows)]
    if keys.tensorboard:
        from volkit.training.track_tensorboard import TensorBoardTracker

        told.append(TensorBoardTracker(folder / "tensorboard" / name, first=first))
    if keys.wandb != "no":
        from volkit.training.track_wandb import WandbTracker

        told.append(WandbTracker(folder, keys, name, identity=identity, facts=facts))
    trackers = Trackers(tuple(told))
    try:
        # The run before may have ended between a step and telling of it: its last is told again.
        for step, values in enumerate(known[first:], first):
            trackers.log(step, values)
        yield trackers
    finally:
        trackers.close()
