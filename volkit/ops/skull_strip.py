"""Skull stripping: the mask of the brain, from whoever finds it.

``mask``: from outside, a file for each scan.  ``synthstrip``: by the program of that name, where it
is installed, with weights on this machine.  ``meshnet_fallback``: what a tissue network calls no
background; for want of the two others, since it was not trained to find brains.  ``nonzero``: heads
that somebody stripped before.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.io.files.affine import Affine
from volkit.io.files.scan_bytes import scan_bytes, scan_of
from volkit.kernels.brain_mask import one_piece
from volkit.ops.tissue_network import TissueOptions, Tissues, find_tissues

METHODS = ("mask", "synthstrip", "meshnet_fallback", "nonzero")

Mask = NDArray[np.bool_]
_SHOWN = 300  # letters of what a program said


@dataclass(frozen=True, slots=True, kw_only=True)
class StripOptions:
    """Who finds the brain.

    Parameters
    ----------
    method : {"mask", "synthstrip", "meshnet_fallback", "nonzero"}
        See the module.
    column : str
        For ``mask``: the column of the table of scans with the masks.
    command : str
        For ``synthstrip``: the program, by name or path; it understands ``-i``, ``-m`` and
        ``--model``.
    weights : str or None
        For ``synthstrip``: the file of weights; None takes those that the program finds itself.
    seconds : float
        For ``synthstrip``: how long a scan may take.
    network : TissueOptions or None
        For ``meshnet_fallback``.

    Raises
    ------
    ConfigError
        If a method is unknown, or lacks its network.
    """

    method: str = "mask"
    column: str = "brain"
    command: str = "mri_synthstrip"
    weights: str | None = None
    seconds: float = 1800.0
    network: TissueOptions | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"strip.method is {self.method!r}; choose {', '.join(METHODS)}")
        if self.method == "meshnet_fallback" and self.network is None:
            raise ConfigError(
                "strip.method meshnet_fallback needs strip.network.checkpoint: the card of a "
                "network that tells brain tissue from background"
            )
        if self.seconds <= 0:
            raise ConfigError(f"strip.seconds is {self.seconds}; give more than 0")


@dataclass(frozen=True, slots=True)
class Stripped:
    """A brain that was found.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Where it is.
    tissues : Tissues or None
        What a tissue network said on the way.
    """

    mask: Mask
    tissues: Tissues | None = None


def find_brain(
    values: NDArray[np.float32],
    affine: Affine,
    options: StripOptions,
    *,
    given: NDArray[np.generic] | None = None,
) -> Stripped:
    """Find the brain in a head.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        The head, in canonical orientation.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.
    options : StripOptions
        How.
    given : ndarray, shape (Z, Y, X), optional
        For ``mask``: the mask, in the frame of the head; what is not 0 is brain.  For ``nonzero``:
        where the head was not 0 before it was interpolated.

    Returns
    -------
    Stripped

    Raises
    ------
    ContractError
        If there is no mask, it is empty, or the program fails.
    ConfigError
        If the program or its weights are not there.

    References
    ----------
    Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022,
    https://doi.org/10.1016/j.neuroimage.2022.119474
    """
    found = Stripped(np.zeros(0, bool))
    if options.method == "mask":
        if given is None:
            raise ContractError(
                f"the table names no mask in column {options.column}; fill it in, or choose another"
                " strip.method"
            )
        found = Stripped(np.asarray(given) != 0)
    elif options.method == "nonzero":
        found = Stripped(one_piece(values > 0 if given is None else np.asarray(given) != 0))
    elif options.method == "synthstrip":
        found = Stripped(_by_program(values, affine, options))
    elif options.network is not None:
        tissues = find_tissues(values, affine, options.network)
        found = Stripped(one_piece(tissues.labels > 0), tissues)
    if not found.mask.any():
        raise ContractError(
            "the brain mask is empty; give another mask, or another way to find the brain"
        )
    return found


def check_program(options: StripOptions) -> str:
    """Find the program that strips, before anything is begun.

    Returns
    -------
    str
        Its path.

    Raises
    ------
    ConfigError
        If the program or its weights are not there.
    """
    program = shutil.which(options.command)
    if program is None:
        raise ConfigError(
            f"strip.command {options.command} is not installed; install SynthStrip (it comes with "
            "FreeSurfer, or alone), give the path of the program, or choose another strip.method"
        )
    if options.weights is not None and not Path(options.weights).is_file():
        raise ConfigError(f"strip.weights {options.weights} does not exist; check the path")
    return program


def _by_program(values: NDArray[np.float32], affine: Affine, options: StripOptions) -> Mask:
    program = check_program(options)
    with TemporaryDirectory() as folder:
        head, mask = Path(folder) / "head.nii", Path(folder) / "mask.nii"
        head.write_bytes(scan_bytes(values, affine))
        model = [] if options.weights is None else ["--model", os.fspath(options.weights)]
        command = [program, "-i", str(head), "-m", str(mask), *model]
        try:
            ended, said = _run(command, options.seconds)
        except subprocess.TimeoutExpired as error:
            raise ContractError(
                f"{options.command} took more than {options.seconds:g} s; give strip.seconds more"
            ) from error
        if ended or not mask.is_file():
            raise ContractError(
                f"{options.command} ended with {ended} and "
                f"{'a' if mask.is_file() else 'no'} mask: {said or 'it said nothing'}"
            )
        found, frame = scan_of(str(mask), mask.read_bytes())
    if found.shape != values.shape or not np.allclose(frame, affine, atol=1e-3):
        raise ContractError(
            f"{options.command} gave a mask of {found.shape} voxels in another frame than the head "
            f"of {values.shape}; use a version that keeps the frame"
        )
    return found > 0.5


def _run(command: list[str], seconds: float) -> tuple[int, str]:
    """Run a program; what it began ends with it.  Give its code, and the end of what it said."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # wrappers of containers begin others, which only a group reaches
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, " ".join((err or out).split())[-_SHOWN:]
