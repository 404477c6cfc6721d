"""Dashboards: where the cluster of a run shows itself, kept where its user alone can read it.

The link holds a token that lets whoever has it end workers.  So it does not go into the folder of
the run, which others may read, but into a private folder of the user, on the machine of the client.
"""

import json
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from volkit.engine.cluster.credentials import private_folder
from volkit.engine.lock_record import read_lock
from volkit.engine.owner import Owner
from volkit.errors import ConfigError
from volkit.io.place import Place

_FOLDER = ".volkit/dashboards"
_KEEP_SECONDS = 30 * 86400.0  # of clients that were killed
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_logger = logging.getLogger(__name__)


def link_of(client: Any) -> str:
    """Give the link to the dashboard of a cluster; empty where it was started without one."""
    try:
        return client.dashboard_link or ""
    except KeyError:
        return ""


def note_dashboard(lock: str, link: str) -> None:
    """Write down where the dashboard of a run is.

    Parameters
    ----------
    lock : str
        Id of the lock that its client holds.
    link : str
        Of its dashboard.
    """
    try:
        folder = private_folder(_home())
        path = folder / f"{lock}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"link": link, "host": Owner.here().host}), encoding="utf-8")
        _prune(folder)
    except (OSError, ConfigError) as error:
        _logger.info("the dashboard is not written down: %s", error)  # who looks on sees less


def forget_dashboard(lock: str) -> None:
    """Remove what :func:`note_dashboard` wrote."""
    with suppress(OSError):
        (_home() / f"{lock}.json").unlink(missing_ok=True)


def dashboard_of(run: Place | Path | str) -> str:
    """Find the dashboard of a run that this user has begun.

    Parameters
    ----------
    run : Place, Path or str
        Its folder.

    Returns
    -------
    str
        A link that works on this machine; empty where there is none.
    """
    held = read_lock(Place.at(run))
    if held is None or held.released or not held.id.isalnum():
        return ""
    try:
        found = json.loads((_home() / f"{held.id}.json").read_text(encoding="utf-8"))
        link, host = str(found["link"]), str(found["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    here = host == Owner.here().host or urlsplit(link).hostname not in _LOOPBACK
    return link if here and held.owner.alive(Owner.here()) is not False else ""


def _home() -> Path:
    return Path.home() / _FOLDER


def _prune(folder: Path) -> None:
    for path in folder.glob("*.json"):
        with suppress(OSError):  # another one may be doing the same
            if time.time() - path.stat().st_mtime > _KEEP_SECONDS:
                path.unlink()
