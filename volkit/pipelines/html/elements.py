"""Elements of a page: text is escaped where it comes in, markup is made here alone."""

import base64
import html
from collections.abc import Iterable
from pathlib import Path

_EMPTY = ("img", "br", "meta", "input", "line", "rect", "polyline", "circle")


class Html(str):
    """Markup: text of which nothing is to be escaped any more."""

    __slots__ = ()


def element(tag: str, *children: str | Iterable[str], **attributes: object) -> Html:
    """Write an element.

    Parameters
    ----------
    tag : str
        Its name.
    *children : str, or iterables of them
        What is in it; escaped unless it is Html.
    **attributes
        ``class_`` is ``class``, ``aria_label`` is ``aria-label``; None and False leave one out.

    Examples
    --------
    >>> element("p", "1 < 2 ", element("b", "yes"), class_="note")
    '<p class="note">1 &lt; 2 <b>yes</b></p>'
    """
    told = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        told.append(f" {key}" if value is True else f' {key}="{html.escape(str(value))}"')
    head = f"<{tag}{''.join(told)}"
    if tag in _EMPTY:
        return Html(f"{head}/>" if tag not in ("img", "br", "meta", "input") else f"{head}>")
    return Html(f"{head}>{together(*children)}</{tag}>")


def together(*children: str | Iterable[str]) -> Html:
    """Write several things one after the other; text among them is escaped."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(str(child))
        elif isinstance(child, str):
            parts.append(html.escape(child))
        else:
            parts.append(together(*child))
    return Html("".join(parts))


def section(title: str, *children: str | Iterable[str]) -> Html:
    """Write a part of a page with a heading; Html of nothing where there is nothing in it."""
    inner = together(*children)
    if not inner:
        return Html("")
    key = "".join(c if c.isalnum() else "-" for c in title.lower()).strip("-")
    heading = element("h2", title, id=f"{key}-title")
    return element("section", heading, inner, aria_labelledby=f"{key}-title", id=key)


def picture(path: Path, *, alt: str) -> Html:
    """Embed a PNG.

    Parameters
    ----------
    path : Path
        The file.
    alt : str
        What it shows, for whoever cannot see it.
    """
    data = base64.b64encode(path.read_bytes()).decode()
    return element("img", alt=alt, src=f"data:image/png;base64,{data}", loading="lazy")


def facts(rows: Iterable[tuple[str, str]]) -> Html:
    """Write names and what they stand for."""
    pairs = [together(element("dt", name), element("dd", value)) for name, value in rows if value]
    return element("dl", pairs) if pairs else Html("")
