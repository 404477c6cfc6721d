"""Stages under other names: two networks in one run need two."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.op import Op, Reduction
from volkit.geometry import Grid


@dataclass(frozen=True, slots=True)
class RenamedStages:
    """An engine that calls some stages otherwise.

    Parameters
    ----------
    engine : Engine
        What works.
    names : mapping of str to str
        Stages and their new names; others keep theirs.
    """

    engine: Engine
    names: Mapping[str, str] = field(default_factory=dict)

    def map(self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()) -> Any:
        """Apply an Op under the new name."""
        name = self.names.get(name, name)
        return self.engine.map(op, *inputs, grid=grid, name=name, shared=shared)

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Add up a table under the new name."""
        name = self.names.get(name, name)
        return self.engine.reduce(reduction, *inputs, grid=grid, name=name, shared=shared)
