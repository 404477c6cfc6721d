"""Registry: pipelines by the name that a workflow file gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError
from volkit.pipelines.config import Tree, located, override, read_yaml, validate
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.plan import Plan
from volkit.plugins import find_plugin, plugins, skipped

OnMessage = Callable[[str], None]
ENTRY_POINTS = "volkit.pipelines"
_BUILTIN = {
    "classify_scans": "volkit.pipelines.classify_scans:PIPELINE",
    "diff": "volkit.pipelines.diff:PIPELINE",
    "evaluate": "volkit.pipelines.evaluate:PIPELINE",
    "mirror": "volkit.pipelines.mirror:PIPELINE",
    "pick_particles": "volkit.pipelines.pick_particles:PIPELINE",
    "recursive_vd2d3d": "volkit.pipelines.segment_affinities:RECURSIVE_PIPELINE",
    "readout": "volkit.pipelines.readout:PIPELINE",
    "regions": "volkit.pipelines.regions:PIPELINE",
    "segment_affinities": "volkit.pipelines.segment_affinities:AFFINITIES_PIPELINE",
    "segment_boundaries": "volkit.pipelines.segment_affinities:BOUNDARIES_PIPELINE",
    "segment_neurons": "volkit.pipelines.segment_neurons:PIPELINE",
    "stalls_calibrate": "volkit.pipelines.stalls_calibrate:PIPELINE",
    "stalls_clips": "volkit.pipelines.stalls_clips:PIPELINE",
    "stalls_volume": "volkit.pipelines.stalls_volume:PIPELINE",
    "statistics": "volkit.pipelines.statistics:PIPELINE",
    "t1w_preprocess": "volkit.pipelines.t1w_preprocess:PIPELINE",
    "tissue": "volkit.pipelines.tissue:PIPELINE",
    "train_affinities": "volkit.pipelines.train_affinities:PIPELINE",
    "train_boundaries": "volkit.pipelines.train_boundaries:PIPELINE",
    "train_classes": "volkit.pipelines.train_classes:PIPELINE",
    "train_particles": "volkit.pipelines.train_particles:PIPELINE",
    "train_dense": "volkit.pipelines.train_dense:PIPELINE",
    "train_scans": "volkit.pipelines.train_scans:PIPELINE",
    "train_stalls": "volkit.pipelines.train_stalls:PIPELINE",
}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A use case: what it is told, what it will do, and doing it.

    Parameters
    ----------
    name : str
        As workflow files have it.
    config : type
        Frozen dataclass of its workflow files.
    run : callable
        ``run(workflow, *, on_progress, on_message, replace_stale)`` gives an Outcome.
    plan : callable or None
        ``plan(config)`` gives a Plan; None where there is nothing to plan.
    paths : frozenset of str
        Keys whose values are paths or URIs.
    reprocess : callable or None
        ``run`` with ``bases`` and ``selection``, as a JobEngine takes them, the latter by part
        where runs have parts; None where runs have no versions.
    compose : callable or None
        ``compose(config, engine)`` hands the chain of stages to any engine; None where there is
        none to hand over.
    parts : callable or None
        ``parts(config)`` names what a run is made of where that is several volumes, whose stages
        are called ``PART-stage``; None where it is one.
    """

    name: str
    config: type
    run: Callable[..., Outcome]
    plan: Callable[[Any], Plan] | None
    paths: frozenset[str]
    reprocess: Callable[..., Outcome] | None = None
    compose: Callable[[Any, Any], object] | None = None
    parts: Callable[[Any], Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow file, checked.

    Parameters
    ----------
    path : Path
        The file.
    pipeline : Pipeline
        What it is for.
    config : object
        An instance of ``pipeline.config``.
    tree : dict
        The same as plain values, with overrides and whole paths: what to record.
    """

    path: Path
    pipeline: Pipeline
    config: Any
    tree: Tree


def read_workflow(
    path: Path, settings: Sequence[str] = (), *, default: str | None = None
) -> Workflow:
    """Read and check a workflow file.

    Parameters
    ----------
    path : Path
        YAML.  Relative paths in it are meant from its folder.
    settings : sequence of str
        ``key.path=value``, stronger than the file.  Relative paths are meant from the current
        folder.
    default : str, optional
        Pipeline of a file that names none.

    Returns
    -------
    Workflow

    Raises
    ------
    ConfigError
        If a key is unknown, missing or of the wrong kind; the message names its path.
    """
    written = read_yaml(path)
    name = override(written, settings).get("pipeline", default)
    if not isinstance(name, str):
        raise ConfigError(
            f"{path}: pipeline: is missing; name one of {', '.join(pipeline_names())}"
        )
    pipeline = find_pipeline(name)
    tree = located(written, pipeline.paths, path.absolute().parent)
    tree.setdefault("pipeline", name)
    tree = override(tree, settings, pipeline.paths)
    options = {key: value for key, value in tree.items() if key != "pipeline"}
    return Workflow(path, pipeline, validate(options, pipeline.config, where=str(path)), tree)


def pipeline_names() -> list[str]:
    """List the pipelines that are installed."""
    return sorted({*_BUILTIN, *(plugin.name for plugin in plugins(ENTRY_POINTS) if plugin.name)})


def own_pipelines() -> Mapping[str, str]:
    """List those of volkit itself: ``module:object`` by name."""
    return dict(_BUILTIN)


def find_pipeline(name: str) -> Pipeline:
    """Find a pipeline by name: one of volkit's, or one that another package registers.

    Packages register under the entry point group ``volkit.pipelines``; the object is a Pipeline.
    One that cannot be loaded is skipped.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name in _BUILTIN:
        module, _, attribute = _BUILTIN[name].partition(":")
        found: Pipeline = getattr(import_module(module), attribute)
        return found
    plugin: Pipeline | None = find_plugin(ENTRY_POINTS, name, pipeline_fault)
    if plugin is not None:
        return plugin
    known = ", ".join(other for other in pipeline_names() if other != name)
    wrong = skipped(ENTRY_POINTS, name, pipeline_fault)
    raise ConfigError(
        f"pipeline {name!r} is unknown; choose one of {known}{f'; {wrong}' if wrong else ''}"
    )


def pipeline_fault(value: Any) -> str:
    """Demand of an object that it is a Pipeline."""
    kind = type(value).__name__
    return "" if isinstance(value, Pipeline) else f"it is {kind}, not a {__name__}.Pipeline"
