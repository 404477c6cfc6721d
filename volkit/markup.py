"""Markup: text is escaped where it comes in, markup is made here alone."""

import html
from collections.abc import Iterable

_EMPTY = ("img", "br", "meta", "input", "line", "rect", "polyline", "circle")
_STYLE = (
    "display:inline-grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0;"
    "vertical-align:top"
)


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


def facts(rows: Iterable[tuple[str, str]], *, style: str | None = None) -> Html:
    """Write names and what they stand for; what stands for nothing is left out.

    Examples
    --------
    >>> facts([("shape", "2 x 3"), ("note", "")])
    '<dl><dt>shape</dt><dd>2 x 3</dd></dl>'
    """
    pairs = [together(element("dt", name), element("dd", value)) for name, value in rows if value]
    return element("dl", pairs, style=style) if pairs else Html("")


def shown(title: str, rows: Iterable[tuple[str, str]], picture: Html | None = None) -> str:
    """Write how an object shows itself in a notebook.

    Parameters
    ----------
    title : str
        What it is.
    rows : iterable of (str, str)
        What is known of it; empty values are left out.
    picture : Html, optional
        Of it.

    Returns
    -------
    str
        HTML that brings its own style and needs no other file.

    Examples
    --------
    >>> shown("Grid", [("blocks", "<8>")])[:65]
    '<div class="volkit-shown"><strong>Grid</strong><div style="displa'
    """
    beside = element("div", picture or "", facts(rows, style=_STYLE),
                     style="display:flex;gap:1rem;flex-wrap:wrap")  # fmt: skip
    return str(element("div", element("strong", title), beside, class_="volkit-shown"))
