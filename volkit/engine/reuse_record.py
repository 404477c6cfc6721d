"""Records of reuse: what a version of a run has not computed itself.

``reuse.json`` in the folder of a version says it of its stages; ``reuse.json`` in the ledger of a
stage says which of its blocks were copied, and from what.
"""

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.place import Place

RECORD = "reuse.json"


@dataclass(frozen=True, slots=True)
class BlocksRecord:
    """Which blocks of a stage are its own.

    Parameters
    ----------
    base : str
        Fingerprint of the stage that the other blocks were copied from.
    base_volume : str
        Identity of its volume.
    changed : ndarray of bool
        For every block, whether it is computed.
    """

    base: str
    base_volume: str
    changed: NDArray[np.bool_]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of blocks: ``computed`` and ``copied``."""
        computed = int(self.changed.sum())
        return {"computed": computed, "copied": len(self.changed) - computed}


def write_blocks(ledger: Place, record: BlocksRecord) -> None:
    """Write which blocks of a stage are its own, into its ledger."""
    packed = zlib.compress(np.packbits(record.changed).tobytes())
    about = {
        "base": record.base,
        "base_volume": record.base_volume,
        "blocks": len(record.changed),
        **record.counts,
        "changed": base64.b64encode(packed).decode(),
    }
    ledger.objects.put(RECORD, json.dumps(about, indent=1).encode())


def read_blocks(ledger: Place, total: int) -> BlocksRecord | None:
    """Read which blocks of a stage are its own.

    Parameters
    ----------
    ledger : Place
        Of the stage.
    total : int
        Number of its blocks.

    Returns
    -------
    BlocksRecord or None
        None where all are.
    """
    data = ledger.objects.get(RECORD)
    if data is None:
        return None
    try:
        about = json.loads(data)
        bits = zlib.decompress(base64.b64decode(about["changed"]))
        changed = np.unpackbits(np.frombuffer(bits, np.uint8), count=total).astype(bool)
        return BlocksRecord(about["base"], about["base_volume"], changed)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise SourceError(
            f"{ledger}/{RECORD} cannot be understood ({error}); delete {ledger} to compute anew"
        ) from error


def note_reuse(root: Place, name: str, record: dict[str, Any] | None) -> None:
    """Write down what a version has not computed itself.

    Parameters
    ----------
    root : Place
        Folder of the version.
    name : str
        Of the stage.
    record : dict or None
        ``fingerprint`` with ``shared``, or with ``computed`` and ``copied``; None where all of it
        is its own.
    """
    noted = read_reuse(root)
    if noted.get(name) == record:
        return
    if record is None:
        del noted[name]
    else:
        noted[name] = record
    root.objects.put(RECORD, (json.dumps(noted, indent=1) + "\n").encode())


def read_reuse(root: Place) -> dict[str, dict[str, Any]]:
    """Read what a version has not computed itself: by stage, what :func:`note_reuse` wrote."""
    data = root.objects.get(RECORD)
    try:
        found: dict[str, dict[str, Any]] = json.loads(data or b"{}")
    except ValueError as error:
        raise SourceError(
            f"{root}/{RECORD} cannot be understood ({error}); delete it and run again"
        ) from error
    return found
