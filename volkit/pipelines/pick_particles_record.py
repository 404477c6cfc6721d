"""What became of each tomogram of ``pick_particles``: its record, and its files where it failed."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.errors import ConfigError
from volkit.io.place import Place
from volkit.io.points.portal import beside
from volkit.io.redaction import redacted
from volkit.pipelines.pick_particles_chain import OpenTomogram, PickJob
from volkit.pipelines.pick_particles_config import PickParticles
from volkit.pipelines.pick_particles_inputs import NAME
from volkit.pipelines.report import described_model, package_versions
from volkit.version import __version__

_RECORD = Path("report", "run.json")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a tomogram.

    Parameters
    ----------
    name : str
        Its name.
    opened : OpenTomogram or None
        None where it could not be opened.
    picks : pandas.DataFrame or None
        With a column ``tomogram``; None where it failed.
    error : str
        What ended it; empty where nothing did.
    """

    name: str
    opened: OpenTomogram | None = None
    picks: pd.DataFrame | None = None
    error: str = ""


def forget(folder: Path, name: str, job: PickJob) -> None:
    """Remove what an earlier run wrote of a tomogram, whose picks do not count any more.

    Parameters
    ----------
    folder : Path
        Of the run.
    name : str
        Of the tomogram.
    job : PickJob
        With the classes that files are called after.
    """
    picks = folder / "picks"
    shutil.rmtree(picks / f"{name}.annotations", ignore_errors=True)
    files = [picks / f"{name}.star", folder / "report" / "figures" / f"{name}.png"]
    for kind in job.options.classes:
        portal = picks / f"{name}-{kind}.ndjson"
        files += [portal, portal.with_name(beside(portal.name))]
    for file in files:
        file.unlink(missing_ok=True)


def forget_others(folder: Path, attempts: list[Attempt], job: PickJob) -> None:
    """Remove what an earlier run wrote of tomograms that are not of the workflow any more."""
    earlier = {str(each.get("name")) for each in _earlier(folder).get("tomograms", ())}
    for name in earlier - {each.name for each in attempts}:
        if NAME.fullmatch(name):
            forget(folder, name, job)


def record_of_run(attempts: list[Attempt], job: PickJob) -> dict[str, Any]:
    """Say all of a run: with it, and with what lies in its folder, it can be reprocessed."""
    record = {
        "versions": dict(package_versions()),
        "parameters": {"pipeline": "pick_particles", **redacted(asdict(job.config))},
        "classes": list(job.options.classes),
        "tomograms": [_state(each) for each in attempts],
        **({} if job.model is None else {"checkpoint": described_model(job.model)}),
    }
    found: dict[str, Any] = json.loads(json.dumps(record, default=str))
    return found


def record_of_tables(attempts: list[Attempt], job: PickJob) -> dict[str, Any]:
    """Say what was picked from what, and how; workers and folder do not matter.

    What failed made no table; why it did is in the record of the run.
    """
    record = record_of_run([each for each in attempts if each.picks is not None], job)
    del record["versions"]
    told = {k: v for k, v in record["parameters"].items() if k not in ("cluster", "output")}
    return {"volkit": __version__, **record, "parameters": told}


def _state(attempt: Attempt) -> dict[str, Any]:
    state: dict[str, Any] = {"name": attempt.name, "state": "failed", "error": attempt.error}
    if attempt.picks is not None:
        state = {"name": attempt.name, "state": "finished", "picks": len(attempt.picks)}
    if attempt.opened is not None:
        volumes = {"image": attempt.opened.image, "heat": attempt.opened.heat}
        state["inputs"] = {
            role: {"uri": redacted(volume.uri), "identity": volume.identity}
            for role, volume in volumes.items()
            if volume is not None
        }
        state["voxel_size_nm"] = list(attempt.opened.scale.voxel_size_nm)
    return state


def check_written_apart(config: PickParticles, bases: tuple[Place, ...]) -> None:
    """Refuse a version whose picks would take the place of another one's in a copick project.

    Parameters
    ----------
    config : PickParticles
        Of the version.
    bases : tuple of Place
        Folders of the others.

    Raises
    ------
    ConfigError
        If one of them wrote there under the same user and session.
    """
    if "copick" not in config.write.formats:
        return
    ours = {key: asdict(config.write)[key] for key in ("copick", "user", "session")}
    for base in bases:
        record = {} if base.local is None else _earlier(base.local)
        told = record.get("parameters", {}).get("write", {})
        if "copick" in told.get("formats", ()) and ours.items() <= told.items():
            raise ConfigError(
                f"the picks of {config.write.user}, session {config.write.session}, are those of "
                f"{base}, and a version replaces nothing; add --set write.session=NAME"
            )


def _earlier(folder: Path) -> dict[str, Any]:
    """Read the record of an earlier run; empty where there is none."""
    try:
        found = json.loads((folder / _RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
