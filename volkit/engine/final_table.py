"""Finished tables of a job: each with the fingerprint of its computation beside it."""

import json

from volkit.engine.columns import digest, read_columns, remove_drafts_beside, write_columns
from volkit.engine.fingerprint import Facts, changes, fingerprint
from volkit.engine.op import Columns
from volkit.errors import SourceError, StaleLedgerError
from volkit.io.place import Place


def store_table(place: Place, columns: Columns, what: Facts) -> None:
    """Write a finished table, and beside it of which computation it is.

    Parameters
    ----------
    place : Place
        Of the table, ending in ``.npz``.
    columns : dict of ndarray
        The table.
    what : dict
        Facts of the computation.
    """
    write_columns(place, columns)
    said = {"fingerprint": fingerprint(what), "sha256": digest(columns), "facts": what}
    about = json.dumps(said, indent=1)
    place.above.objects.put(_about(place), about.encode())


def stored_table(place: Place, what: Facts, *, replace: bool) -> Columns | None:
    """Read a finished table, if it is there and of this computation.

    Parameters
    ----------
    place : Place
        Of the table.
    what : dict
        Facts of the computation.
    replace : bool
        Take one of another computation for none, instead of refusing.

    Returns
    -------
    dict of ndarray or None

    Raises
    ------
    StaleLedgerError
        If it is of another computation.
    SourceError
        If what lies beside it cannot be understood.
    """
    objects, about = place.above.objects, _about(place)
    data = objects.get(about)
    if data is None or objects.modified(place.name) is None:
        return None
    try:
        found = json.loads(data)
        same = found["fingerprint"] == fingerprint(what)
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{place.above.inside(about)} cannot be understood ({error}); delete it to go on"
        ) from error
    if same:
        return read_columns(place)
    if replace:
        objects.delete(about)
        return None
    raise StaleLedgerError(
        f"{place} records computation {found['fingerprint'][:8]}, this one is "
        f"{fingerprint(what)[:8]}: {'; '.join(changes(found['facts'], what))}. "
        "Write to a new target, or replace what is stale (replace_stale=True; --replace)"
    )


def clear_parts(root: Place, name: str) -> None:
    """Remove what a finished reduction needs no more, also where it was killed before it did.

    Parameters
    ----------
    root : Place
        Folder of the run.
    name : str
        Of the stage.
    """
    root.inside(f"{name}.parts").objects.delete_all()
    if root.local is not None:
        remove_drafts_beside(root.local / f"{name}.npz")


def _about(place: Place) -> str:
    """Name what lies beside a table and says of which computation it is."""
    return place.name.removesuffix(".npz") + ".json"
