"""Live pages: the page of a run that keeps itself up to date while it is open.

Its script asks the server for the status of the run, as ``volkit status --json`` prints it.  Where
something has changed it fetches the page again and puts the sections that differ in their places:
what a reader has opened, turned or scrolled to stays.  Without scripts the browser loads the page
again by itself.
"""

from volkit.engine.dashboards import dashboard_of
from volkit.engine.stages import find_stages
from volkit.errors import VolkitError
from volkit.io.place import Place
from volkit.io.redaction import without_secrets
from volkit.markup import Html, element
from volkit.pipelines.html.document import Live, document
from volkit.pipelines.html.elements import section
from volkit.pipelines.run_page import run_page

STATUS = "status.json"
"""Where the server has the status, beside the page."""

_SECONDS = 2.0
_SCRIPT = """
const every = Number(document.body.dataset.every) * 1000;
const word = document.getElementById("live");
let known = null, ended = false, turn = 0;
const ask = async path => {
  const answer = await fetch(path, {cache: "no-store"});
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
};
const look = async () => {
  const status = await (await ask("status.json")).json();
  for (const stage of status.stages) {
    const bar = document.querySelector(`progress[data-stage="${CSS.escape(stage.stage)}"]`);
    if (bar) { bar.max = stage.total; bar.value = stage.done; }
  }
  const client = status.client;
  const now = JSON.stringify([status.failure, status.failed_stage, client && client.running,
    status.stages.map(s => [s.stage, s.done, s.set_aside])]);
  if (now !== known) { await renew(); known = now; }
  ended = client !== null && client.running === false;
  const said = new Date().toLocaleTimeString();
  word.textContent = ended ? `nobody works on it; looked at ${said}` : `up to date at ${said}`;
  document.body.dataset.looked = String(++turn);
};
const renew = async () => {
  const fresh = new DOMParser().parseFromString(await (await ask("page")).text(), "text/html");
  const main = document.querySelector("main"), seen = new Set();
  for (const name of ["#lead", "nav"]) {
    const part = fresh.querySelector(`main > ${name}`);
    const old = main.querySelector(`:scope > ${name}`);
    if (part && old) { if (old.innerHTML !== part.innerHTML) old.replaceWith(part); }
    else if (part) word.after(part);
    else if (old) old.remove();
  }
  let before = [...main.children].filter(child => child.tagName !== "SECTION").pop();
  for (const part of fresh.querySelectorAll("main > section")) {
    seen.add(part.id);
    part.dataset.made = digest(part.innerHTML);
    const old = document.getElementById(part.id);
    if (!old) before.after(part);
    else if (old.dataset.made !== part.dataset.made) {
      const open = [...old.querySelectorAll("details")].map(one => one.open);
      [...part.querySelectorAll("details")].forEach((one, n) => { one.open = open[n] || false; });
      old.replaceWith(part);
    }
    before = document.getElementById(part.id);
  }
  for (const old of main.querySelectorAll(":scope > section"))
    if (!seen.has(old.id)) old.remove();
  turnPages();
};
const digest = text => {
  let sum = 0;
  for (let n = 0; n < text.length; n++) sum = (Math.imul(sum, 31) + text.charCodeAt(n)) | 0;
  return `${text.length}:${sum}`;
};
const again = async () => {
  const begun = performance.now();
  try { await look(); delete document.body.dataset.trouble; }
  catch (error) {
    document.body.dataset.trouble = "yes";
    word.textContent = `not up to date: ${error.message}`;
  }
  // Of a run of very many blocks a page takes seconds: most of the time is left to the run.
  const rest = 4 * (performance.now() - begun);
  setTimeout(again, Math.max(rest, ended ? 5 * every : every));
};
again();
"""


def live_page(place: Place, *, seconds: float = _SECONDS, viewer: bool = False) -> str:
    """Make the page of a run that asks for its status again and again.

    Parameters
    ----------
    place : Place
        Folder of the run; there may be nothing in it yet.
    seconds : float
        Between two looks.
    viewer : bool
        Whether the server opens the viewer for links of the page.

    Returns
    -------
    str
        HTML.
    """
    link = dashboard_of(place)
    to_it = element("a", "Dask dashboard", href=link, rel="noreferrer")
    beside = element("p", to_it, " of its cluster") if link else Html("")
    live = Live(_SCRIPT, seconds)
    try:
        return run_page(place, beside=beside, live=live, viewer=viewer)
    except VolkitError as error:
        title = "Cannot be read" if begun(place) else "Not begun"
        said = section(title, element("p", without_secrets(str(error))))
        return document(f"Run {place.name}", said, live=live)


def begun(place: Place) -> bool:
    """Tell whether a run has a stage, or what should be one and cannot be read."""
    try:
        return bool(find_stages(place))
    except VolkitError:
        return True
