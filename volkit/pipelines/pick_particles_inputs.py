"""What a workflow of ``pick_particles`` names: tomograms of a list, a project or a folder."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from volkit.errors import ConfigError, SourceError
from volkit.io.objects.protocol import open_objects
from volkit.io.points.copick import CopickProject, open_copick
from volkit.io.sources import OpenOptions
from volkit.io.uris import join_query, local_path, split_query
from volkit.pipelines.pick_particles_config import PickParticles, TomogramKeys, TomogramsInput

_FILES = (".mrc", ".map", ".rec", ".mrc.gz", ".mrc.bz2")
_FOLDERS = (".zarr",)
_ENDINGS = (*_FILES, *_FOLDERS)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a tomogram may be called: files and stages are called after it."""


@dataclass(frozen=True, slots=True)
class Tomogram:
    """A tomogram that a workflow names; nothing of it was opened yet.

    Parameters
    ----------
    name : str
        In tables, and of stages and files.
    image, heat, truth : str or None
        Where it, its stored heat maps and its true points lie.
    project : CopickProject or None
        Where to ask for its image.
    """

    name: str
    image: str | None = None
    heat: str | None = None
    truth: str | None = None
    project: CopickProject | None = None


def open_options(told: TomogramsInput) -> OpenOptions:
    """Give the credentials and the patience that a workflow names."""
    return OpenOptions(credentials=told.credentials, patience=told.patience)


def find_tomograms(config: PickParticles) -> tuple[Tomogram, ...]:
    """List the tomograms of a workflow.

    Parameters
    ----------
    config : PickParticles
        The workflow.

    Returns
    -------
    tuple of Tomogram
        In the order of the list, or by name.

    Raises
    ------
    SourceError
        If there is no such project or folder, or no tomogram in it.
    ConfigError
        If two have the same name, or one cannot name files.
    """
    told = config.input
    if told.copick is not None:
        found = tuple(_of_project(told.copick, told))
    elif told.folder is not None:
        found = tuple(_of_folder(told.folder, told))
    else:
        found = tuple(_of_list(told))
    names = [tomogram.name for tomogram in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    odd = [name for name in names if not NAME.fullmatch(name)]
    if twice or odd:
        raise ConfigError(
            f"tomograms are called {', '.join(twice or odd)}, "
            f"{'more than one of them' if twice else 'which cannot name files'}; list them with a "
            "name of letters, digits, dots, dashes and underscores for each"
        )
    return found


def _of_list(told: TomogramsInput) -> Iterator[Tomogram]:
    for number, item in enumerate(told.tomograms, 1):
        keys = TomogramKeys(image=item) if isinstance(item, str) else item
        name = keys.name or _stem(str(keys.image or keys.heat)) or f"tomogram-{number}"
        heat = keys.heat or _heat(told, name)
        yield Tomogram(name, keys.image, heat, keys.truth)


def _of_project(uri: str, told: TomogramsInput) -> Iterator[Tomogram]:
    project = open_copick(uri, open_options(told))
    unknown = sorted(set(told.runs) - set(project.runs))
    if unknown or not project.runs:
        raise SourceError(
            f"{uri} has no run {', '.join(unknown)}; its runs are "
            f"{', '.join(project.runs[:10]) or 'none'}"
        )
    for run in told.runs or project.runs:
        yield Tomogram(run, heat=_heat(told, run), project=project)


def _of_folder(uri: str, told: TomogramsInput) -> Iterator[Tomogram]:
    place, query = split_query(uri)
    found = [name for name in sorted(_names(uri, told)) if name.lower().endswith(_ENDINGS)]
    if not found:
        raise SourceError(f"{uri} has no {', '.join(_ENDINGS)}; give a folder of tomograms")
    for each in found:
        name = _stem(each)
        image = join_query(f"{place.rstrip('/')}/{each}", query)
        yield Tomogram(name, image, _heat(told, name))


def _names(uri: str, told: TomogramsInput) -> set[str]:
    path = local_path(uri)
    if path is not None:
        if not path.is_dir():
            raise SourceError(f"{uri} is no folder; check the path")
        return {each.name for each in path.iterdir()}
    keys = open_objects(uri, open_options(told)).keys()
    return {key.split("/", 1)[0] for key in keys}


def _heat(told: TomogramsInput, name: str) -> str | None:
    return None if told.heat is None else told.heat.replace("{name}", name)


def _stem(uri: str) -> str:
    """Take the name of a file, without its ending; empty where a URI has none."""
    name = uri.partition("?")[0].rstrip("/").rpartition("/")[2]
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name if local_path(uri) is not None else ""
