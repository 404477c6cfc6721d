"""Notes of usage: what a stage has cost so far, kept beside its ledger.

``NAME.ledger/usage.json`` adds up over attempts.  It is written twice a second or more, and at
the end: after a kill, the last moments before it are not in it, nor is what was in flight.  Only
at the end it is waited for until it is on the disk: a power failure may cost the numbers so far.
Blocks that were lost and are computed again count again, since they cost again.
"""

import json
import logging
import time
from dataclasses import dataclass, field
from typing import Self

from volkit.engine.ledger import Ledger
from volkit.engine.usage import Usage
from volkit.errors import RunLockedError
from volkit.io.place import Place

USAGE = "usage.json"

_FORMAT = 1
_PAUSES = 50  # of as long as a write takes, so that the client has its time for blocks,
_MOST_SECONDS = 0.5  # unless that is long
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class UsageNote:
    """Usage of a stage in the making.

    Parameters
    ----------
    place : Place
        Folder of the ledger.
    total : Usage
        Of all attempts so far.
    """

    place: Place
    total: Usage = field(default_factory=Usage)
    _changed: bool = False
    _loose: bool = False  # written, and perhaps not on the disk
    _due: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        """Go on with the notes of a stage."""
        return cls(ledger.root, read_usage(ledger.root))

    def add(self, usage: Usage) -> None:
        """Hear what was spent; now and then, write that down."""
        if not usage:
            return
        self.total, self._changed = self.total + usage, True
        if time.monotonic() >= self._due:
            self._write(lasting=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write down the rest, unless the run is another client's by now."""
        if not isinstance(error, RunLockedError):
            self._write(lasting=True)

    def _write(self, *, lasting: bool) -> None:
        if not (self._changed or (lasting and self._loose)):
            return
        begun = time.monotonic()
        data = json.dumps({"format": _FORMAT, **self.total.as_json()}, indent=1) + "\n"
        try:
            self.place.objects.put(USAGE, data.encode(), lasting=lasting)
        except OSError as full:
            # No result depends on it.
            _logger.warning("could not write %s of %s: %s", USAGE, self.place, full)
        now = time.monotonic()
        self._changed, self._loose = False, not lasting
        self._due = now + min(_PAUSES * (now - begun), _MOST_SECONDS)


def read_usage(place: Place) -> Usage:
    """Read what a stage has cost so far.

    Parameters
    ----------
    place : Place
        Folder of its ledger.

    Returns
    -------
    Usage
        Empty where nothing was written, as by an older volkit, or it cannot be understood.
    """
    try:
        found = json.loads(place.objects.get(USAGE) or b"{}")
        return Usage.from_json(found) if found.get("format") == _FORMAT else Usage()
    except (ValueError, TypeError, KeyError, AttributeError):
        return Usage()
