"""Plug-ins: what other packages add to volkit by entry points; a broken one is named and skipped.

Nothing that another package does wrong, in the list of what it offers or while it is imported,
keeps volkit or a third package from working.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

_LOG = logging.getLogger(__name__)
_LIST = "entry_points.txt"

Check = Callable[[Any], str]
"""Says what is wrong with an object that was loaded; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """Something that a package offers.

    Parameters
    ----------
    group : str
        Of entry points, such as ``volkit.sources``.
    name : str
        That a person or a file calls it by; empty where the package's list cannot be read.
    target : str
        ``module:object``.
    package, version : str
        Where it comes from.
    fault : str
        Why the package's list cannot be read; empty where it can.
    """

    group: str
    name: str
    target: str
    package: str
    version: str
    fault: str = ""

    @property
    def origin(self) -> str:
        """Package and version."""
        return f"{self.package} {self.version}".strip()


def plugins(group: str) -> tuple[Plugin, ...]:
    """List what installed packages offer in a group; nothing of it is loaded.

    Parameters
    ----------
    group : str
        Of entry points.

    Returns
    -------
    tuple of Plugin
        By name, then by package.  Of several with one name the first that works counts.

    Examples
    --------
    >>> [plugin.package for plugin in plugins("volkit.sources") if plugin.name == "specimen"]
    ['volkit']
    """
    found: dict[tuple[str, str], Plugin] = {}
    for distribution in distributions():
        for plugin in _offered(distribution, group):
            # A package that lies on the path twice counts where it lies first, as its modules do.
            found.setdefault((plugin.package, plugin.name), plugin)
    return tuple(sorted(found.values(), key=lambda p: (p.name, p.package)))


def load_plugin(plugin: Plugin, check: Check) -> tuple[Any, str]:
    """Load a plug-in, or say why it cannot be.

    Parameters
    ----------
    plugin : Plugin
        From `plugins`.
    check : callable
        What its group demands.

    Returns
    -------
    value : object
        None where it cannot be used.
    fault : str
        Why; empty where it can.
    """
    if plugin.fault:
        return None, plugin.fault
    try:
        value = EntryPoint(plugin.name, plugin.target, plugin.group).load()
    # Importing runs the code of others: whatever it raises is theirs, and must not end our work.
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    fault = check(value)
    return (None, fault) if fault else (value, "")


def first_working(offered: Iterable[Plugin], check: Check) -> Any:
    """Load the first plug-in that can be used; those that are passed over are logged.

    Parameters
    ----------
    offered : iterable of Plugin
        Of one name.
    check : callable
        What their group demands.

    Returns
    -------
    object
        None where none can be used.
    """
    for plugin in offered:
        value, fault = load_plugin(plugin, check)
        if not fault:
            return value
        _LOG.warning("plug-in %s of %s is skipped: %s", plugin.name, plugin.origin, fault)
    return None


def find_plugin(group: str, name: str, check: Check) -> Any:
    """Load what a package offers under a name.

    Parameters
    ----------
    group, name : str
        Of the entry point.
    check : callable
        What the group demands.

    Returns
    -------
    object
        None where nobody offers it, or nobody's works; `skipped` says why.
    """
    return first_working((p for p in plugins(group) if p.name == name), check)


def skipped(group: str, name: str, check: Check) -> str:
    """Say which packages offer a name and cannot be used, for the message of an error.

    Parameters
    ----------
    group, name : str
        Of the entry point.
    check : callable
        What the group demands.

    Returns
    -------
    str
        Empty where there are none.
    """
    wrong = [
        f"{plugin.origin} offers it, but its plug-in is skipped ({fault}): update or uninstall "
        f"{plugin.package}"
        for plugin in plugins(group)
        if plugin.name == name and (fault := load_plugin(plugin, check)[1])
    ]
    return "; ".join(wrong)


def callable_fault(value: Any) -> str:
    """Demand of an object that it can be called."""
    return "" if callable(value) else f"it is {type(value).__name__}, which cannot be called"


def _offered(distribution: Distribution, group: str) -> Iterator[Plugin]:
    # Most packages offer nothing to volkit; their metadata need not be parsed to know that.
    if f"[{group}]" not in (distribution.read_text(_LIST) or ""):
        return
    told = distribution.metadata
    [package, *_] = told.get_all("Name") or ["a package without a name"]
    [version, *_] = told.get_all("Version") or [""]
    try:
        points = [point for point in distribution.entry_points if point.group == group]
    except (TypeError, ValueError) as error:  # a line that is not `name = module:object`
        fault = f"its {_LIST} cannot be read: {error}"
        yield Plugin(group, "", "", package, version, fault)
        return
    for point in points:
        yield Plugin(group, point.name, point.value, package, version)
