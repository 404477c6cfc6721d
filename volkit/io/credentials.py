"""Credentials: how a caller says which ones, so that they travel as names and are never shown."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError

_FORMS = "'anonymous', 'env:NAME', 'file:PATH', 'profile:NAME' or Secret(...)"


@dataclass(frozen=True, slots=True)
class Secret:
    """A token given in full; it is never shown, but travels to the workers with the handle.

    Parameters
    ----------
    value : str
        The token.

    Examples
    --------
    >>> Secret("abc")
    Secret()
    """

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "Secret()"


Credentials = str | Secret


def check_credentials(given: Credentials | None) -> None:
    """Refuse what is no reference, such as a bare token, without repeating it.

    Raises
    ------
    ConfigError
        If it has none of the known forms.
    """
    if given is None or isinstance(given, Secret) or given == "anonymous":
        return
    kind, _, name = given.partition(":")
    if kind not in ("env", "file", "profile") or not name:
        raise ConfigError(
            f"credentials are not understood; expected {_FORMS}. A bare token is not taken, so "
            "that it cannot end in a log: put it into a variable or a file"
        )


def secret_text(given: Credentials | None) -> str | None:
    """Find the token that credentials name, where they are used.

    Parameters
    ----------
    given : str, Secret or None
        ``env:NAME`` reads a variable of this process, ``file:PATH`` the first line of a file.

    Returns
    -------
    str or None
        The token; None where none is named.

    Raises
    ------
    ConfigError
        If the variable or the file is not there.
    """
    if isinstance(given, Secret):
        return given.value
    kind, _, name = (given or "").partition(":")
    if kind == "env":
        if not os.environ.get(name):
            raise ConfigError(
                f"credentials {given}: the variable is not set in this process; set it here and "
                "where the workers start, or use file:PATH on a shared file system"
            )
        return os.environ[name]
    if kind == "file":
        try:
            return Path(name).expanduser().read_text(encoding="utf-8").strip().splitlines()[0]
        except (OSError, IndexError) as error:
            raise ConfigError(
                f"credentials {given}: no token can be read there ({type(error).__name__}); put "
                "it into the first line of that file"
            ) from None
    return None
