r"""HTML from values: everything that is not markup already is escaped, and what cannot be seen is shown.

>>> print(element("a", "<script>\u202e", href="image?name=v1"))
<a href="image?name=v1">&lt;script&gt;\u202e</a>
>>> print(element("td", element("code", "RUN"), " x", hidden=True, title=None))
<td hidden><code>RUN</code> x</td>
"""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import urlencode

from dockersim.printable import printable_lines

_VOID: Final = frozenset({"input", "link", "meta"})


class Markup(str):
    """Text that is HTML; only ``element`` and ``join`` make it."""


Content = str | Markup | None


def element(tag: str, *content: Content, **attributes: str | bool | None) -> Markup:
    """Write an element; of attribute names a closing underscore goes and others become dashes (``aria_label``)."""
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{join(*content)}</{tag}>")


def join(*content: Content) -> Markup:
    """Put content together; what is no markup is escaped."""
    return Markup("".join(one if isinstance(one, Markup) else escape(printable_lines(one or "")) for one in content))


def address(page: str, **query: str) -> str:
    """Write the address of one of our pages. Relative, as we do not know below which prefix a proxy shows us."""
    return f"{page}?{urlencode(query)}" if query else page


def link(text: Content, to: str, *, current: bool = False, class_: str | None = None) -> Markup:
    """Write a link."""
    return element("a", text, href=to, class_=class_, aria_current="page" if current else None)


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(printable_lines(str(value)))}"'
