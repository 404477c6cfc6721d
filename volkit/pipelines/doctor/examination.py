"""Examination: all that is looked at, in the order in which it matters."""

from collections.abc import Sequence

from volkit.io.credentials import Credentials
from volkit.pipelines.doctor.check import Check
from volkit.pipelines.doctor.packages import check_packages


def examine(
    uris: Sequence[str] = (), *, output: str | None = None, credentials: Credentials | None = None
) -> tuple[Check, ...]:
    """Look at everything that a run depends on.

    Parameters
    ----------
    uris : sequence of str
        Volumes of which a little is read.
    output : str, optional
        Where a little is written and removed again.
    credentials : str, optional
        Of these.

    Returns
    -------
    tuple of Check
        Where packages are missing, nothing but these: the rest could not be looked at.
    """
    packages = tuple(check_packages())
    if any(check.state == "fail" for check in packages):
        return packages
    from volkit.pipelines.doctor.clusters import check_clusters
    from volkit.pipelines.doctor.gpu import check_gpus
    from volkit.pipelines.doctor.machine import check_machine
    from volkit.pipelines.doctor.stores import check_stores

    return (
        *packages,
        *check_gpus(),
        *check_machine(),
        *check_clusters(),
        *check_stores(uris, output=output, credentials=credentials),
    )
