"""The page of a bench: what was measured, against which target, and on which machine."""

from dataclasses import asdict

from volkit.bench.harness import Report
from volkit.markup import Html, element, facts
from volkit.pipelines.html.charts import bars
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import section
from volkit.pipelines.html.tables import printed, table

_FAR = 1e9  # beyond every scale


def bench_page(report: Report) -> str:
    """Write a report as one file of HTML.

    Parameters
    ----------
    report : Report
        What was measured.

    Returns
    -------
    str
    """
    missed = [row.name for row in report.rows if row.holds is False]
    aimed = sum(row.holds is not None for row in report.rows)
    words = f"{aimed - len(missed)} of {aimed} targets hold"
    lead = element("p", words, class_="some" if missed else "good", role="status")
    machine = [(name.replace("_", " "), printed(v)) for name, v in asdict(report.machine).items()]
    measured = table(report.header, report.as_table(), caption="Medians over the rounds")
    return document(
        f"Bench {report.bench}{', quick' if report.quick else ''}",
        section("Against the targets", _against_targets(report)),
        section("Measured", measured),
        section("Targets that do not hold", element("ul", [element("li", name) for name in missed]))
        if missed
        else "",
        section("Machine", facts(machine)),
        lead=lead,
    )


def _against_targets(report: Report) -> Html:
    """Draw what was reached of each target: 1 and more holds it."""
    reached = {}
    for row in report.rows:
        if row.value is None or not row.target:
            continue
        pair = (row.value, row.target) if row.better == "higher" else (row.target, row.value)
        share = pair[0] / pair[1] if pair[1] > 0 else _FAR  # nothing at all, where little is wanted
        reached[row.name] = (share, f"{printed(row.value)} {row.unit}, wanted {row.target:g}")
    return bars(reached, title="Reached over wanted", mark=1.0, marked="target")
