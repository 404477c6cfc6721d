"""Documents: a page that needs no other file, readable on a phone, in the dark and on paper."""

from collections.abc import Iterable
from dataclasses import dataclass

from volkit.markup import Html, element, together
from volkit.pipelines.html.tables import PAGING

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b22; --paper: #ffffff; --soft: #55555f;
  --rule: #d5d5de; --band: #f3f3f7; --one: #0b5fae; --two: #a8420a; --three: #1c6b3f;
  --four: #7a3ba0; --good: #1b6b34; --some: #7d5300; --bad: #a81e2b; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf2; --paper: #15151a; --soft: #b4b4c0;
  --rule: #3a3a45; --band: #20202a; --one: #7cb8ff; --two: #ffab7a; --three: #7fdca4;
  --four: #d6a8ff; --good: #7fdca4; --some: #ffd479; --bad: #ff9aa2; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--rule); }
nav ul, ul.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1rem; }
a { color: var(--one); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding: .3rem 0; }
th, td { border-bottom: 1px solid var(--rule); padding: .3rem .8rem .3rem 0; text-align: left;
  vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.turn { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .4rem 0; }
button { font: inherit; padding: .25rem .7rem; color: var(--ink); background: var(--band);
  border: 1px solid var(--soft); border-radius: 4px; }
:focus-visible { outline: 3px solid var(--one); outline-offset: 2px; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; }
img, svg { max-width: 100%; height: auto; display: block; }
svg { width: 44rem; }
svg text { fill: var(--ink); font-size: 12px; }
svg .tick { fill: var(--soft); font-size: 11px; }
svg .grid { stroke: var(--rule); } svg .bar { fill: var(--one); }
svg .mark { stroke: var(--two); stroke-width: 2; stroke-dasharray: 4 3; }
svg .line { fill: none; stroke-width: 2; }
.line0 { stroke: var(--one); } .line1 { stroke: var(--two); } .line2 { stroke: var(--three); }
.line3 { stroke: var(--four); }
.legend li::before { content: "━ "; }
.key0 { color: var(--one); } .key1 { color: var(--two); } .key2 { color: var(--three); }
.key3 { color: var(--four); }
progress { width: 9rem; accent-color: var(--one); vertical-align: middle; }
.good, .same { color: var(--good); } .some, .small { color: var(--some); }
.bad, .large { color: var(--bad); }
pre, code { font-size: .88rem; overflow-wrap: anywhere; } pre { white-space: pre-wrap;
  background: var(--band); padding: .8rem; border-radius: 4px; }
@media (max-width: 40rem) { body { padding: .6rem; font-size: 15px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; } }
@media print { nav, .turn, button { display: none; } body { max-width: none; font-size: 10pt;
  color: #000; background: #fff; } section, figure { break-inside: avoid; } a { color: inherit; } }
"""


@dataclass(frozen=True, slots=True)
class Live:
    """What keeps a page up to date while it is open.

    Parameters
    ----------
    script : str
        That does it.
    seconds : float
        Between two looks; a browser without scripts loads the page again.
    """

    script: str
    seconds: float


def document(
    title: str,
    *parts: str | Iterable[str],
    lead: str = "",
    refresh: int | None = None,
    live: Live | None = None,
) -> str:
    """Write a whole page.

    Parameters
    ----------
    title : str
        Of the page, and its first heading.
    *parts : str, or iterables of them
        Sections, as Html.
    lead : str
        Below the heading, as Html.
    refresh : int, optional
        Seconds after which a browser loads it again, while it changes; None never does.
    live : Live, optional
        What keeps it up to date.

    Returns
    -------
    str
    """
    body = together(*parts)
    again = Html("")
    if refresh is not None:
        again = element("meta", http_equiv="refresh", content=refresh)
    word = Html("")
    if live is not None:
        reload = element("meta", http_equiv="refresh", content=max(2, round(live.seconds)))
        again = element("noscript", reload)
        word = element("p", "looking", id="live", role="status", aria_live="off")
    head = together(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        again,
        Html('<link rel="icon" href="data:,">'),
        element("title", title),
        Html(f"<style>{_STYLE}</style>"),
    )
    script = PAGING if live is not None or "data-rows" in body else ""
    script += "" if live is None else live.script
    said = element("div", lead, id="lead")
    main = element("main", element("h1", title), said, word, _contents(body), body)
    run = Html(f"<script>{script}</script>") if script else ""
    every = None if live is None else live.seconds
    whole = element(
        "html", element("head", head), element("body", main, run, data_every=every), lang="en"
    )
    return f"<!doctype html>\n{whole}\n"


def _contents(body: str) -> Html:
    """List the sections of a page that has many."""
    titles = []
    for piece in body.split('<section aria-labelledby="')[1:]:
        key = piece.split('-title"', 1)[0]
        title = piece.split("</h2>", 1)[0].rpartition(">")[2]
        titles.append(element("li", element("a", Html(title), href=f"#{key}")))
    if len(titles) < 3:
        return Html("")
    return element("nav", element("ul", titles), aria_label="sections")
