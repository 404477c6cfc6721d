"""Charts of a page: drawings that stay sharp in print, each with words for whoever cannot see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.markup import Html, element, together

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 12, 40
_ROW = 24  # of a timeline
_NAMES = 170  # wide
_LETTERS = 26  # that fit there
_TICKS = 5
_MOST_POINTS = 600  # of a line: more than it has dots
_DASHES = ("", "6 3", "2 3", "8 3 2 3")  # so that lines can be told apart without their colours
_WORDS = ("", " (dashed)", " (dotted)", " (dashed and dotted)")


@dataclass(frozen=True, slots=True)
class Span:
    """A row of a timeline.

    Parameters
    ----------
    name : str
        Of the row.
    begin, end : float
        Seconds.
    note : str
        What is said of it.
    """

    name: str
    begin: float
    end: float
    note: str = ""


def line_chart(
    x: NDArray[np.float64],
    lines: Mapping[str, NDArray[np.float64]],
    *,
    title: str,
    across: str,
    up: str,
) -> Html:
    """Draw lines over a common axis.

    Parameters
    ----------
    x : ndarray of float64, shape (N,)
        Ascending or not.
    lines : mapping of str to ndarray
        By name.
    title : str
        What is to be seen.
    across, up : str
        What the axes count.
    """
    sound = [values[np.isfinite(values)] for values in lines.values()]
    every = np.concatenate([*sound, np.zeros(1)])
    if len(x) < 2 or not any(len(values) for values in sound):
        return Html("")
    low, high = float(every.min()), float(every.max()) or 1.0
    first, last = float(np.nanmin(x)), float(np.nanmax(x))
    plot = _Plot(first, last if last > first else first + 1, low, high)
    drawn = [_axes(plot, across, up)]
    for number, (_, values) in enumerate(lines.items()):
        points = plot.points(x, values)
        drawn.append(
            element(
                "polyline", points=points, class_=f"line line{number % 4}",
                stroke_dasharray=_DASHES[number % 4] or None,
            )
        )  # fmt: skip
    said = "; ".join(_said(name, values) for name, values in lines.items())
    legend = [
        element("li", f"{name}{_WORDS[n % 4]}", class_=f"key{n % 4}")
        for n, name in enumerate(lines)
    ]
    drawing = _svg(_WIDTH, _HEIGHT, f"{title}. {said}", drawn)
    named = element("ul", legend, class_="legend") if len(lines) > 1 else Html("")
    return element("figure", element("figcaption", title), drawing, named)


def bars(values: Mapping[str, tuple[float, str]], *, title: str, mark: float, marked: str) -> Html:
    """Draw a bar for each value, and a line across all of them.

    Parameters
    ----------
    values : mapping of str to (float, str)
        By name: 0 or more, and what is said of it.
    title : str
        What is to be seen.
    mark : float
        Where the line is.
    marked : str
        What it means.
    """
    sound = {name: pair for name, pair in values.items() if np.isfinite(pair[0])}
    if not sound:
        return Html("")
    most = max(mark, *(min(value, 3 * mark) for value, _ in sound.values()))
    wide = _WIDTH - 2 * _NAMES
    drawn = []
    for number, (name, (value, said)) in enumerate(sound.items()):
        y = _TOP + number * _ROW
        size = max(1.0, wide * min(value, most) / most)
        drawn += [
            element("text", name[:_LETTERS], x=_NAMES - 8, y=y + 15, text_anchor="end"),
            element("rect", x=_NAMES, y=y + 3, width=f"{size:.1f}", height=_ROW - 8, rx=2,
                    class_="bar"),
            element("text", said, x=f"{_NAMES + size + 6:.1f}", y=y + 15, class_="tick"),
        ]  # fmt: skip
    y = _TOP + len(sound) * _ROW
    at = f"{_NAMES + wide * mark / most:.1f}"
    drawn += [
        element("line", x1=at, x2=at, y1=_TOP, y2=y, class_="mark"),
        element("text", marked, x=at, y=y + 14, text_anchor="middle", class_="tick"),
    ]
    words = "; ".join(f"{name}: {said}" for name, (_, said) in sound.items())
    drawing = _svg(_WIDTH, y + 24, f"{title}. {words}", drawn)
    return element("figure", element("figcaption", title), drawing)


def timeline(spans: Sequence[Span], *, title: str) -> Html:
    """Draw when things began and ended.

    Parameters
    ----------
    spans : sequence of Span
        From the first row down.
    title : str
        What is to be seen.
    """
    if not spans:
        return Html("")
    begin, end = min(s.begin for s in spans), max(s.end for s in spans)
    length = max(end - begin, 1e-9)
    wide = _WIDTH - _NAMES - _RIGHT
    drawn = []
    for number, span in enumerate(spans):
        y = _TOP + number * _ROW
        at = _NAMES + wide * (span.begin - begin) / length
        size = max(2.0, wide * (span.end - span.begin) / length)
        drawn += [
            element("text", span.name, x=_NAMES - 8, y=y + 15, text_anchor="end"),
            element("rect", x=f"{at:.1f}", y=y + 3, width=f"{size:.1f}", height=_ROW - 8, rx=2,
                    class_="bar"),
        ]  # fmt: skip
    y = _TOP + len(spans) * _ROW
    for n in range(_TICKS):
        share = n / (_TICKS - 1)
        anchor = "end" if n == _TICKS - 1 else "middle" if n else "start"
        drawn.append(
            element("text", duration(length * share), x=f"{_NAMES + wide * share:.1f}", y=y + 18,
                    text_anchor=anchor, class_="tick")
        )  # fmt: skip
    words = "; ".join(f"{s.name}: {duration(s.end - s.begin)}{s.note and f', {s.note}'}"
                      for s in spans)  # fmt: skip
    drawing = _svg(_WIDTH, y + _BOTTOM - 12, f"{title}. {words}", drawn)
    return element("figure", element("figcaption", title), drawing)


def duration(seconds: float) -> str:
    """Write a time as a person reads it.

    Examples
    --------
    >>> duration(0.25), duration(75), duration(7300), duration(200_000)
    ('0.2 s', '1:15 min', '2:01 h', '2.3 days')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    if minutes < 48 * 60:
        return f"{minutes // 60}:{minutes % 60:02} h"
    return f"{seconds / 86400:.1f} days"


