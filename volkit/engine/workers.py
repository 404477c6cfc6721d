"""Workers: which ones a scheduler knows, asked of the scheduler itself."""

from typing import Any


def workers_of(client: Any) -> dict[str, dict[str, Any]]:
    """Ask the scheduler for its workers.

    Not by ``client.scheduler_info``: clients poll for a summary that names no worker, and keep it
    where that method finds its own answer, so that now and then a cluster seems to have no worker.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.

    Returns
    -------
    dict
        What the scheduler tells of each worker, by address.

    Raises
    ------
    OSError
        If the scheduler does not answer.
    """
    found = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    return {str(address): dict(worker) for address, worker in found.items()}
