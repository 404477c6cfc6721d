"""What volkit can open, build and run, and which package brings it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from volkit.io import registry as sources
from volkit.pipelines import registry as pipelines
from volkit.plugins import Check, Plugin, callable_fault, load_plugin, plugins
from volkit.version import __version__

Kind = Literal["source", "architecture", "pipeline"]
State = Literal["ok", "skipped", "hidden"]


@dataclass(frozen=True, slots=True)
class Offered:
    """Something that volkit knows by name.

    Parameters
    ----------
    kind : {'source', 'architecture', 'pipeline'}
        What it is.
    name : str
        Scheme or suffix of a source; name of the others.
    package, version : str
        Where it comes from.
    target : str
        ``module:object``.
    state : {'ok', 'skipped', 'hidden'}
        ``skipped`` cannot be used; ``hidden`` could, and something else of this name comes first.
    why : str
        Of the state, where it is not ``ok``.
    built_in : bool
        Whether it is volkit's own.
    """

    kind: Kind
    name: str
    package: str
    version: str
    target: str
    state: State = "ok"
    why: str = ""
    built_in: bool = False


def offered() -> tuple[Offered, ...]:
    """List what is installed; plug-ins of other packages are loaded to see whether they work.

    Returns
    -------
    tuple of Offered
        Sources, architectures and pipelines; those of volkit itself first.
    """
    # Those of sources come before volkit's own, so that a better reader can replace one.
    return (
        *_own("source", sources.own_sources()),
        *_others("source", sources.ENTRY_POINTS, callable_fault, taken={}),
        *_architectures(),
        *_own("pipeline", pipelines.own_pipelines()),
        *_others(
            "pipeline",
            pipelines.ENTRY_POINTS,
            pipelines.pipeline_fault,
            taken=pipelines.own_pipelines(),
        ),
    )


def _architectures() -> Iterator[Offered]:
    if find_spec("torch") is None:
        return  # no network can be built
    from volkit.models.architectures import ENTRY_POINTS, own_architectures

    yield from _own("architecture", own_architectures())
    yield from _others("architecture", ENTRY_POINTS, callable_fault, taken=own_architectures())


def _own(kind: Kind, targets: Mapping[str, str]) -> Iterator[Offered]:
    for name in sorted(targets):
        yield Offered(kind, name, "volkit", __version__, targets[name], built_in=True)


def _others(kind: Kind, group: str, check: Check, *, taken: Mapping[str, str]) -> Iterator[Offered]:
    first = dict.fromkeys(taken, "volkit")
    for plugin in plugins(group):
        state, why = _state(plugin, check, first)
        if state == "ok":
            first[plugin.name] = plugin.origin
        about = (plugin.package, plugin.version, plugin.target)
        own = plugin.package == "volkit"
        yield Offered(kind, plugin.name, *about, state, why, built_in=own)


def _state(plugin: Plugin, check: Check, first: Mapping[str, str]) -> tuple[State, str]:
    _, fault = load_plugin(plugin, check)
    if fault:
        return "skipped", fault
    if plugin.name in first:
        return "hidden", f"{first[plugin.name]} has one of this name"
    return "ok", ""
