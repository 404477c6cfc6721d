"""Sets of scans to learn from: rows of a manifest, their voxels read when they are asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.io.files.recent import Recent
from volkit.io.scan_manifest import ScanManifest, ScanRow
from volkit.kernels.scan_greys import prepared_scan

Floats = NDArray[np.float32]


def check_two_classes(manifest: ScanManifest, positive: str) -> None:
    """Refuse scans that are not of two classes, one of which is looked for.

    Raises
    ------
    ConfigError
        If they are not.
    """
    classes = manifest.classes
    if len(classes) != 2 or positive not in classes:
        raise ConfigError(
            f"{manifest.uri} has scans of {', '.join(classes)}, and {positive} is looked for "
            "(input.positive); give a manifest of two classes, one of them looked for"
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScanSet:
    """All scans of a manifest, by number.

    Parameters
    ----------
    manifest : ScanManifest
        Rows and files.
    positive : str
        The class that is looked for; the other one is negative.
    window : tuple of int
        What scans are resized to, (z, y, x).
    memory_mib : int
        Voxels that are kept in memory.

    Raises
    ------
    ConfigError
        If there are not two classes, or the positive one is none of them.
    """

    manifest: ScanManifest
    positive: str
    window: Coord
    memory_mib: int = 2048
    _kept: Recent = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_two_classes(self.manifest, self.positive)
        object.__setattr__(self, "_kept", Recent(self.memory_mib * 2**20))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without voxels: whoever gets it reads its own."""
        return ScanSet, (self.manifest, self.positive, self.window, self.memory_mib)

    def divided(self, rows: Sequence[ScanRow]) -> "ScanSet":
        """Give the same scans, with the same voxels in memory, divided otherwise.

        Parameters
        ----------
        rows : sequence of ScanRow
            Of the manifest, in its order, with other parts or folds.
        """
        found = replace(self, manifest=replace(self.manifest, rows=tuple(rows)))
        object.__setattr__(found, "_kept", self._kept)
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the two classes, sorted: the order of a network's answers."""
        return self.manifest.classes

    @property
    def number(self) -> NDArray[np.int64]:
        """Class of each scan, as its place in ``classes``."""
        return np.array([self.classes.index(row.label) for row in self.manifest.rows], np.int64)

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """Whether each scan is of the class that is looked for."""
        return self.number == self.classes.index(self.positive)

    def unit(self, row: int) -> Floats:
        """Give a scan, shape ``window``, from 0 to 1; not to be changed.

        Raises
        ------
        SourceError
            If it cannot be read, or is not the one of the manifest.
        ContractError
            If it is empty, or not finite.
        """
        return self._kept.get(row, partial(self._read, row))

    def _read(self, row: int) -> Floats:
        values, _ = self.manifest.read_scan(self.manifest.rows[row])
        return prepared_scan(values, self.window, name=self.manifest.rows[row].scan)

    def names(self, rows: Iterable[int]) -> str:
        """Name scans, for messages."""
        return ", ".join(self.manifest.rows[row].scan for row in rows)
