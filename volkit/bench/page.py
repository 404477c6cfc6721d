"""The page of a bench: what was measured, against which target, and on which machine."""

from dataclasses import asdict

from volkit.bench.harness import Report
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import element, facts, section
from volkit.pipelines.html.tables import printed, table


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
        section("Measured", measured),
        section("Targets that do not hold", element("ul", [element("li", name) for name in missed]))
        if missed
        else "",
        section("Machine", facts(machine)),
        lead=lead,
    )
