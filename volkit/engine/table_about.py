"""What lies beside the table of a reduction and says of which computation it is."""

import json
from dataclasses import dataclass
from typing import Any

from volkit.engine.fingerprint import Facts
from volkit.io.place import Place


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a reduction.

    Parameters
    ----------
    stage : str
        Of the reduction.
    place : Place
        The ``.npz``.
    sha256 : str
        Digest of its columns.
    fingerprint : str
        Of the computation.
    facts : dict
        The same, to be read.
    """

    stage: str
    place: Place
    sha256: str
    fingerprint: str
    facts: Facts


def read_about(place: Place) -> Table | None:
    """Read what lies beside the table of a reduction.

    Parameters
    ----------
    place : Place
        The ``.npz``.

    Returns
    -------
    Table or None
        None where nothing is said of it.
    """
    name = place.name.removesuffix(".npz")
    data = place.above.objects.get(f"{name}.json")
    try:
        about: dict[str, Any] = json.loads(data or b"null")
        found = about["sha256"], about["fingerprint"], about["facts"]
    except (ValueError, TypeError, KeyError):
        return None
    return Table(name.removesuffix(".final"), place, *found)
