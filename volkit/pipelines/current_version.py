"""The current version of a run: which one counts, which did before, and how that is changed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from volkit.errors import ConfigError, SourceError
from volkit.io.place import Place
from volkit.pipelines.version_stages import check_whole
from volkit.pipelines.versions import FIRST, FORMAT, now

_CURRENT = "current.json"


@dataclass(frozen=True, slots=True)
class Step:
    """A change of which version is current.

    Parameters
    ----------
    how : {'promote', 'rollback'}
        What was done.
    version : int
        Current from then on.
    time : str
        UTC, ISO 8601.
    """

    how: str
    version: int
    time: str


def read_history(run: Path) -> list[Step]:
    """Read which versions were current; empty where it was always the first."""
    data = Place.at(run).objects.get(_CURRENT)
    if data is None:
        return []
    try:
        return [Step(**step) for step in json.loads(data)["history"]]
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{run / _CURRENT} cannot be understood ({error}); delete it, and promote the version "
            "that counts"
        ) from error


def current_version(run: Path) -> int:
    """Tell which version counts."""
    return _stack(read_history(run))[-1]


def promote(run: Path, number: int) -> None:
    """Make a version the current one.

    Raises
    ------
    ConfigError
        If there is no such version, or it is current.
    SourceError
        If it is not finished, or has lost what it shares.
    """
    if current_version(run) == number:
        raise ConfigError(f"v{number} is current in {run} already; choose another version")
    check_whole(run, number)
    _add_step(run, Step("promote", number, now()))


def rollback(run: Path) -> int:
    """Make the version current that was before the last one was promoted.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    ConfigError
        If none was.
    SourceError
        If it was removed, or has lost what it shares.
    """
    stack = _stack(read_history(run))
    if len(stack) == 1:
        raise ConfigError(
            f"nothing was promoted in {run} before v{stack[0]}, so there is nothing to go back to; "
            "use volkit promote"
        )
    check_whole(run, stack[-2])
    _add_step(run, Step("rollback", stack[-2], now()))
    return stack[-2]


def _stack(history: Sequence[Step]) -> list[int]:
    """List the versions that a rollback goes through, the current one last."""
    stack = [FIRST]
    for step in history:
        if step.how == "rollback" and len(stack) > 1:
            stack.pop()
        elif step.how == "promote":
            stack.append(step.version)
    return stack


def _add_step(run: Path, step: Step) -> None:
    steps = [asdict(each) for each in (*read_history(run), step)]
    text = json.dumps({"format": FORMAT, "current": step.version, "history": steps}, indent=1)
    Place.at(run).objects.put(_CURRENT, f"{text}\n".encode())
