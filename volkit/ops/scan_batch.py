"""Scans by the hundred: each through the chain once, resumable, and set aside where it fails.

A scan is a block of a stage: its ledger knows which are finished.  Beside that each scan leaves a
record of what it was made from; where a table grows, scans that it held before are not made again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import isnan, nan
from typing import Any

import numpy as np

from volkit.engine.base import Engine
from volkit.engine.behind import behind
from volkit.engine.op import Columns, Reduction
from volkit.errors import ContractError, GeometryError, SourceError
from volkit.geometry import Block, Box, Grid
from volkit.io.faults import Fault, faults_behind
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.place import Place
from volkit.io.scan_files import AcquiredScan, read_acquired, stamp
from volkit.io.scan_table import ListedScan
from volkit.io.seals import digest
from volkit.io.sources import OpenOptions
from volkit.ops.scan_chain import ChainOptions, PreparedScan, prepare_scan
from volkit.ops.scan_chain_facts import chain_facts, network_facts
from volkit.ops.scan_quality import FACES, NOTHING, Quality

_ASIDE = (SourceError, ContractError, GeometryError)
# A store that fails now may answer later: such a scan is tried again, not set aside.
_AGAIN = {Fault.TRANSIENT, Fault.DENIED}


@dataclass(frozen=True, slots=True)
class ScanJob:
    """What all scans of a batch share.

    Parameters
    ----------
    chain : ChainOptions
        What is done to every scan.
    place : Place
        Folder of the run: gets ``scans/NAME.nii``, ``masks/NAME-MASK.nii`` (``masks/MASK/NAME.nii``
        where there is a dash in MASK), and ``records/NAME.json``.
    options : OpenOptions
        How scans are reached.

    Attributes
    ----------
    facts : dict
        JSON: what decides the results.  Networks and weights are read for it once, when the job is
        made.

    Raises
    ------
    ModelError, SourceError
        What `volkit.ops.scan_chain_facts.chain_facts` raises.
    """

    chain: ChainOptions
    place: Place
    options: OpenOptions
    facts: Mapping[str, Any] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        tissue = self.chain.tissue
        facts = {
            "chain": chain_facts(self.chain),
            "limits": json.loads(json.dumps(asdict(self.chain.limits))),
            "patience": self.chain.strip.seconds,  # who is given more of it may finish
            "tissue": None if tissue is None else network_facts(tissue),
        }
        object.__setattr__(self, "facts", facts)

    @property
    def preprocessing(self) -> str:
        """SHA-256 of what decides the voxels: the column of that name in a manifest."""
        return digest(json.dumps(self.facts["chain"], sort_keys=True).encode())


def scan_columns(scans: Sequence[ListedScan], options: OpenOptions) -> Columns:
    """Make a table that travels to workers, with stamps by which a changed file is noticed.

    Parameters
    ----------
    scans : sequence of ListedScan
        In order.
    options : OpenOptions
        How they are reached.

    Returns
    -------
    dict of ndarray of str, shape (N,)
        ``scan``, ``uri``, ``masks`` (JSON) and ``stamp``.
    """
    stamps = [
        " ".join([stamp(uri, options) for uri in (scan.uri, *scan.masks.values())])
        for scan in scans
    ]
    return {
        "scan": np.array([scan.scan for scan in scans], dtype=np.str_),
        "uri": np.array([scan.uri for scan in scans], dtype=np.str_),
        "masks": np.array([json.dumps(scan.masks) for scan in scans], dtype=np.str_),
        "stamp": np.array(stamps, dtype=np.str_),
    }


def prepare_scans(table: Columns, job: ScanJob, *, engine: Engine, name: str = "scans") -> Any:
    """Carry all scans through the chain.

    Parameters
    ----------
    table : dict of ndarray, shape (N,)
        From `scan_columns`.
    job : ScanJob
        What is done to them.
    engine : Engine
        Where; a job takes up where it was, scan by scan.
    name : str
        Of the stage.

    Returns
    -------
    dict of ndarray, shape (N,)
        Sorted by ``scan``: ``state`` (``ok`` or ``set aside``), ``reason``, and what was measured.
        The same bits whatever the workers, or kills in between.  (LazyEngine: a Delayed.)

    Raises
    ------
    ConfigError, ModelError, MissingExtraError
        If the chain cannot be carried out on any scan.
    BlockFailedError
        If stores kept failing.
    """
    count = len(table["scan"])
    grid = Grid(Box.from_shape((1, 1, count)), (1, 1, 1))
    work = Reduction(_scan_block, _gathered, finalize=_sorted, version=2)
    return engine.reduce(work, grid=grid, name=name, shared=(dict(table), job))


def scan_key(name: str) -> str:
    """Say where in the folder of a run a prepared scan lies."""
    return f"scans/{name}.nii"


def mask_key(name: str, mask: str) -> str:
    """Say where in the folder of a run a mask of a prepared scan lies: no two at one place.

    Examples
    --------
    >>> mask_key("a-b", "brain"), mask_key("a", "b-brain")
    ('masks/a-b-brain.nii', 'masks/b-brain/a.nii')
    """
    # Names of scans may hold dashes: only where that of a mask has none, the last one parts them.
    return f"masks/{mask}/{name}.nii" if "-" in mask else f"masks/{name}-{mask}.nii"


def _scan_block(block: Block, table: Columns, job: ScanJob) -> Columns:
    row = {name: str(column[block.write.start[2]]) for name, column in table.items()}
    facts = {"row": row, "job": job.facts}
    key = digest(json.dumps(facts, sort_keys=True).encode())
    record = _kept(job, row["scan"], key)
    if record is None:
        made, files = _made(job, row)
        record = {k: None if isinstance(v, float) and isnan(v) else v for k, v in made.items()}
        text = json.dumps({"key": key, "record": record}, indent=1)
        files[f"records/{row['scan']}.json"] = text.encode()
        objects = job.place.objects
        for path, data in files.items():
            objects.put(path, data, lasting=False)  # a kill leaves them; what is torn is made again
        behind(partial(objects.settle, list(files)))
    # One column of them: a file of many columns takes as long to write as to check the scan.
    return {"scan": np.array([row["scan"]]), "record": np.array([json.dumps(record).encode()])}


def _kept(job: ScanJob, name: str, key: str) -> dict[str, Any] | None:
    """Give what an earlier run noted, where it made the same scan and its files are as it wrote."""
    objects = job.place.objects
    data = objects.get(f"records/{name}.json")
    if data is None:
        return None
    try:
        found = json.loads(data)
        known: dict[str, Any] = found["record"]
        if found["key"] != key:
            return None
        written = json.loads(known["files"])
    except (ValueError, KeyError, TypeError):
        return None  # a record that cannot be read vouches for nothing: the scan is made again
    for path, sha256 in written.items():
        held = objects.get(path)
        if held is None or digest(held) != sha256:
            return None
    return known


def _made(job: ScanJob, row: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Carry a scan through the chain; what is wrong with it is noted.  Give its files, too."""
    about: dict[str, Any] = {"scan": row["scan"], "source_sha256": "", "source_voxels_sha256": ""}
    try:
        scan = read_acquired(row["uri"], job.options)
        about["source_sha256"] = scan.sha256
        uris = json.loads(row["masks"])
        masks = {name: _mask(uri, name, job) for name, uri in uris.items()}
        prepared = prepare_scan(scan, job.chain, masks=masks)
    except _ASIDE as error:
        if faults_behind(error) & _AGAIN:
            raise
        return {**about, "state": "set aside", "reason": str(error), **_unmade()}, {}
    written = {scan_key(row["scan"]): scan_bytes(prepared.values, prepared.affine)}
    for name, mask in prepared.masks.items():
        written[mask_key(row["scan"], name)] = scan_bytes(mask, prepared.affine)
    about["source_voxels_sha256"] = prepared.steps[0]["voxels_sha256"]
    return {**about, "state": "ok", "reason": "", **_described(prepared, written)}, written


