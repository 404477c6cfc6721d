"""Run tables: how a terminal shows where a run stands, and what a check of it found."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from volkit.cli.progress import clock, size, speed, worth_showing

if TYPE_CHECKING:
    from volkit.engine.findings import Verified
    from volkit.pipelines.logs import BlockLog
    from volkit.pipelines.stage_status import StageStatus
    from volkit.pipelines.status import ClientStatus, RunStatus

_FEW = 20  # blocks, of which nothing can be said
_MUCH_SLOWER = 4.0  # than the median: a straggler
_MOST_STRAGGLERS = 3
_MOST_LINES = 20


def status_table(status: "RunStatus") -> Table:
    """Lay out how far the stages of a run are."""
    client = status.client
    table = _table("stage", "done", "total", "failed", "median", "99 %", "voxels", "bytes", "")
    for stage in status.stages:
        if not worth_showing(stage.stage, stage.total):
            continue
        table.add_row(
            stage.stage,
            f"{stage.done:,}",
            f"{stage.total:,}",
            str(stage.set_aside),
            _seconds(stage.median_seconds) if stage.done else "",
            _seconds(stage.p99_seconds) if stage.done else "",
            f"{stage.voxels_done:,}" if stage.voxels else "",
            size(stage.bytes_done) if stage.bytes_done else "",
            _pace(stage, client),
        )
    return table


def status_lines(status: "RunStatus") -> Iterator[str]:
    """Say in words what the table of a run leaves out."""
    from volkit.engine.dashboards import dashboard_of

    for stage in status.stages:
        slow = [f"{n} ({_seconds(s)})" for n, s in stage.slowest if _slow(stage, s)]
        if slow:
            blocks = ", ".join(slow[:_MOST_STRAGGLERS])
            median = _seconds(stage.median_seconds)
            yield f"slow in {stage.stage}: block {blocks}; the median is {median}"
        if stage.passes:
            yield _network_line(stage)
        if stage.passes and stage.usage.shares:
            yield _usage_line(stage)
    yield f"cost so far: {status.worker_hours:.2f} worker hours in finished blocks"
    if status.client is not None:
        yield client_line(status.client)
        link = "" if status.client.running is False else dashboard_of(status.run)
        if link:
            yield f"dashboard: {link}"
    if status.failure:
        yield f"the last attempt ended with: {status.failure}"


def _network_line(stage: "StageStatus") -> str:
    skipped = f" and {stage.passes_skipped:,} skipped" if stage.passes_skipped else ""
    amplification = stage.usage.read_amplification
    fetched = "" if amplification is None else f", {amplification:.2f} fetched"
    return (
        f"{stage.stage}: {stage.passes_done:,}{skipped} of {stage.passes:,} passes of the network, "
        f"{stage.read_per_written:.2f} voxels read{fetched} for each that is written"
    )


def _usage_line(stage: "StageStatus") -> str:
    """Say where the time of the workers went."""
    usage = stage.usage
    busy = f"network busy {100 * (usage.network_share or 0.0):.0f} % of the workers' time"
    beside = _parts(usage.beside)
    return (
        f"{stage.stage}: {busy}; {_parts(usage.shares)}"
        f"{'; at the same time ' if beside else ''}{beside}"
    )


def _parts(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {100 * s:.0f} %" for kind, s in shares.items() if kind != "network")


def client_line(client: "ClientStatus") -> str:
    """Say who works on a run, or did last."""
    who = f"{client.user} on {client.host} (process {client.pid})"
    if client.running is False:
        return f"nobody works on it; the last was {who}, from {_when(client.since)}"
    ago = max(0.0, time.time() - client.beat)
    doing = f", {client.in_flight} blocks of {client.stage} in flight" if client.stage else ""
    sure = "works on it" if client.running else "may work on it"
    return (
        f"{who} {sure} since {_when(client.since)}{doing} on {client.workers} workers; last sign "
        f"of life {clock(ago)} ago by this machine's clock"
    )


def verify_table(found: Sequence["Verified"]) -> Table:
    """Lay out what was read back of every stage."""
    table = _table("stage", "total", "done", "sound", "unchecked", "wrong", "")
    for stage in found:
        wrong = len(stage.findings)
        table.add_row(
            stage.stage,
            f"{stage.total:,}",
            f"{stage.done:,}",
            f"{stage.sound:,}",
            f"{stage.unknown:,}",
            f"{wrong:,}",
            _verdict(stage),
        )
    return table


def finding_lines(found: Sequence["Verified"]) -> Iterator[str]:
    """Name what is wrong, the first of each stage."""
    for stage in found:
        for finding in stage.findings[:_MOST_LINES]:
            yield str(finding)
        more = len(stage.findings) - _MOST_LINES
        if more > 0:
            yield f"{stage.stage}: and {more:,} more; --json names them all"


def log_lines(logs: Iterable["BlockLog"]) -> Iterator[str]:
    """Write what is known of blocks."""
    for log in logs:
        where = f"{log.stage} block {log.number}" + (f" {log.box}" if log.box else "")
        if not log.error:
            check = f", check sum {log.content}" if log.content else ""
            yield f"{where}: finished {_when(log.time)} in {_seconds(log.seconds)}{check}"
            continue
        on = f", last on {log.worker}" if log.worker else ""
        yield f"{where}: set aside {_when(log.time)} after {log.attempts} attempts{on}"
        yield from (f"    {line}" for line in log.error.splitlines())
        yield from (f"    {line}" for line in log.traceback.rstrip().splitlines())


def _pace(stage: "StageStatus", client: "ClientStatus | None") -> str:
    if stage.done == stage.total:
        return "finished"
    share = f"{100 * stage.done / max(1, stage.total):.1f} %"
    if client is None or client.running is False or stage.seconds_left is None:
        return share
    rate = speed(stage.voxels_per_second)
    return f"{share}, {rate}, {clock(stage.seconds_left)} left"


def _verdict(stage: "Verified") -> str:
    if stage.findings:
        return "damaged"
    return "sound" if stage.done == stage.total else "sound so far"


def _slow(stage: "StageStatus", seconds: float) -> bool:
    # The first blocks of a process load what it needs; what lasts under a second is noise.
    return stage.done >= _FEW and seconds > max(1.0, _MUCH_SLOWER * stage.median_seconds)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else clock(value)


def _when(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
