"""Configuration of ``t1w_preprocess``: the keys of its workflow files."""

from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError
from volkit.io.faults import Patience
from volkit.io.sources import OpenOptions
from volkit.ops.scan_chain import ChainOptions, check_names
from volkit.pipelines.cluster import ClusterOptions
from volkit.training.scan_split import SHARES


@dataclass(frozen=True, slots=True, kw_only=True)
class ScansInput:
    """Which scans.

    Parameters
    ----------
    scans : str
        CSV with the columns scan, subject, session, label and path, those of masks, and site where
        it is known.
    also : tuple of str
        Further columns with masks that come along, such as ``hippocampus``.
    credentials, patience
        See ``OpenOptions``.
    """

    scans: str
    also: tuple[str, ...] = ()
    credentials: str | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def options(self) -> OpenOptions:
        """How scans are reached."""
        return OpenOptions(credentials=self.credentials, patience=self.patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitKeys:
    """How subjects are dealt out.

    Parameters
    ----------
    shares : dict of str to float
        Of the scans of every class, for train, val and test.
    folds : int
        Instead of train and val, this many folds; 0 for none.  The share of test stays out.
    seed : int
        Of the draw.
    check : bool
        Read all prepared scans, and refuse a split that leaks.

    Raises
    ------
    ConfigError
        If folds are 1 or fewer than 0, or shares make no sense.
    """

    shares: dict[str, float] = field(default_factory=lambda: dict(SHARES))
    folds: int = 0
    seed: int = 0
    check: bool = True

    def __post_init__(self) -> None:
        if self.folds < 0 or self.folds == 1:
            raise ConfigError(f"folds is {self.folds}; give 2 or more, or 0 for none")
        strange = sorted(set(self.shares) - set(SHARES))
        if strange or not any(v > 0 for v in self.shares.values()) or min(self.shares.values()) < 0:
            raise ConfigError(
                f"shares {self.shares}: give numbers of 0 or more for {', '.join(SHARES)}, one "
                "above 0"
            )
        if self.folds and not any(v > 0 for name, v in self.shares.items() if name != "test"):
            raise ConfigError(
                f"shares {self.shares} leave nothing for {self.folds} folds; give train a share"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class T1wPreprocess:
    """The keys of a workflow file.

    Parameters
    ----------
    input : ScansInput
        Which scans.
    output : str
        Folder of the run.
    chain : ChainOptions
        What is done to every scan.
    split : SplitKeys
        How subjects are dealt out.
    sheet : int
        Scans on the contact sheet, at most; 0 draws none.
    cluster : ClusterOptions
        Where scans are worked on.

    Raises
    ------
    ConfigError
        If the output is a URL, a number makes no sense, or a mask is named like the brain's.
    """

    input: ScansInput
    output: str
    chain: ChainOptions = field(default_factory=ChainOptions)
    split: SplitKeys = field(default_factory=SplitKeys)
    sheet: int = 24
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if self.sheet < 0:
            raise ConfigError(f"sheet is {self.sheet}; give 0 scans or more")
        check_names(self.masks, self.chain.strip)

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)

    @property
    def masks(self) -> tuple[str, ...]:
        """Columns of the table with masks."""
        own = (self.chain.strip.column,) if self.chain.strip.method == "mask" else ()
        return tuple(dict.fromkeys((*own, *self.input.also)))
