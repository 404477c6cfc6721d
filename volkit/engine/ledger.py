"""Ledger: which blocks of a stage are finished, and of which computation.

A ledger is a folder, local or in an object store, with ``header.json`` (the facts of the
computation), ``done`` (one record of 24 bytes per finished block, appended) and ``failed`` (a line
of JSON for each block that was set aside).  Data are written before their mark: a block without a
mark is computed again.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from volkit.engine.fingerprint import Facts, changes, fingerprint
from volkit.engine.marks import Marks, marks_in
from volkit.errors import SourceError, StaleLedgerError
from volkit.io.place import Place
from volkit.version import __version__

FORMAT = 2
RECORD = np.dtype(
    [
        ("number", "<u8"),
        ("finished", "<u4"),  # Unix time
        ("seconds", "<f4"),
        ("content", "<u4"),  # CRC-32 of what was stored; 0 where it is not known
        ("check", "<u4"),  # of this record
    ]
)
_AT_ONCE = 2**16  # records: what fits into the cache of a core is checked six times as fast
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads every bit of a product


@dataclass(frozen=True, slots=True)
class Ledger:
    """The finished blocks of one stage.

    Parameters
    ----------
    root : Place
        Folder of the ledger.
    total : int
        Number of blocks.
    fingerprint : str
        Digest of the computation.
    """

    root: Place
    total: int
    fingerprint: str
    _marks: Marks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_marks", marks_in(self.root, "done"))

    @classmethod
    def open(
        cls, root: Place | Path | str, what: Facts, total: int, *, replace: bool = False
    ) -> Self:
        """Open a ledger, or begin it.

        Parameters
        ----------
        root : Place, Path or str
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
        root = Place.at(root)
        ledger = cls(root, total, fingerprint(what))
        found = read_header(root)
        if found is not None and found["fingerprint"] != ledger.fingerprint:
            if not replace:
                raise StaleLedgerError(
                    f"{root} records computation {found['fingerprint'][:8]}, this one is "
                    f"{ledger.fingerprint[:8]}: {'; '.join(changes(found['facts'], what))}. "
                    "Write to a new target, or replace what is stale (replace_stale=True; "
                    "--replace)"
                )
            root.objects.delete_all()
            found = None
        if found is None:
            ledger._begin(what)
        else:
            ledger._marks.tidy(sum(map(len, ledger._pieces())) * RECORD.itemsize)
        return ledger

    def reset(self) -> None:
        """Forget every mark."""
        self._marks.reset()
        self.clear_failures()

    def note_failures(self, failures: Sequence[dict[str, Any]]) -> None:
        """Record blocks that were set aside: ``number``, ``error``, ``worker`` and so on."""
        lines = [json.dumps({**failure, "time": int(time.time())}) for failure in failures]
        marks_in(self.root, "failed").append("".join(f"{line}\n" for line in lines).encode())

    def failures(self) -> list[dict[str, Any]]:
        """Read which blocks were set aside by the last attempt; a torn line is left out."""
        found = []
        for line in marks_in(self.root, "failed").read().decode(errors="replace").splitlines():
            try:
                found.append(dict(json.loads(line)))
            except ValueError:
                continue
        return found

    def clear_failures(self) -> None:
        """Forget which blocks were set aside: they are about to be tried again."""
        marks_in(self.root, "failed").reset()

    def mark(
        self,
        numbers: Sequence[int],
        seconds: Sequence[float],
        contents: Sequence[int] | None = None,
    ) -> None:
        """Record blocks as finished, and return when that is stored.

        Parameters
        ----------
        numbers : sequence of int
            Of the blocks.
        seconds : sequence of float
            How long each took.
        contents : sequence of int, optional
            CRC-32 of what each left in the store.
        """
        records = np.zeros(len(numbers), RECORD)
        records["number"], records["seconds"] = numbers, seconds
        records["finished"] = int(time.time())
        records["content"] = 0 if contents is None else contents
        records["check"] = _check(records)
        self._marks.append(records.tobytes())

    def unmark(self, numbers: Iterable[int]) -> None:
        """Forget that blocks are finished; nobody may be working on the run meanwhile.

        Parameters
        ----------
        numbers : iterable of int
            Of the blocks; every record of them goes, all others are kept.
        """
        records = self.records()
        kept = records[~np.isin(records["number"], np.fromiter(numbers, np.uint64))]
        self._marks.replace(kept.tobytes())

    def records(self) -> NDArray[np.void]:
        """Read the sound records, in the order in which blocks finished."""
        return np.concatenate([np.empty(0, RECORD), *self._pieces()])

    def done(self) -> NDArray[np.bool_]:
        """Tell for every block whether it is finished."""
        done = np.zeros(self.total, bool)
        for records in self._pieces():
            numbers = records["number"]
            done[numbers[numbers < self.total]] = True
        return done

    def count(self) -> int:
        """Count the finished blocks."""
        return int(self.done().sum())

    def _pieces(self) -> Iterator[NDArray[np.void]]:
        """Read the sound records, many at a time, up to the first damaged one."""
        for piece in self._marks.pieces(_AT_ONCE * RECORD.itemsize):
            records = _sound_records(piece)
            yield records
            if len(records) * RECORD.itemsize < len(piece):
                return

    def _begin(self, what: Facts) -> None:
        header = {
            "format": FORMAT,
            "volkit": __version__,
            "fingerprint": self.fingerprint,
            "total": self.total,
            "facts": what,
        }
        self.root.objects.put("header.json", json.dumps(header, indent=1).encode())


def read_header(root: Place) -> dict[str, Any] | None:
    """Read what a ledger is about: ``fingerprint``, ``total`` and ``facts``.

    Returns
    -------
    dict or None
        None where there is no ledger.

    Raises
    ------
    SourceError
        If it cannot be understood.
    """
    data = root.objects.get("header.json")
    if data is None:
        return None
    try:
        header: dict[str, Any] = json.loads(data)
        header["fingerprint"], header["facts"], header["total"]
        form = int(header.get("format", 1))
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"the ledger {root}/header.json cannot be understood ({error}); delete {root} to "
            "compute anew"
        ) from error
    if form != FORMAT:
        by = header.get("volkit", "before 0.1")
        advice = "install that version" if form > FORMAT else f"delete {root} to compute anew"
        raise StaleLedgerError(
            f"the ledger {root} was written by volkit {by} in format {form}, this is "
            f"{__version__}, which knows format {FORMAT}; {advice}"
        )
    return header


def _sound_records(data: bytes) -> NDArray[np.void]:
    """Cut records at the first damaged one."""
    records = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD)
    sound = records["check"] == _check(records)
    return records if sound.all() else records[: int(np.argmin(sound))]


def _check(records: NDArray[np.void]) -> NDArray[np.uint32]:
    """Mix the fields of each record; written rarely and read often, so without a loop."""
    bits = records["seconds"].astype("<f4").view("<u4").astype(np.uint64)
    mixed = (records["number"] ^ (bits << np.uint64(32)) ^ np.uint64(0x5EED)) * _MIX
    rest = records["finished"].astype(np.uint64) << np.uint64(32)
    mixed = (mixed ^ (rest | records["content"].astype(np.uint64))) * _MIX
    return (mixed >> np.uint64(32)).astype(np.uint32)
