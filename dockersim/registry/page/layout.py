"""The frame of every page: head, navigation, and the headers that keep other pages out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from starlette.responses import HTMLResponse

from dockersim.registry.page.markup import Content, Markup, address, element, join, link
from dockersim.registry.plans import Holder

HEADERS: Final[Mapping[str, str]] = {
    # Nothing is loaded from elsewhere, no script runs but our own file, no page elsewhere shows us in a frame.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with that a browser sends forms with "Origin: null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

MOST_ROWS: Final = 300
"""Rows of a table: whoever pushes may push thousands, and nobody reads them."""

HOME: Final = "./"
"""The first page, from all the others."""

_PLACES: Final = (("Repositories", HOME), ("Requests", f"{HOME}#requests"), ("Garbage collection", "garbage"))


def page(title: str, *content: Content, here: str = "", status: int = 200) -> HTMLResponse:
    """Write a page; ``here`` is the place in the navigation that it is."""
    places = (element("li", link(name, to, current=to == here)) for name, to in _PLACES)
    body = join(
        link("Skip to the content", "#main", class_="skip"),
        element("header",
                element("p", link("Practice registry", HOME), class_="brand"),
                element("nav", element("ul", join(*places)), aria_label="Places")),
        element("main", element("h1", title), *content, id="main", tabindex="-1"),
        element("footer", element("p", "Served by the practice registry of dockersim. Nothing is loaded from "
                                       "elsewhere.")),
    )  # fmt: skip
    head = join(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · practice registry" if here != HOME else title),
        element("link", rel="stylesheet", href="page.css"),
        element("link", rel="icon", href="data:,"),
        element("script", type="module", src="page.js"),
    )
    document = element("html", element("head", head), element("body", body), lang="en")
    return HTMLResponse(f"<!doctype html>\n{document}\n", status, HEADERS)


def section(title: str, *content: Content, id_: str | None = None, class_: str | None = None) -> Markup:
    """Write a part of a page under a heading of its own."""
    return element("section", element("h2", title), *content, id=id_, class_=class_)


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[Content]], *, seen: bool = False) -> Markup:
    """Write a table of the first MOST_ROWS rows; what is too wide scrolls by itself, also by keyboard.

    The caption is for who hears the page; it is ``seen`` too where no heading says the same.
    """
    head = element("tr", join(*(element("th", name, scope="col") for name in header)))
    shown = [element("tr", join(*(element("td", cell) for cell in row))) for row in islice(rows, MOST_ROWS + 1)]
    more = paragraph(f"Only the first {MOST_ROWS} are shown.") if len(shown) > MOST_ROWS else ""
    body = element("tbody", join(*shown[:MOST_ROWS]))
    title = element("caption", caption, class_=None if seen else "unseen")
    return join(scrolling(caption, element("table", title, element("thead", head), body)), more)


def scrolling(label: str, content: Markup) -> Markup:
    """Let wide content scroll by itself; it takes the focus, so that the arrow keys reach all of it."""
    return element("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def facts(*pairs: tuple[str, Content]) -> Markup:
    """Write names and values."""
    return element("dl", join(*(element("div", element("dt", name), element("dd", value)) for name, value in pairs)))


def paragraph(*content: Content, class_: str | None = None) -> Markup:
    """Write a paragraph."""
    return element("p", *content, class_=class_)


def code(text: str) -> Markup:
    """Write something that is typed or named exactly."""
    return element("code", text)


def short(digest: str) -> Markup:
    """Write a digest by its first twelve digits; the whole of it is its title."""
    return element("code", digest.partition(":")[2][:12], title=digest)


def holder_link(holder: Holder) -> Markup:
    """Write who names a blob, as a link."""
    name = holder.tags[0] if holder.tags else holder.digest
    return link(str(holder), address("image", repository=holder.repository, name=name))


def counted(number: int, word: str) -> str:
    """Write a number with its word: "1 layer", "3 layers"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
