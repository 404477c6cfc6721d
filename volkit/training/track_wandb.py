"""Tracking by Weights & Biases: online, or into a folder that is sent later."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from volkit.errors import missing_extra
from volkit.training.tracking import TrackingKeys, Values

_ID_DIGITS = 16


class WandbTracker:
    """Numbers as a run of Weights & Biases.

    Parameters
    ----------
    folder : Path
        Gets the folder ``wandb``.
    keys : TrackingKeys
        Project, name, and whether it is offline: then nothing is sent and nobody is asked who they
        are.
    name : str
        Of this training in the run.
    identity : str
        Digest of what decides it; the same run goes on under the same id.
    facts : mapping
        JSON, shown as the configuration of the run.

    Raises
    ------
    MissingExtraError
        If wandb is not installed.
    """

    def __init__(
        self,
        folder: Path,
        keys: TrackingKeys,
        name: str,
        *,
        identity: str,
        facts: Mapping[str, Any],
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise missing_extra("wandb", "tracking") from error
        folder.mkdir(parents=True, exist_ok=True)
        # Only what is told here is recorded: no console, code, host statistics or repository.
        quiet = wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True
        )
        self._run: Any = wandb.init(
            project=keys.project,
            name=f"{keys.name}-{name}",
            id=identity[:_ID_DIGITS],
            group=keys.name,
            dir=str(folder),
            mode="offline" if keys.wandb == "offline" else "online",
            resume="allow",
            config=json.loads(json.dumps(dict(facts), default=str)),
            settings=quiet,
            reinit="create_new",
        )

    def log(self, step: int, values: Values) -> None:
        """Tell the numbers of a step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self._run.finish()
