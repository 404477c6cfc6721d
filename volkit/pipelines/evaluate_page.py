"""The page of an evaluation: scores, curves and worst objects, in one file of HTML."""

import json
from pathlib import Path

from volkit.markup import element, facts, together
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import section
from volkit.pipelines.html.looking import look_at
from volkit.pipelines.run_page_results import pictures, read_told, score_rows, tables
from volkit.pipelines.worst_objects import worst_objects

PAGE = "report.html"


def write_evaluation_page(folder: Path) -> Path:
    """Write ``report.html`` beside the scores of an evaluation.

    Parameters
    ----------
    folder : Path
        With ``scores.json``, tables and the figure.

    Returns
    -------
    Path
        The page.
    """
    scores = read_told(folder / "scores.json")
    made = scores.get("made", {})
    told = made.get("parameters", {}) if isinstance(made, dict) else {}
    warnings = [element("li", str(text)) for text in scores.get("warnings", [])]
    rows = [(name, str(told.get(name) or "")) for name in ("pred", "truth", "image", "convention")]
    seen = element("p", "To look at it: ", look_at(str(folder)))
    values = {name: value for name, value in scores.items() if name != "made"}
    text = document(
        f"Evaluation {folder.absolute().name}",
        section("Warnings", element("ul", warnings) if warnings else ""),
        section("Scores", score_rows(values)),
        section("Pictures", list(pictures(folder))),
        section("Worst objects", list(worst_objects(folder, str(folder)))),
        section("Tables", list(tables(folder))),
        section("Made from", element("pre", json.dumps(made, indent=1, default=str))),
        lead=together(facts(rows), seen),
    )
    path = folder / PAGE
    path.write_text(text, encoding="utf-8")
    return path
