"""A trace as one HTML page that needs nothing else: no network, no kernel, no server.

The page carries the trace document and the stepper's front end, the very code that the widget runs, and plays the
build forwards and backwards. Its content security policy forbids it to load or send anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, Final

_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)

_LAYOUT: Final = """\
:root { color-scheme: light dark; }
body { margin: 0; padding: 24px 16px; background: light-dark(#eef0f3, #101215); color: light-dark(#1f2328, #dfe2e7);
  font: 14px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; }
h1 { font-size: 17px; font-weight: 600; margin: 0 0 12px; }
footer { margin-top: 10px; font-size: 12.5px; color: light-dark(#5f6773, #9aa2ae); }
kbd { font: 11.5px/1 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; padding: 1px 5px;
  border: 1px solid light-dark(#c9cdd3, #3d424a); border-radius: 4px; }
"""

_KEYS: Final = (
    "<kbd>n</kbd> next, <kbd>b</kbd> back, <kbd>↑</kbd><kbd>↓</kbd> choose a line, <kbd>r</kbd> run to it, "
    "<kbd>f</kbd> finish. Made by dockersim; nothing is loaded from the network."
)


def trace_page(
    document: Mapping[str, Any], *, script: str, style: str, contents: Mapping[str, str] | None = None, title: str = ""
) -> str:
    """Write the page of a trace document.

    ``script`` and ``style`` are the stepper's front end. ``contents`` gives the text of files by their sha256 in hex,
    as far as the page is to carry it; of other files the page says that it does not have them.
    """
    heading = title or f"{document['dockerfile']['name']}, one step at a time"
    data = {key: value for key, value in document.items() if key != "recording"}
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(heading)}</title>",
            f"<style>{_LAYOUT}{style}</style></head>",
            f'<body><main><h1>{escape(heading)}</h1><div id="stepper"></div><footer>{_KEYS}</footer></main>',
            f'<script type="application/json" id="trace">{_data(data)}</script>',
            f'<script type="application/json" id="contents">{_data(contents or {})}</script>',
            f'<script type="module">{script}\n{_START}</script>',
            "</body></html>",
            "",
        ]
    )


_START: Final = """
const read = (id) => JSON.parse(document.getElementById(id).textContent);
render({ model: replay(read("trace"), read("contents")), el: document.getElementById("stepper") });
"""


def _data(value: Any) -> str:
    """Write JSON that cannot end the script element it stands in, whatever a Dockerfile or a file name contains."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
