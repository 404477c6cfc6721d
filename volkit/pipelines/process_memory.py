"""What a worker takes before its first block, which depends on how torch was built."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_BYTES = 450 * 2**20  # a worker with torch and numba loaded takes 330 to 460 MiB
# Built for CUDA, torch takes 290 MiB more as soon as it is imported: 755 in place of 463, no GPU
# being there.
_CUDA_BYTES = 800 * 2**20
_CUDA = re.compile(r"^cuda\b[^=\n]*=\s*['\"]", re.MULTILINE)


@cache
def process_bytes() -> int:
    """Say what a worker takes before it has done anything, where torch is the one installed here.

    Returns
    -------
    int
        Bytes, with torch and numba loaded.
    """
    # Its own word for it would cost the seconds and the memory of importing it.
    found = find_spec("torch")
    folders = () if found is None else found.submodule_search_locations or ()
    return _CUDA_BYTES if any(map(built_for_cuda, map(Path, folders))) else _BYTES


def built_for_cuda(folder: Path) -> bool:
    """Tell how torch was built, from its files.

    Parameters
    ----------
    folder : Path
        Of the package.

    Returns
    -------
    bool
        False also where it does not say.
    """
    try:
        return bool(_CUDA.search((folder / "version.py").read_text()))
    except OSError:
        return False
