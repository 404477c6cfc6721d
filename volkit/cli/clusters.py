"""Clusters on the command line: what is stronger than the section of a workflow."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

ClusterFile = Annotated[
    Path | None,
    typer.Option("--cluster", help="YAML file of a cluster section, instead of the workflow's."),
]


def cluster_settings(
    file: Path | None = None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    local: bool = False,
) -> tuple[list[str], list[str]]:
    """Write options of a command as settings of a workflow.

    Parameters
    ----------
    file : Path, optional
        Takes the place of the workflow's cluster section.
    scheduler : str, optional
        Address of a scheduler that is running.
    workers : int, optional
        CPU workers.
    local : bool
        Work in this process alone.

    Returns
    -------
    before, after : list of str
        ``key=value``, weaker and stronger than what ``--set`` says.
    """
    before = [] if file is None else [f"cluster={json.dumps(_section(file), default=str)}"]
    chosen: dict[str, Any] = {}
    if scheduler is not None:
        chosen |= {"system": "address", "scheduler": scheduler}
    if workers is not None:
        chosen["workers"] = workers
    if local:
        chosen |= {"system": "here", "scheduler": None, "workers": 0}
    return before, [f"cluster.{key}={json.dumps(value)}" for key, value in chosen.items()]


def _section(path: Path) -> Any:
    """Read a cluster file: the keys, alone or under ``cluster``."""
    from volkit.pipelines.config import read_yaml

    tree = read_yaml(path)
    return tree["cluster"] if set(tree) == {"cluster"} else tree
