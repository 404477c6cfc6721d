"""Peers: packages that volkit is measured beside, which need not be there."""

from importlib import import_module
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
