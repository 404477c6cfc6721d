"""Commands: how they are registered, and what ``--json`` means.

It means the same everywhere: one JSON document on standard output and nothing else there;
progress, messages and errors go to standard error.
"""

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from inspect import Parameter
from math import isfinite
from typing import Annotated, Any, TypeVar

import typer

from volkit.cli.options import with_option

Function = TypeVar("Function", bound=Callable[..., None])

_JSON: ContextVar[bool] = ContextVar("json", default=False)
_OPTION = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")]


def command(app: typer.Typer, name: str | None = None) -> Callable[[Function], Function]:
    """Register a function as a command that takes ``--json``.

    Parameters
    ----------
    app : typer.Typer
        Where.
    name : str, optional
        Of the command; that of the function if not given.

    Returns
    -------
    callable
        A decorator that gives back the function itself.
    """

    def register(function: Function) -> Function:
        app.command(name)(_with_json(function))
        return function

    return register


def wants_json() -> bool:
    """Tell whether the command that runs was asked for JSON."""
    return _JSON.get()


def say(text: str) -> None:
    """Print a line for a person: with ``--json`` where errors go."""
    typer.echo(text, err=wants_json())


def say_json(tree: Any) -> None:
    """Print a document, as strict JSON: numbers that are not finite become null.

    Parameters
    ----------
    tree : object
        Of dicts, lists, tuples, dataclasses, numbers and text; all else is written as text.
    """
    typer.echo(json.dumps(plain(tree), indent=1, allow_nan=False))


def plain(value: Any) -> Any:
    """Make a value of what JSON knows.

    Examples
    --------
    >>> from pathlib import PurePosixPath
    >>> plain({"folder": PurePosixPath("run"), "scores": (0.5, float("nan")), 3: None})
    {'folder': 'run', 'scores': [0.5, None], '3': None}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # of numpy
        return plain(value.tolist())
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, int | str) else str(value)


def _with_json(function: Callable[..., None]) -> Callable[..., None]:
    option = Parameter("as_json", Parameter.KEYWORD_ONLY, default=False, annotation=_OPTION)
    return with_option(function, option, _JSON, bool)
