"""The parameters of a run, as its tables and its page tell them."""

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from volkit.io.redaction import redacted


def run_parameters(
    config: Any, *, without: Collection[str] = ("cluster", "output")
) -> dict[str, Any]:
    """Say what decides a run; workers and folder do not.

    Parameters
    ----------
    config : dataclass
        The keys of a workflow file.
    without : collection of str
        Keys that are left out.

    Returns
    -------
    dict
        JSON, without secrets.
    """
    told = {name: value for name, value in asdict(config).items() if name not in without}
    found: dict[str, Any] = json.loads(json.dumps(redacted(told), default=str))
    return found