def _mask(uri: str, name: str, job: ScanJob) -> AcquiredScan:
    try:
        return read_acquired(uri, job.options)
    except SourceError as error:
        if faults_behind(error) & _AGAIN:
            raise
        raise ContractError(f"its mask {name} cannot be read: {error}") from error


def _described(prepared: PreparedScan, written: Mapping[str, bytes]) -> dict[str, Any]:
    files = {path: digest(data) for path, data in written.items()}
    return {
        "sha256": next(iter(files.values())),
        "files": json.dumps(files),
        "steps": json.dumps(prepared.steps),
        "tissue": json.dumps(dict(prepared.tissue_ml)),
        **_measured(prepared.quality),
    }


def _unmade() -> dict[str, Any]:
    return {"sha256": "", "files": "{}", "steps": "[]", "tissue": "{}", **_measured(NOTHING)}


def _measured(quality: Quality) -> dict[str, Any]:
    signal = quality.signal
    return {
        "brain_ml": quality.brain_ml,
        "cut_share": quality.cut_share,
        "bright_share": signal.bright_share,
        "signal_mean": signal.mean,
        "signal_deviation": signal.deviation,
        "noise": signal.noise,
        "snr": signal.snr,
        "field_low": quality.field[0],
        "field_high": quality.field[1],
        **{f"room_{face}": n for face, n in zip(FACES, quality.room, strict=True)},
        **{f"margin_{face}": n for face, n in zip(FACES, quality.margin, strict=True)},
    }


def _gathered(tables: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _sorted(table: Columns) -> Columns:
    """Put records in the order of their scans, a column for each of their values."""
    records = [json.loads(table["record"][n]) for n in np.argsort(table["scan"], kind="stable")]
    return {
        name: np.array([nan if each[name] is None else each[name] for each in records])
        for name in records[0]
    }
