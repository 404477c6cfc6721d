"""Times on the page of a run: when stages ran, how fast, and how many blocks at the same time."""

from volkit.markup import Html, together
from volkit.pipelines.html.charts import Span, line_chart, timeline
from volkit.pipelines.run_history import StageHistory, history
from volkit.wording import counted

_MOST_STAGES = 24  # rows of the timeline: the longest


def times(histories: list[StageHistory]) -> Html:
    """Draw stages over time, throughput and utilisation.

    Parameters
    ----------
    histories : list of StageHistory
        Of the stages in which something is finished.

    Returns
    -------
    Html
    """
    longest = sorted(histories, key=lambda h: h.begin - h.end)[:_MOST_STAGES]
    spans = [
        Span(h.stage, h.begin, h.end, counted(len(h.finished), "block"))
        for h in sorted(longest, key=lambda h: h.begin)
    ]
    found = history(histories)
    charts = [timeline(spans, title="Stages over time")]
    if found is not None:
        unit, length = _unit(float(found.seconds[-1]))
        about = {"across": f"{unit} since the beginning"}
        since = found.seconds / length
        speeds = {"blocks per second": found.blocks_per_second}
        charts += [
            line_chart(since, speeds, title="Throughput", up="blocks per second", **about),
            line_chart(
                since,
                {"Mvoxel per second": found.voxels_per_second / 1e6},
                title="Voxels decided",
                up="Mvoxel per second",
                **about,
            ),
            line_chart(
                since,
                {"blocks at work": found.busy},
                title="Utilisation: blocks that were worked on at the same time",
                up="blocks",
                **about,
            ),
        ]
    return together(charts)


def _unit(seconds: float) -> tuple[str, float]:
    """Choose what to count a time in."""
    return (
        ("hours", 3600.0)
        if seconds > 7200
        else ("minutes", 60.0)
        if seconds > 120
        else ("seconds", 1.0)
    )
