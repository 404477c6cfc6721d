"""Batch files: many volumes and cutouts, each a row of CSV or an item of YAML, checked at once."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError, VolkitError
from volkit.geometry.scale import Vector
from volkit.pipelines.batch_rows import flat_settings, read_rows, row_settings
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.config import Tree, located, override, read_yaml
from volkit.pipelines.registry import Pipeline, Workflow, find_pipeline, read_workflow

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIES = ("input.image=", "input.box=", "output=")
_MOST_SHOWN = 20
_ENDINGS = {"mirror": "volume.zarr"}  # pipelines whose output is no folder of a run


@dataclass(frozen=True, slots=True)
class Item:
    """One volume or cutout and what to do with it.

    Parameters
    ----------
    name : str
        Of its folder.
    where : str
        Where it stands, for messages: ``line 3``.
    workflow : Path
        What to do.
    settings : tuple of str
        ``key.path=value``, with whole paths.
    center_um, size_um : tuple of float or None
        The cutout, (z, y, x), micrometres, where it is said so.
    """

    name: str
    where: str
    workflow: Path
    settings: tuple[str, ...]
    center_um: Vector | None = None
    size_um: Vector | None = None

    def read(self, more: Sequence[str] = ()) -> Workflow:
        """Read its workflow, with its settings and some more.

        Raises
        ------
        ConfigError
            If a key is unknown, missing or of the wrong kind.
        """
        return read_workflow(self.workflow, [*self.settings, *more])

    def tree(self) -> Tree:
        """Give the same as plain values, unchecked: a batch asks it of thousands."""
        base = _base(self.workflow, self.workflow.stat().st_mtime_ns)
        pipeline = find_pipeline(str(base.get("pipeline")))
        tree = located(base, pipeline.paths, self.workflow.absolute().parent)
        return override(tree, self.settings, pipeline.paths)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch file, checked.

    Parameters
    ----------
    path : Path
        The file.
    output : Path
        Folder of all items.
    items : tuple of Item
        In their order.
    cluster : ClusterOptions
        Where all of them run.
    """

    path: Path
    output: Path
    items: tuple[Item, ...]
    cluster: ClusterOptions = field(default_factory=ClusterOptions)


def read_batch(
    path: Path,
    *,
    workflow: Path | None = None,
    output: Path | None = None,
    settings: Sequence[str] = (),
) -> Batch:
    """Read and check a batch file, before anything is run.

    Parameters
    ----------
    path : Path
        CSV with a header, or YAML: a list of items, or a mapping with ``items``.  Columns are
        ``name``, ``workflow``, ``image``, ``box``, ``center_um`` and ``size_um``, and every key of
        the workflow by its path.  Relative paths are meant from the folder of the file.
    workflow : Path, optional
        Of the items that name none.
    output : Path, optional
        Folder of all items; None takes what the file says, or a folder of its name beside it.
    settings : sequence of str
        ``key.path=value`` for all items, stronger than the file; relative paths are meant from
        the current folder.

    Returns
    -------
    Batch

    Raises
    ------
    ConfigError
        If the file, or anything in it, cannot be understood: all that is wrong, line by line.
    """
    top, rows = read_rows(path)
    folder = path.absolute().parent
    if workflow is None and top.get("workflow") is not None:
        workflow = folder / str(top["workflow"])
    if output is None:
        output = folder / str(top.get("output") or path.stem)
    cluster = [] if top.get("cluster") is None else [f"cluster={json.dumps(top['cluster'])}"]
    every = (*flat_settings(top.get("set") or {}), *cluster)
    reader = _Reader(folder, workflow, output.absolute(), every, tuple(settings))
    items = tuple(item for where, row in rows if (item := reader.item(where, row)) is not None)
    if not reader.problems and not items:
        reader.problems.append("there are no items in it; give one row for each volume or cutout")
    if not reader.problems and len(reader.clusters) > 1:
        reader.problems.append(
            "its workflows name different clusters, and all items share one; give it for all "
            "(--workers, or --set cluster.scheduler=…)"
        )
    if reader.problems:
        shown = reader.problems[:_MOST_SHOWN]
        more = len(reader.problems) - len(shown)
        lines = [*shown, *([f"and {more} more"] if more else [])]
        raise ConfigError(f"{path}: nothing was run:\n" + "\n".join(f"  {line}" for line in lines))
    return Batch(path, output.absolute(), items, *reader.clusters)


