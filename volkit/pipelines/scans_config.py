"""Keys that workflow files of trainings on scans and of classifications share."""

from dataclasses import dataclass

from volkit.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreKeys:
    """How answers are scored.

    Parameters
    ----------
    threshold : float
        From it on a scan is called positive; fixed before anything is scored.
    prevalences : tuple of float
        Shares of positives at which predictive values are stated.
    draws : int
        Of the bootstrap over subjects.

    Raises
    ------
    ConfigError
        If a share is none, or there are no draws.
    """

    threshold: float = 0.5
    prevalences: tuple[float, ...] = (0.02, 0.1, 0.3, 0.5)
    draws: int = 500

    def __post_init__(self) -> None:
        shares = (self.threshold, *self.prevalences)
        if not all(0 < share < 1 for share in shares) or self.draws < 1:
            raise ConfigError(
                f"threshold {self.threshold}, prevalences {list(self.prevalences)} and "
                f"{self.draws} draws: give shares between 0 and 1, and 1 draw or more"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionKeys:
    """A region of every scan, in which attention is measured.

    Parameters
    ----------
    table : str
        CSV with the columns ``scan`` and ``column``; paths in it are meant from its folder, and may
        be URLs.
    column : str
        Which column names the mask of the region (NIfTI or DICOM, not 0 inside), on any grid: it
        is put where it lies in the patient.
    onto : str or None
        Which column names a scan on whose voxels maps are written, such as the one that was
        acquired; None writes them on those of the preprocessed scan.
    """

    table: str
    column: str = "hippocampus"
    onto: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionKeys:
    """Of how many scans it is shown where the networks look.

    Parameters
    ----------
    scans : int
        Of every class, evenly taken from those that are judged; 0 shows nothing.
    region : RegionKeys or None
        Where the share of attention is measured.

    Raises
    ------
    ConfigError
        If it is below 0.
    """

    scans: int = 0
    region: RegionKeys | None = None

    def __post_init__(self) -> None:
        if self.scans < 0:
            raise ConfigError(f"attention.scans is {self.scans}; give 0 or more")
