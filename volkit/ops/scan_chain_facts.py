"""Facts of the chain: what decides its voxels, as JSON, by content and not by place."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from volkit.errors import SourceError
from volkit.models.checkpoint import read_checkpoint
from volkit.ops.scan_chain import ChainOptions
from volkit.ops.skull_strip import StripOptions
from volkit.ops.tissue_network import TissueOptions

_VERSION = 1  # to be raised when the voxels that the chain gives change
# Where SynthStrip looks for weights when it is told none.
_HOME, _OWN_WEIGHTS = "FREESURFER_HOME", "models/synthstrip*.pt"


def chain_facts(options: ChainOptions) -> dict[str, Any]:
    """Say what decides the voxels, as JSON; networks and weights by content, not by place.

    Raises
    ------
    ModelError
        If there is no such network.
    SourceError
        If the weights or the program cannot be read.
    """
    told = {k: v for k, v in asdict(options).items() if k not in ("limits", "tissue")}
    strip = options.strip
    del told["strip"]["seconds"]
    if strip.network is not None:
        told["strip"]["network"] = network_facts(strip.network)
    if strip.weights is not None:
        told["strip"]["weights"] = _file_digest("strip.weights", strip.weights)
    if strip.method == "synthstrip":
        told["strip"]["program"] = _program_facts(strip)
    return {"version": _VERSION, **json.loads(json.dumps(told))}


def network_facts(options: TissueOptions) -> dict[str, Any]:
    """Say what decides the answers of a tissue network; the device does not."""
    identity = read_checkpoint(options.checkpoint).identity
    return {"network": identity, "axes": options.axes, "extent": options.extent}


def _program_facts(options: StripOptions) -> dict[str, Any]:
    """Describe the program that strips: its file states its version, if anything does.

    Of a wrapper, it is the wrapper: what that starts, as in a container, is not known here.
    """
    program = shutil.which(options.command)
    found: dict[str, Any] = {
        "sha256": None if program is None else _file_digest("strip.command", program)
    }
    home = os.environ.get(_HOME)
    if options.weights is None and home:
        own = sorted(Path(home).glob(_OWN_WEIGHTS))
        found["own_weights"] = {each.name: _file_digest(_HOME, str(each)) for each in own}
    return found


def _file_digest(key: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{key} {path} cannot be read ({error}); check it") from error
