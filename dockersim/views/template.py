"""``--format``: the part of Go's text/template that docker's users write.

``{{.Name}}`` with dots into what is nested, ``{{json .Name}}``, ``{{upper .Name}}``, ``{{lower .Name}}``,
``{{len .Name}}``, ``{{join .Names ", "}}``, ``{{index .Names 0}}``, and ``\\t`` and ``\\n`` in the text between.

>>> render("{{.Repository}}:{{.Tag}} {{json .Layers}}", {"Repository": "app", "Tag": "latest", "Layers": ["a"]})
'app:latest ["a"]'
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from dockersim.errors import DockersimError
from dockersim.printable import printable_json
from dockersim.views.tables import table

_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)

_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "json": lambda value: printable_json(json.dumps(value, ensure_ascii=False, separators=(",", ":"))),
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "len": len,
    "join": lambda values, joint: joint.join(values),
    "index": lambda values, at: values[int(at)] if isinstance(values, Sequence) else values.get(at, ""),
    "println": lambda value: f"{value}\n",
}


def render(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a template in. Raises DockersimError in docker's words for what it does not understand."""
    text = template.replace("\\t", "\t").replace("\\n", "\n")
    return _ACTION.sub(lambda action: _shown(_evaluate(action[1], fields, template)), text)


def render_rows(template: str, rows: Iterable[Mapping[str, Any]], header: Mapping[str, str]) -> str:
    """Lay rows out as ``--format`` asks: ``json``, ``table TEMPLATE`` with a header, or a line of TEMPLATE each.

    ``header`` gives the column's title for each field that may be asked for.
    """
    rows = [dict(sorted(row.items())) for row in rows]  # as Go writes the keys of a map
    if template == "json":
        return "\n".join(map(_FUNCTIONS["json"], rows))
    word, _, rest = template.partition(" ")
    if word != "table" or not rest:
        return "\n".join(render(template, row) for row in rows)
    cells = [render(rest, row).split("\t") for row in rows]
    titles = _ACTION.sub(lambda action: header.get(action[1].rpartition(".")[2], action[1]), rest.replace("\\t", "\t"))
    return "\n".join(line.rstrip() for line in table(titles.split("\t"), cells).split("\n"))


def _evaluate(action: str, fields: Mapping[str, Any], template: str) -> Any:
    try:
        words = shlex.split(action, posix=False)
    except ValueError as error:
        raise _unreadable(template, str(error)) from error
    if not words:
        raise _unreadable(template, "missing value for command")
    function = _FUNCTIONS.get(words[0])
    if function is None and len(words) > 1:
        raise _unreadable(template, f'function "{words[0]}" not defined')
    values = [_value(word, fields, template) for word in (words[1:] if function else words)]
    if function is None:
        return values[0]
    try:
        return function(*values)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise _unreadable(template, f"{words[0]}: {error}") from error


def _value(word: str, fields: Mapping[str, Any], template: str) -> Any:
    if word[:1] in "\"'":
        return word[1:-1]
    if not word.startswith("."):
        if word.lstrip("-").isdigit():
            return word
        raise _unreadable(template, f'function "{word}" not defined')
    found: Any = fields
    for name in filter(None, word.split(".")):
        if not isinstance(found, Mapping) or name not in found:
            raise _unreadable(template, f"can't evaluate field {name}")
        found = found[name]
    return found


def _shown(value: Any) -> str:
    """Write a value as Go prints it: lists in brackets, maps as ``map[...]``, nothing as ``<nil>``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{_shown(one)}' for key, one in sorted(value.items()))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_shown, value))}]"
    return str(value)


def _unreadable(template: str, why: str) -> DockersimError:
    return DockersimError(f"template parsing error: {template}: {why}", hint="fields are written {{.Name}}")