class _Reader:
    """Turn rows into items, and collect what is wrong."""

    def __init__(
        self,
        folder: Path,
        workflow: Path | None,
        output: Path,
        every: tuple[str, ...],
        settings: tuple[str, ...],
    ) -> None:
        self.folder, self.workflow, self.output = folder, workflow, output
        self.every, self.settings = every, settings
        self.problems: list[str] = []
        self.clusters: list[ClusterOptions] = []
        self._names: dict[str, str] = {}
        self._pipelines: dict[Path, Pipeline] = {}
        self._checked: set[tuple[Path, tuple[str, ...]]] = set()
        self._there: dict[str, bool] = {}

    def item(self, where: str, row: Mapping[str, Any]) -> Item | None:
        """Make an item of a row; None where something is wrong with it."""
        try:
            name = self._name(where, row)
            where = f"{where} ({name})"
            workflow = self._workflow(row)
            pipeline = self._pipeline(workflow)
            own, center, size = row_settings(row)
            every, own = (
                [self._whole(setting, pipeline) for setting in those] for those in (self.every, own)
            )
            settings = (*every, *self._output(name, pipeline), *own, *self.settings)
            item = Item(name, where, workflow, settings, center, size)
            self._check(item, pipeline)
        except (VolkitError, ValueError) as error:
            self.problems.append(f"{where}: {error}")
            return None
        return item

    def _name(self, where: str, row: Mapping[str, Any]) -> str:
        name = str(row.get("name") or "").strip()
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"name {name!r}: give letters, digits, dots, dashes and underscores, since it "
                "becomes the name of a folder"
            )
        if name in self._names:
            raise ConfigError(f"name {name}: {self._names[name]} has it, too; names are unique")
        self._names[name] = where
        return name

    def _workflow(self, row: Mapping[str, Any]) -> Path:
        stated = row.get("workflow")
        path = self.folder / str(stated) if stated else self.workflow
        if path is None:
            raise ConfigError("workflow: is missing; name one here, or one for all (--workflow)")
        return path

    def _pipeline(self, workflow: Path) -> Pipeline:
        if workflow not in self._pipelines:
            name = read_yaml(workflow).get("pipeline")
            if name is None:
                raise ConfigError(f"{workflow}: pipeline: is missing; name one there")
            self._pipelines[workflow] = find_pipeline(str(name))
        return self._pipelines[workflow]

    def _whole(self, setting: str, pipeline: Pipeline) -> str:
        """Make relative paths whole: those of the batch file are meant from its folder."""
        key, _, text = setting.partition("=")
        last = key.rpartition(".")[2]
        found = located({last: json.loads(text)}, pipeline.paths, self.folder)
        return f"{key}={json.dumps(found[last])}"

    def _output(self, name: str, pipeline: Pipeline) -> list[str]:
        if "output" not in {item.name for item in fields(pipeline.config)}:
            return []
        place = self.output / name / _ENDINGS.get(pipeline.name, "")
        return [f"output={json.dumps(str(place))}"]

    def _check(self, item: Item, pipeline: Pipeline) -> None:
        """Check keys and values once for all rows that differ in the volume and its part alone."""
        given = [setting.partition("=") for setting in item.settings]
        paths = {
            key: json.loads(text)
            for key, _, text in given
            if key.rpartition(".")[2] in pipeline.paths and key != "output" and text[:1] == '"'
        }
        for key, value in paths.items():
            self._refuse_absent(key, value)
        varying = tuple(s for s in item.settings if s.startswith(_VARIES))
        signature = (item.workflow, tuple(s for s in item.settings if s not in varying))
        if signature in self._checked:
            return
        workflow = item.read()
        self._refuse_absent_in(workflow)
        self._checked.add(signature)
        cluster = getattr(workflow.config, "cluster", None)
        if cluster is not None and cluster not in self.clusters:
            self.clusters.append(cluster)

    def _refuse_absent_in(self, workflow: Workflow) -> None:
        outputs = {"output"} if "output" in workflow.tree else {"output", "checkpoint"}
        for key, value in _leaves(workflow.tree):
            last = key.rpartition(".")[2]
            if last in workflow.pipeline.paths - outputs and isinstance(value, str):
                self._refuse_absent(key, value)

    def _refuse_absent(self, key: str, value: str) -> None:
        """Refuse a local file that is not there; what is elsewhere shows when it is opened."""
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) or "*" in value:
            return
        path = value.partition("::")[0]
        if path not in self._there:
            self._there[path] = Path(path).exists()
        if not self._there[path]:
            raise ConfigError(f"{key}: {path} is not there; check the path")


@lru_cache(maxsize=64)
def _base(workflow: Path, stamp: int) -> Tree:
    """Parse a workflow file once, as long as it is the same."""
    return read_yaml(workflow)


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    pairs = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    for key, value in pairs:
        if isinstance(value, Mapping | list):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
