"""Ledger: which blocks of a stage are finished, and of which computation.

A ledger is a folder with ``header.json`` (the facts of the computation) and ``done`` (one record of
16 bytes per finished block, appended).  Data are written before their mark: a block without a mark
is computed again.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from volkit.engine.fingerprint import Facts, changes, fingerprint
from volkit.errors import SourceError, StaleLedgerError

RECORD = np.dtype([("number", "<u8"), ("seconds", "<f4"), ("check", "<u4")])
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads every bit of a product


@dataclass(frozen=True, slots=True)
class Ledger:
    """The finished blocks of one stage.

    Parameters
    ----------
    root : Path
        Folder of the ledger.
    total : int
        Number of blocks.
    fingerprint : str
        Digest of the computation.
    """

    root: Path
    total: int
    fingerprint: str

    @classmethod
    def open(cls, root: Path, what: Facts, total: int, *, replace: bool = False) -> Self:
        """Open a ledger, or begin it.

        Parameters
        ----------
        root : Path
            Folder of the ledger.
        what : dict
            Facts of the computation.
        total : int
            Number of blocks.
        replace : bool
            Begin anew where another computation is recorded, instead of refusing.

        Raises
        ------
        StaleLedgerError
            If another computation is recorded there.
        """
        ledger = cls(root, total, fingerprint(what))
        try:
            found = read_header(root)
        except FileNotFoundError:
            found = None
        if found is not None and found["fingerprint"] != ledger.fingerprint:
            if not replace:
                raise StaleLedgerError(
                    f"{root} records computation {found['fingerprint'][:8]}, this one is "
                    f"{ledger.fingerprint[:8]}: {'; '.join(changes(found['facts'], what))}. "
                    "Write to a new target, or replace what is stale (replace_stale=True; "
                    "volkit run --replace)"
                )
            shutil.rmtree(root)
            found = None
        if found is None:
            ledger._begin(what)
        else:
            ledger._cut_torn_tail()
        return ledger

    def reset(self) -> None:
        """Forget every mark."""
        (self.root / "done").unlink(missing_ok=True)

    def mark(self, numbers: Sequence[int], seconds: Sequence[float]) -> None:
        """Record blocks as finished, and return when that is on disk."""
        records = np.zeros(len(numbers), RECORD)
        records["number"], records["seconds"] = numbers, seconds
        records["check"] = _check(records)
        with (self.root / "done").open("ab") as file:
            file.write(records.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> NDArray[np.void]:
        """Read the sound records, in the order in which blocks finished."""
        return _read_records(self.root / "done")

    def done(self) -> NDArray[np.bool_]:
        """Tell for every block whether it is finished."""
        done = np.zeros(self.total, bool)
        numbers = self.records()["number"]
        done[numbers[numbers < self.total]] = True
        return done

    def count(self) -> int:
        """Count the finished blocks."""
        return int(self.done().sum())

    def _begin(self, what: Facts) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        header = {"fingerprint": self.fingerprint, "total": self.total, "facts": what}
        scratch = self.root / ".header.part"
        scratch.write_text(json.dumps(header, indent=1))
        scratch.replace(self.root / "header.json")

    def _cut_torn_tail(self) -> None:
        """Drop a record that a kill cut in two, so that appended ones stay aligned."""
        path = self.root / "done"
        if path.exists():
            sound = len(_read_records(path)) * RECORD.itemsize
            if path.stat().st_size != sound:
                os.truncate(path, sound)


def read_header(root: Path) -> dict[str, Any]:
    """Read what a ledger is about: ``fingerprint``, ``total`` and ``facts``.

    Raises
    ------
    FileNotFoundError
        If there is no ledger.
    SourceError
        If it cannot be understood.
    """
    path = root / "header.json"
    try:
        header: dict[str, Any] = json.loads(path.read_text())
        header["fingerprint"], header["facts"], header["total"]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"the ledger {path} cannot be understood ({error}); delete {root} to compute anew"
        ) from error
    return header


def _read_records(path: Path) -> NDArray[np.void]:
    """Read records up to the first damaged one."""
    if not path.exists():
        return np.zeros(0, RECORD)
    data = path.read_bytes()
    records = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD)
    sound = records["check"] == _check(records)
    return records if sound.all() else records[: int(np.argmin(sound))]


def _check(records: NDArray[np.void]) -> NDArray[np.uint32]:
    bits = records["seconds"].astype("<f4").view("<u4").astype(np.uint64)
    mixed = (records["number"] ^ (bits << np.uint64(32)) ^ np.uint64(0x5EED)) * _MIX
    return (mixed >> np.uint64(32)).astype(np.uint32)
