"""HTML from values: everything that is not markup already is escaped.

>>> print(element("a", "<script>", href="image?name=v1"))
<a href="image?name=v1">&lt;script&gt;</a>
>>> print(element("td", element("code", "RUN"), " x", hidden=True, title=None))
<td hidden><code>RUN</code> x</td>
"""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import urlencode

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
    return Markup("".join(one if isinstance(one, Markup) else escape(visible(one or "")) for one in content))


def address(page: str, **query: str) -> str:
    """Write the address of one of our pages. Relative, as we do not know below which prefix a proxy shows us."""
    return f"{page}?{urlencode(query)}" if query else page


def link(text: Content, to: str, *, current: bool = False, class_: str | None = None) -> Markup:
    """Write a link."""
    return element("a", text, href=to, class_=class_, aria_current="page" if current else None)


def visible(text: str) -> str:
    """Show characters that cannot be seen, or turn the text around, as their numbers.

    >>> visible("safe\\u202etxt.exe\\x1b[31m")
    'safe\\\\u202etxt.exe\\\\u001b[31m'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else f"\\u{ord(one):04x}" for one in text)


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(visible(str(value)))}"'
