"""Stage usage: where the time of the workers of a stage went, as shares."""

from collections.abc import Mapping
from dataclasses import dataclass

from volkit.engine.usage import Usage

OTHER = "other"

_NETWORK = "network"


@dataclass(frozen=True, slots=True)
class StageUsage:
    """What the workers of a stage spent, as they metered it.

    Parameters
    ----------
    worker_seconds : float
        That their tasks lasted, failed ones included.
    network_share : float or None
        Seconds in the network over ``worker_seconds``; None where no network was metered.
    shares : mapping of str to float
        Share of ``worker_seconds`` by kind, the largest first; ``other`` is what nobody metered.
        Together they are 1.
    beside : mapping of str to float
        What other threads of the workers did at the same time, over ``worker_seconds``.
    read_amplification : float or None
        Decoded bytes that came from the source, over those where each voxel comes once; None where
        nothing was read.
    counts : mapping of str to int
        ``windows``, ``skipped_windows``, ``bytes_read``, ``bytes_fetched``, ``bytes_written`` and
        what else was counted.
    """

    worker_seconds: float
    network_share: float | None
    shares: Mapping[str, float]
    beside: Mapping[str, float]
    read_amplification: float | None
    counts: Mapping[str, int]


def stage_usage(usage: Usage) -> StageUsage:
    """Turn seconds into shares.

    Parameters
    ----------
    usage : Usage
        Of a stage.

    Returns
    -------
    StageUsage

    Examples
    --------
    >>> found = stage_usage(Usage(8.0, {"read": 2.0, "network": 4.0}))
    >>> found.network_share, found.shares
    (0.5, {'network': 0.5, 'read': 0.25, 'other': 0.25})
    """
    seconds = usage.worker_seconds
    shares = _over(usage.seconds, seconds)
    if seconds:
        shares[OTHER] = max(0.0, 1 - sum(shares.values()))
    metered = _NETWORK in usage.seconds or _NETWORK in usage.beside
    least = usage.counts.get("bytes_least", 0)
    return StageUsage(
        worker_seconds=seconds,
        network_share=usage.of(_NETWORK) / seconds if metered and seconds else None,
        shares=shares,
        beside=_over(usage.beside, seconds),
        read_amplification=usage.counts.get("bytes_fetched", 0) / least if least else None,
        counts=dict(usage.counts),
    )


def _over(parts: Mapping[str, float], whole: float) -> dict[str, float]:
    """Divide, the largest first."""
    kinds = sorted(parts, key=lambda kind: -parts[kind]) if whole else []
    return {kind: parts[kind] / whole for kind in kinds}
