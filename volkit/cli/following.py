"""What follows: the command to go on with, as it can be pasted into a shell."""

from pathlib import Path
from shlex import quote

from volkit.cli.tables import brief


def next_command(command: str, *arguments: str | Path) -> str:
    """Write a command, whatever blanks and signs its arguments have.

    Parameters
    ----------
    command : str
        With what needs no quotes; one that ends in ``=`` is followed by its value.
    *arguments : str or Path
        Of it; paths are written from the current folder where they are inside it.

    Examples
    --------
    >>> next_command("volkit info", "my data/em.zarr")
    "volkit info 'my data/em.zarr'"
    >>> next_command("volkit run a.yaml --set checkpoint=", "net.yaml")
    'volkit run a.yaml --set checkpoint=net.yaml'
    """
    words = " ".join(quote(_short(argument)) for argument in arguments)
    return f"{command}{'' if command.endswith('=') else ' '}{words}"


def _short(argument: str | Path) -> str:
    """Write a path from the current folder, also one that is the value of a key."""
    key, sign, value = str(argument).partition("=")
    is_setting = isinstance(argument, str) and value.startswith("/")
    return f"{key}{sign}{brief(Path(value))}" if is_setting else brief(argument)
