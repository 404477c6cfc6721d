"""Examples: the workflows that ship with volkit, and the one that shows what it does."""

import json
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from volkit.errors import SourceError

_SPECIMEN = "specimen://em?shape=96,256,256&seed=42"
_WITHOUT_TORCH = (
    f"input.image={_SPECIMEN}",
    f"input.boundaries={_SPECIMEN}&part=boundary",
    f"input.truth={_SPECIMEN}&part=truth",
    "block_shape=[96, 64, 128]",
)


@dataclass(frozen=True, slots=True)
class Demo:
    """What to run, to see volkit at work.

    Parameters
    ----------
    workflow : Path
        A workflow file.
    settings : tuple of str
        ``key.path=value``, stronger than the file.
    remark : str
        What is to be known of it; empty where nothing is.
    """

    workflow: Path
    settings: tuple[str, ...] = ()
    remark: str = ""


def shipped_workflows() -> Path:
    """Find the workflows that ship with volkit: in the package, or beside it in a checkout.

    Raises
    ------
    SourceError
        If they are in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "workflows", package.parent / "workflows"):
        if (folder / "segment_neurons.yaml").is_file():
            return folder
    raise SourceError(
        f"the workflows that ship with volkit are not in {package}; install volkit again"
    )


def write_workflows(folder: Path) -> Path:
    """Copy the workflows that ship with volkit; what is there already is left as it is.

    Parameters
    ----------
    folder : Path
        Made where it is not there.  What workflows write goes beside its folder ``workflows``.

    Returns
    -------
    Path
        The folder of the workflows.
    """
    source, target = shipped_workflows(), folder / "workflows"
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return target


def demo(folder: Path) -> Demo:
    """Choose what to show: a network and a segmentation, or without torch the segmentation alone.

    Parameters
    ----------
    folder : Path
        Where the workflows are copied to, and results go.

    Returns
    -------
    Demo
    """
    workflows = write_workflows(folder)
    if all(find_spec(package) for package in ("torch", "safetensors")):
        return Demo(workflows / "segment_neurons.yaml")
    return Demo(
        workflows / "em" / "segment_boundaries.yaml",
        (*_WITHOUT_TORCH, f"output={json.dumps(str(folder.absolute() / 'runs' / 'demo'))}"),
        "torch is not installed: this begins with the boundaries that a perfect network would "
        "find; pip install 'volkit[torch]' for one that ships",
    )
