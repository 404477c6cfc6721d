"""GPUs: whether torch can use those that the machine has."""

import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

from volkit.pipelines.doctor.check import Check

_PATIENCE_SECONDS = 30
_LIST = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
_CUDA_TORCH = "install a build of torch with CUDA: https://pytorch.org/get-started/locally"


def check_gpus() -> Iterator[Check]:
    """Look at GPUs, and let each of them compute something."""
    present = driver_gpus()
    if find_spec("torch") is None:
        yield Check(
            "torch", "warn", "not installed: no network runs", "pip install 'volkit[torch]'"
        )
        return
    import torch

    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield Check("torch", "ok", f"{torch.__version__}, {built}")
    if torch.backends.mps.is_available():
        yield Check("gpu", "ok", f"{platform.processor()} with MPS")
    elif not torch.cuda.is_available():
        yield unusable(present, with_cuda=torch.version.cuda is not None)
    else:
        for number in range(torch.cuda.device_count()):
            yield _computed(number)


def driver_gpus() -> tuple[str, ...]:
    """List the GPUs that the driver knows, a line for each; empty where there are none."""
    if shutil.which(_LIST[0]) is None:
        return ()
    try:
        done = subprocess.run(
            _LIST, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return tuple(line.strip() for line in lines if line.strip())


def unusable(present: tuple[str, ...], *, with_cuda: bool) -> Check:
    """Say why torch sees no GPU.

    Parameters
    ----------
    present : tuple of str
        What the driver lists.
    with_cuda : bool
        Whether torch was built with CUDA.

    Returns
    -------
    Check
    """
    if not present:
        return Check("gpu", "ok", f"none: networks run on the processors{_in_what()}")
    found = f"the driver has {'; '.join(present)}, and torch sees none of them"
    if not with_cuda:
        return Check("gpu", "warn", found, _CUDA_TORCH)
    return Check(
        "gpu",
        "warn",
        found,
        "look at CUDA_VISIBLE_DEVICES, and whether the driver is as new as the CUDA of torch",
    )


def _in_what() -> str:
    from volkit.models.half_precision import is_emulated

    return ", in float32: 16 bits are emulated, slowly" if is_emulated("bfloat16", "cpu") else ""


def _computed(number: int) -> Check:
    """Let a GPU convolve: a build without kernels for it fails at the first one only."""
    import torch

    about = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    found = f"{number}: {about.name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    try:
        ones = torch.ones(1, 1, 8, 8, 8, device=f"cuda:{number}")
        total_sum = float(torch.nn.functional.conv3d(ones, ones[..., :3, :3, :3]).sum())
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        return Check("gpu", "fail", f"{found}; it cannot compute: {first}", _CUDA_TORCH)
    expected = 27.0 * 6**3
    if total_sum != expected:
        return Check(
            "gpu", "fail", f"{found}; it sums to {total_sum}, not {expected}", "replace the card"
        )
    return Check("gpu", "ok", found)
