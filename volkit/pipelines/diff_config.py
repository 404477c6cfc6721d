"""Configuration of ``diff``: the keys of its workflow files."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.pipelines.cluster import ClusterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The keys of a workflow file.

    Parameters
    ----------
    old, new : str
        Volumes, tables (``.csv``, ``.parquet``), folders of runs, or versions of runs
        (``RUN@v2``).
    output : str
        Folder of the comparison.
    kind : {'auto', 'labels', 'values'}
        What volumes hold.
    box : Box, optional
        The part to compare, voxels, (z, y, x); None takes all, where both cover the same.
    level : int, optional
        Of volumes that are given by themselves; 0 is the finest.
    only : tuple of str
        Of runs: stages and tables that count; empty takes all.
    read_all : bool
        Read what two runs computed from the same, too.
    key : tuple of str
        Columns of tables that together name a row.
    threshold : float
        Difference of values from which they count as changed.
    small : float
        Share of voxels or rows up to which a change is small.
    block_shape : tuple of int
        Unit of work and of the heat map, (z, y, x), voxels.
    cluster : ClusterOptions
        Where blocks run; this process by default.
    """

    old: str
    new: str
    output: str
    kind: Literal["auto", "labels", "values"] = "auto"
    box: Box | None = None
    level: int | None = None
    only: tuple[str, ...] = ()
    read_all: bool = False
    key: tuple[str, ...] = ()
    threshold: float = 0.05
    small: float = 0.01
    block_shape: Coord = (128, 256, 256)
    cluster: ClusterOptions = field(default_factory=lambda: ClusterOptions(workers=0))

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if min(self.block_shape) < 1:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")
        if self.threshold < 0 or not 0 <= self.small <= 1:
            raise ConfigError(
                f"threshold {self.threshold} and small {self.small}: expected a threshold of 0 or "
                "more, and a share from 0 to 1"
            )
