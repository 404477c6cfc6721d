"""Reprocess: a version of a run with another checkpoint or other settings, sharing the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from volkit.engine.fingerprint import changes
from volkit.errors import ConfigError, SourceError
from volkit.io.place import Place
from volkit.models.ensemble import read_model
from volkit.pipelines.config import Tree, located, override, validate
from volkit.pipelines.current_version import current_version
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import Pipeline, Workflow, find_pipeline
from volkit.pipelines.report import described_model
from volkit.pipelines.version_selection import Limits
from volkit.pipelines.version_stages import check_whole, version_stages
from volkit.pipelines.versions import (
    FIRST,
    Version,
    check_finished,
    now,
    read_version,
    read_versions,
    version_folder,
    write_version,
)
from volkit.version import __version__

_PLACES = ("output", "cluster")  # decide where and how, never what


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a version is to have otherwise.

    Parameters
    ----------
    checkpoint : str, optional
        Card of another network; a path is meant from the current folder.
    settings : sequence of str
        ``key.path=value`` of the workflow.
    limits : Limits
        The part that is to be computed anew.
    base : int, optional
        The version that it is derived from; None takes the current one.
    """

    checkpoint: str | None = None
    settings: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version that can be begun, or gone on with.

    Parameters
    ----------
    run : Path
        Folder of the run.
    version : Version
        As it will be recorded.
    workflow : Workflow
        To be carried out: makes the version.
    """

    run: Path
    version: Version
    workflow: Workflow


def prepare(run: Path, wanted: Changes) -> Prepared:
    """Check what is wanted, and find the version that it is.

    A version of the same changes that was begun is gone on with.  Nothing is written.

    Parameters
    ----------
    run : Path
        Folder of a finished run.
    wanted : Changes
        What is to be different.

    Returns
    -------
    Prepared
        Whose version is ``finished`` where it is there already.

    Raises
    ------
    SourceError
        If there is no run, or the version to derive from is not finished.
    ConfigError
        If the run is of another pipeline or of another volkit, a setting is not understood, or
        nothing would change.
    ModelError
        If there is no such checkpoint.
    """
    run = run.absolute()
    number = current_version(run) if wanted.base is None else wanted.base
    base = read_version(run, number)
    pipeline = _checked_pipeline(run, base)
    check_finished(run, number)
    tree = _changed_tree(base.parameters, wanted, pipeline)
    found = described_model(read_model(tree["checkpoint"]))
    checkpoint = {key: str(found[key]) for key in ("uri", "sha256", "identity")}
    version = Version(
        number=1 + max(version.number for version in read_versions(run)),
        parameters=tree,
        checkpoint=checkpoint,
        base=number,
        changes=tuple(_differences(base, tree, checkpoint)),
        selection=wanted.limits.record,
    )
    if not version.changes:
        raise ConfigError(
            f"nothing would change from v{number} of {run}; give another --checkpoint, or --set"
        )
    version = _same(run, version) or version
    output = str(version_folder(run, version.number))
    options = {k: v for k, v in {**tree, "output": output}.items() if k != "pipeline"}
    config: Any = validate(options, pipeline.config, where=f"v{number} of {run} with its changes")
    carried_out = replace(pipeline, run=partial(_carry_out, run, version, wanted.limits))
    return Prepared(run, version, Workflow(run, carried_out, config, {**tree, "output": output}))


def _checked_pipeline(run: Path, base: Version) -> Pipeline:
    pipeline = find_pipeline(str(base.parameters.get("pipeline")))
    if pipeline.reprocess is None:
        raise ConfigError(
            f"{run} is a run of {pipeline.name}, which has no versions; give a run that segments "
            "or picks"
        )
    made, here = (".".join(text.split(".")[:2]) for text in (base.volkit, __version__))
    if made != here:
        raise ConfigError(
            f"v{base.number} of {run} was made by volkit {base.volkit}, this is {__version__}: its "
            "stages would all be computed anew. Install that version, or run the workflow into "
            "another folder"
        )
    return pipeline


def _changed_tree(parameters: Tree, wanted: Changes, pipeline: Pipeline) -> Tree:
    for setting in wanted.settings:
        if setting.partition("=")[0].strip().split(".")[0] in ("output", "pipeline"):
            raise ConfigError(
                f"--set {setting}: a version lies beside the others of its run, and is of the same "
                "pipeline; leave that out"
            )
    tree = override(parameters, wanted.settings, pipeline.paths)
    if wanted.checkpoint is not None:
        tree["checkpoint"] = wanted.checkpoint
    found: Tree = located(tree, pipeline.paths, Path.cwd())
    return found


def _differences(base: Version, tree: Tree, checkpoint: Mapping[str, str]) -> list[str]:
    """Name what is different from the base, without what decides nothing."""
    old, new = (
        {key: value for key, value in each.items() if key not in (*_PLACES, "checkpoint")}
        for each in (base.parameters, tree)
    )
    found = changes(old, new)
    if base.checkpoint["identity"] != checkpoint["identity"]:
        was, is_now = (
            f"{Path(c['uri']).name} ({c['sha256'][:8]})" for c in (base.checkpoint, checkpoint)
        )
        found.insert(0, f"checkpoint: {was} became {is_now}")
    return found


def _same(run: Path, wanted: Version) -> Version | None:
    """Find the version that was begun, or finished, with the same changes."""
    for version in read_versions(run):
        known = (version.base, version.selection, version.checkpoint["identity"])
        same = known == (wanted.base, wanted.selection, wanted.checkpoint["identity"])
        if (
            same
            and version.state != "removed"
            and not _differences(version, wanted.parameters, wanted.checkpoint)
        ):
            found = replace(version, parameters=wanted.parameters)
            return found if _is_whole(run, version.number) else replace(found, state="begun")
    return None


def _is_whole(run: Path, number: int) -> bool:
    """Tell whether nothing is left to do, as after a repair, or is lost."""
    try:
        check_whole(run, number)
    except SourceError:
        return False
    return True


def _carry_out(
    run: Path,
    version: Version,
    limits: Limits,
    workflow: Workflow,
    *,
    on_progress: Any,
    on_message: Any,
    replace_stale: bool,
) -> Outcome:
    """Make a version: what a pipeline's ``run`` is for a workflow."""
    base = version.base or FIRST
    parts = workflow.pipeline.parts
    selection = (
        limits.selection(run, base)
        if parts is None
        else limits.selections(run, base, parts(workflow.config))
    )
    if replace_stale or workflow.pipeline.reprocess is None:
        raise ConfigError("a version replaces nothing; leave --replace out")
    version = _begin(run, version)
    others = [v.number for v in read_versions(run) if v.number != version.number]
    order = [base, *(number for number in reversed(others) if number != base)]
    outcome = workflow.pipeline.reprocess(
        workflow,
        bases=tuple(Place.at(version_folder(run, number)) for number in order),
        selection=selection,
        on_progress=on_progress,
        on_message=on_message,
        replace_stale=False,
    )
    made = {stage.name: stage.as_record for stage in version_stages(run, version.number)}
    write_version(run, replace(version, state="finished", stages=made))
    return replace(outcome, following=("volkit promote", run, f"v{version.number}"))


def _begin(run: Path, version: Version) -> Version:
    """Record a version before anything of it is made, and its base if that has no record."""
    write_version(run, read_version(run, FIRST), create=True)
    begun = replace(version, created=version.created or now(), state="begun")
    if not write_version(run, begun, create=not version.created):
        raise SourceError(
            f"somebody began v{version.number} of {run} at the same moment; run volkit reprocess "
            "again"
        )
    return begun
