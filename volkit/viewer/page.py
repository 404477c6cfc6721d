"""The page around a viewer: what to know of the data, and a slider for the threshold."""

import html
import json
from collections.abc import Sequence

from volkit.viewer.threshold import Cut

_STYLE = """
html, body { margin: 0; height: 100%; background: #101014; color: #ececf1;
  font: 15px/1.4 system-ui, sans-serif; }
body { display: flex; flex-direction: column; }
header { padding: .35rem .8rem; display: flex; gap: 1.2rem; align-items: center; flex-wrap: wrap; }
header h1 { font-size: 1rem; margin: 0; font-weight: 600; }
header ul { margin: 0; padding: 0 0 0 1.1rem; color: #ffd23f; }
label { display: flex; gap: .6rem; align-items: center; }
input[type=range] { width: min(18rem, 40vw); }
output { font-variant-numeric: tabular-nums; min-width: 3.2em; }
iframe { flex: 1; border: 0; width: 100%; }
#trouble { padding: 2rem; font-size: 1.1rem; }
:focus-visible { outline: 2px solid #3fd2ff; }
"""
_STEPS = 200  # of the slider, the last of which is all that the run knows
# Without WebGL 2 the client stays black and says nothing.
_SCRIPT = """
const canvas = document.createElement("canvas");
const frame = document.getElementById("viewer");
if (canvas.getContext("webgl2")) { frame.src = frame.dataset.src; }
else { frame.remove(); document.getElementById("trouble").hidden = false; }
const slider = document.getElementById("threshold");
if (slider) {
  const shown = document.getElementById("shown");
  slider.addEventListener("input", () => { shown.value = Number(slider.value).toFixed(3); });
  slider.addEventListener("change", async () => {
    const answer = await fetch("threshold", {method: "POST", body: JSON.stringify(
      Number(slider.value))});
    shown.value = Number(slider.value).toFixed(3) + (answer.ok ? "" : " refused");
    document.body.dataset.threshold = slider.value;
  });
}
"""


def view_page(title: str, source: str, messages: Sequence[str], cut: Cut | None) -> bytes:
    """Write the page.

    Parameters
    ----------
    title : str
        What is shown.
    source : str
        Path of the viewer, on the same server.
    messages : sequence of str
        What is not there, or not whole.
    cut : Cut or None
        None has no slider.

    Returns
    -------
    bytes
        HTML.
    """
    notes = "".join(f"<li>{html.escape(message)}</li>" for message in messages)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<header><h1>{html.escape(title)}</h1>{_slider(cut)}",
        f"{f'<ul>{notes}</ul>' if notes else ''}</header>",
        '<p id="trouble" role="alert" hidden>This browser has no WebGL 2, which the viewer draws '
        "with. Switch hardware acceleration on, or use another browser.</p>",
        f'<iframe id="viewer" title="{html.escape(title, quote=True)}" '
        f"data-src={json.dumps(source)}></iframe>",
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts).encode()


def _slider(cut: Cut | None) -> str:
    if cut is None:
        return ""
    step = cut.most / _STEPS or 1.0
    return (
        f'<label title="{html.escape(cut.meaning, quote=True)}">threshold of labels '
        f'<input id="threshold" type="range" min="0" max="{cut.most!r}" step="{step!r}" '
        f'value="{cut.threshold:g}" aria-label="threshold of labels: '
        f'{html.escape(cut.meaning, quote=True)}">'
        f'<output id="shown">{cut.threshold:.3f}</output></label>'
    )
