"""Completion: what a shell offers where a workflow, a pipeline or a checkpoint is expected.

A shell waits for it, so nothing heavy is imported, and what fails offers nothing.
"""

from collections.abc import Iterator
from pathlib import Path

_WORKFLOWS = (".yaml", ".yml")


def workflow_files(incomplete: str) -> Iterator[str]:
    """Offer workflow files, and folders that may hold some.

    Parameters
    ----------
    incomplete : str
        What has been typed so far.

    Yields
    ------
    str
        Paths that begin so.
    """
    folder, _, begun = incomplete.rpartition("/")
    lead = f"{folder}/" if "/" in incomplete else ""
    try:
        entries = sorted(Path(lead or ".").iterdir())
    except OSError:
        return
    for path in entries:
        if not path.name.startswith(begun) or (path.name.startswith(".") and not begun):
            continue
        if path.is_dir():
            yield f"{lead}{path.name}/"
        elif path.suffix in _WORKFLOWS:
            yield f"{lead}{path.name}"


def pipelines(incomplete: str) -> list[str]:
    """Offer names of pipelines.

    Parameters
    ----------
    incomplete : str
        What has been typed so far.
    """
    from volkit.pipelines.registry import pipeline_names

    return [name for name in pipeline_names() if name.startswith(incomplete)]


def checkpoints(incomplete: str) -> list[str]:
    """Offer the checkpoints that ship with volkit, and cards that are files.

    Parameters
    ----------
    incomplete : str
        What has been typed so far.
    """
    from volkit.models.location import BUILTIN, builtin_names

    known = [f"{BUILTIN}{name}" for name in builtin_names()]
    return [*(name for name in known if name.startswith(incomplete)), *workflow_files(incomplete)]
