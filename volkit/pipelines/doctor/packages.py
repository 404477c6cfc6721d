"""Packages: the versions that are installed, against those that volkit needs."""

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from volkit.pipelines.doctor.check import Check
from volkit.version import __version__

_OLDEST_PYTHON = (3, 11)
_USES = {
    "torch": "networks",
    "models": "networks of MONAI",
    "onnx": "the backend onnxruntime",
    "bioimageio": "model packages of bioimage.io",
    "bossdb": "BossDB",
    "precomputed": "cloud-volume",
    "cloud": "signed requests to S3",
    "hpc": "clusters of batch jobs",
    "view": "volkit view",
    "formats": "TIFF, NIfTI, MRC, video, DICOM",
    "mri": "scans of whole heads",
    "tracking": "TensorBoard, Weights & Biases",
    "notebook": "progress in notebooks",
    "statistics": "readouts and embeddings",
    "bench": "volkit bench",
}


def check_packages() -> Iterator[Check]:
    """Look at Python and at the packages that volkit declares."""
    yield _python()
    try:
        declared = [Requirement(text) for text in requires("volkit") or ()]
    except PackageNotFoundError:
        yield Check(
            "volkit",
            "warn",
            f"{__version__} runs from a folder without being installed, so nothing tells what it "
            "needs",
            "pip install -e . in that folder",
        )
        return
    yield from needed("volkit", [one for one in declared if _wanted(one, "")])
    missing = []
    for extra, use in _USES.items():
        alone = [one for one in declared if _wanted(one, extra) and not _wanted(one, "")]
        wanted = [one for one in alone if one.name != "volkit"]
        lacking = [one for one in wanted if _installed(one) is None]
        if lacking:
            missing.append(f"{extra} ({use})")
        yield from _too_old(extra, wanted)
    if missing:
        names = ",".join(text.partition(" ")[0] for text in missing)
        yield Check(
            "extras",
            "ok",
            f"not installed, or not whole: {', '.join(missing)}",
            f"only if you want one of them: pip install 'volkit[{names}]'",
        )


def needed(package: str, wanted: Sequence[Requirement]) -> Iterator[Check]:
    """Compare what a package cannot do without with what is installed.

    Parameters
    ----------
    package : str
        Its name.
    wanted : sequence of Requirement
        What it declares.
    """
    missing = [str(one) for one in wanted if _installed(one) is None]
    if missing:
        names = " ".join(f"'{text}'" for text in missing)
        yield Check(package, "fail", f"{', '.join(missing)} not installed", f"pip install {names}")
    wrong = list(_too_old(package, wanted))
    yield from wrong
    if not missing and not wrong:
        yield Check(package, "ok", f"{__version__}, with all of the {len(wanted)} it needs")


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < _OLDEST_PYTHON:
        return Check("python", "fail", found, "volkit needs Python 3.11 or newer")
    return Check("python", "ok", found)


def _too_old(name: str, wanted: Sequence[Requirement]) -> Iterator[Check]:
    for one in wanted:
        found = _installed(one)
        if found is not None and not one.specifier.contains(found, prereleases=True):
            yield Check(
                name,
                "fail" if name == "volkit" else "warn",
                f"{one.name} {found} is installed, volkit needs {one.specifier}",
                f"pip install '{one.name}{one.specifier}'",
            )


def _installed(wanted: Requirement) -> str | None:
    try:
        return version(wanted.name)
    except PackageNotFoundError:
        return None


def _wanted(one: Requirement, extra: str) -> bool:
    """Tell whether a package is wanted by an extra; by volkit itself where that is empty."""
    return one.marker is None or one.marker.evaluate({"extra": extra})
