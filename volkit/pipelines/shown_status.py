"""Shown status: what a notebook says of how far a run is."""

from volkit.engine.dashboards import dashboard_of
from volkit.io.redaction import without_secrets
from volkit.markup import Html, element, shown
from volkit.pipelines.html.charts import duration
from volkit.pipelines.status import RunStatus


def shown_status(status: RunStatus) -> str:
    """Write how far a run is as HTML.

    Parameters
    ----------
    status : RunStatus
        From :func:`volkit.pipelines.status.read_status`.

    Returns
    -------
    str
    """
    client = status.client
    working = client is not None and client.running is not False
    who = f"{client.user} on {client.host}, {client.workers} workers" if client and working else ""
    rows = [
        ("run", without_secrets(status.run)),
        ("state", status.state),
        ("works on it", who),
        ("cost", f"{status.worker_hours:.3g} worker hours in finished blocks"),
        ("failure", status.failure.partition("\n")[0]),
    ]
    stages = element("table", [_row(status, number) for number in range(len(status.stages))])
    link = dashboard_of(status.run) if working else ""
    dashboard = element("a", "Dask dashboard", href=link) if link else Html("")
    return shown("Run", rows, element("div", stages, dashboard))


def _row(status: RunStatus, number: int) -> Html:
    stage = status.stages[number]
    left = "" if not stage.seconds_left else f"{duration(stage.seconds_left)} left"
    bar = element("progress", f"{stage.done} of {stage.total}", max=max(1, stage.total),
                  value=stage.done, aria_label=f"{stage.stage} done")  # fmt: skip
    failed = f"{stage.set_aside:,} failed" if stage.set_aside else ""
    cells = (stage.stage, bar, f"{stage.done:,} of {stage.total:,}", failed, left)
    return element("tr", [element("td", cell) for cell in cells])
