"""Tracking by TensorBoard: event files that it shows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from volkit.errors import missing_extra
from volkit.training.tracking import Values


@dataclass(slots=True)
class TensorBoardTracker:
    """Numbers as event files.

    Parameters
    ----------
    folder : Path
        Gets them.
    first : int
        Step that a run begins or goes on with: what an interrupted run told from there on does not
        count.

    Raises
    ------
    MissingExtraError
        If tensorboard is not installed.
    """

    folder: Path
    first: int = 0
    _writer: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise missing_extra("tensorboard", "tracking") from error
        self._writer = SummaryWriter(str(self.folder), purge_step=self.first)

    def log(self, step: int, values: Values) -> None:
        """Write the numbers of a step, each under its name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
