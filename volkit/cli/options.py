"""Options that many commands take: told to a command, and known to whatever it calls."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

Value = TypeVar("Value")


def with_option(
    function: Callable[..., None],
    option: Parameter,
    held: ContextVar[Value],
    understood: Callable[[Any], Value],
) -> Callable[..., None]:
    """Let a command take an option that its function does not name.

    Parameters
    ----------
    function : callable
        Of the command.
    option : Parameter
        Keyword only, with a default, annotated as typer asks for it.
    held : ContextVar
        Holds what was told while the command runs.
    understood : callable
        Makes that of what was typed.

    Returns
    -------
    callable
        To be registered.
    """
    told = signature(function)

    @wraps(function)
    def called(**given: Any) -> None:
        before = held.set(understood(given.pop(option.name, option.default)))
        try:
            function(**given)
        finally:
            held.reset(before)

    whole = told.replace(parameters=[*told.parameters.values(), option])
    called.__signature__ = whole  # type: ignore[attr-defined]
    return called
