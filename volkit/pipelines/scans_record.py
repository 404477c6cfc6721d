"""The record of a training on scans, beside its networks: who was learnt from by which of them.

Without it nobody could tell which scans a network may be judged by.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError, SourceError
from volkit.io.scan_manifest import ScanManifest
from volkit.models.card import Checkpoint
from volkit.ops.stall_ensemble import fingerprint_of
from volkit.training.scan_options import ScanTraining
from volkit.training.scan_roles import scan_roles
from volkit.training.scan_set import ScanSet

NAME = "training.json"
_FORMAT = 1
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Who was learnt from.

    Parameters
    ----------
    manifest : str
        Digest of the manifest.
    preprocessing : str
        Digest of the chain that made its scans.
    positive : str
        The class that is looked for.
    networks : tuple of str
        Identities of the networks.
    met : tuple of tuple of str
        For each of them the subjects of the scans that it learnt from, or that chose its weights.
    files : tuple of str
        Digests of all scans of the manifest.
    """

    manifest: str
    preprocessing: str
    positive: str
    networks: tuple[str, ...]
    met: tuple[tuple[str, ...], ...]
    files: tuple[str, ...]

    @property
    def model(self) -> str:
        """Fingerprint of all networks: what a calibrator is of."""
        return fingerprint_of(self.networks)

    def unmet(self, manifest: ScanManifest) -> list[tuple[int, ...]]:
        """Say which networks may judge each scan of a manifest.

        Parameters
        ----------
        manifest : ScanManifest
            That of the training, or one of other subjects.

        Returns
        -------
        list of tuple of int
            For each scan the networks that have not met its subject; all of them for other
            subjects, none for what every network has met.

        Raises
        ------
        ConfigError
            If its scans were preprocessed otherwise, or it is another manifest with subjects or
            files of the training's.
        """
        found = manifest.rows[0].preprocessing
        if found != self.preprocessing:
            raise ConfigError(
                f"{manifest.uri} has scans of the preprocessing {found[:12] or 'none'}, the "
                f"networks learnt from {self.preprocessing[:12] or 'none'}; preprocess them alike"
            )
        if manifest.digest != self.manifest:
            self._refuse_known(manifest)
        known = [set(subjects) for subjects in self.met]
        return [
            tuple(n for n, subjects in enumerate(known) if row.subject not in subjects)
            for row in manifest.rows
        ]

    def _refuse_known(self, manifest: ScanManifest) -> None:
        everybody = {subject for subjects in self.met for subject in subjects}
        files = set(self.files)
        shared = sorted(
            row.scan for row in manifest.rows if row.subject in everybody or row.sha256 in files
        )
        if shared:
            raise ConfigError(
                f"{manifest.uri} is not the manifest of the training (digest "
                f"{manifest.digest[:12]}, it was {self.manifest[:12]}), and {len(shared)} of its "
                f"scans are of subjects that were learnt from: {', '.join(shared[:_SHOWN])}; give "
                "the manifest of the training, whose scans are judged by networks that have not "
                "met them, or leave these subjects out"
            )


def record_of(
    scans: ScanSet, training: ScanTraining, *, networks: Sequence[Checkpoint]
) -> TrainingRecord:
    """Say who was learnt from in a training.

    Parameters
    ----------
    scans : ScanSet
        All scans, divided by subject.
    training : ScanTraining
        How.
    networks : sequence of Checkpoint
        In the order of their folds.

    Returns
    -------
    TrainingRecord
    """
    manifest, aside = scans.manifest, training.optimisation.aside
    met = []
    for number in range(len(networks)):
        roles = scan_roles(manifest.rows, number, aside=aside, seed=training.seed)
        seen = {manifest.rows[n].subject for n in (*roles.learnt, *roles.choosing)}
        met.append(tuple(sorted(seen)))
    return TrainingRecord(
        manifest.digest,
        manifest.rows[0].preprocessing,
        scans.positive,
        tuple(card.identity for card in networks),
        tuple(met),
        tuple(sorted(row.sha256 for row in manifest.rows)),
    )


def write_record(folder: Path, record: TrainingRecord) -> Path:
    """Write a record beside the networks."""
    path = folder / NAME
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({"format": _FORMAT, **asdict(record)}, indent=1) + "\n")
    partial.replace(path)
    return path


def read_record(checkpoint: str | Path | Sequence[str]) -> TrainingRecord:
    """Read the record that lies beside networks.

    Parameters
    ----------
    checkpoint : str, Path or sequence of str
        Cards, or the name under which they lie.

    Returns
    -------
    TrainingRecord

    Raises
    ------
    SourceError
        If there is none, or it cannot be understood.
    """
    first = checkpoint if isinstance(checkpoint, (str, Path)) else checkpoint[0]
    path = Path(first).parent / NAME
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise ValueError(f"format {found['format']}, this volkit reads {_FORMAT}")
        return TrainingRecord(
            str(found["manifest"]),
            str(found["preprocessing"]),
            str(found["positive"]),
            tuple(map(str, found["networks"])),
            tuple(tuple(map(str, subjects)) for subjects in found["met"]),
            tuple(map(str, found["files"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path}, which says whom the networks have met, cannot be read ({error}); keep it "
            "beside their cards"
        ) from error