@dataclass(frozen=True, slots=True)
class _Plot:
    first: float
    last: float
    low: float
    high: float

    def points(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
        step = max(1, len(x) // _MOST_POINTS)
        sound = np.isfinite(x) & np.isfinite(y)
        places = zip(x[sound][::step], y[sound][::step], strict=True)
        return " ".join(f"{self.across(a):.1f},{self.up(b):.1f}" for a, b in places)

    def across(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - self.first) / (self.last - self.first)

    def up(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _axes(plot: _Plot, across: str, up: str) -> Html:
    drawn = []
    for n in range(_TICKS):
        share = n / (_TICKS - 1)
        value = plot.low + (plot.high - plot.low) * share
        y = plot.up(value)
        drawn += [
            element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}",
                    class_="grid"),
            element("text", f"{value:.3g}", x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end",
                    class_="tick"),
        ]  # fmt: skip
        at = plot.first + (plot.last - plot.first) * share
        drawn.append(
            element("text", f"{at:.4g}", x=f"{plot.across(at):.1f}", y=_HEIGHT - _BOTTOM + 16,
                    text_anchor="end" if n == _TICKS - 1 else "middle", class_="tick")
        )  # fmt: skip
    bottom = element("text", across, x=(_LEFT + _WIDTH) / 2, y=_HEIGHT - 6, text_anchor="middle")
    side = element(
        "text", up, x=0, y=0, text_anchor="middle",
        transform=f"translate(12 {(_HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)",
    )  # fmt: skip
    return together(drawn, bottom, side)


def _svg(width: int, height: int, label: str, drawn: Sequence[Html]) -> Html:
    return element("svg", drawn, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)


def _said(name: str, values: NDArray[np.float64]) -> str:
    sound = values[np.isfinite(values)]
    if not len(sound):
        return f"{name}: nothing"
    return f"{name}: {sound.min():.3g} to {sound.max():.3g}, mean {sound.mean():.3g}"
