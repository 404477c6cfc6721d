"""Peers: packages that volkit is measured beside, which need not be there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from volkit.errors import missing_extra


def peer_module(name: str, extra: str) -> Any:
    """Import a peer.

    Parameters
    ----------
    name : str
        Its module.
    extra : str
        The extra of volkit that installs it.

    Raises
    ------
    MissingExtraError
        If it is not installed: the case is then skipped.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_extra(name.partition(".")[0], extra) from error


@contextmanager
def silence() -> Iterator[None]:
    """Keep from standard output what Python and compiled code print."""
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
