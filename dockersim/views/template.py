"""``--format``: the part of Go's text/template that docker's users write.

``{{.Name}}`` with dots into what is nested, ``{{json .Name}}``, ``{{upper .Name}}``, ``{{lower .Name}}``,
``{{len .Name}}``, ``{{join .Names ", "}}``, ``{{(index .Names 0).Id}}``, pipes, ``{{range}}``, ``{{if}}``,
``{{with}}``, ``{{else}}``, and ``\\t`` and ``\\n`` in the text between.

>>> render("{{.Repository}}:{{.Tag}} {{json .Layers}}", {"Repository": "app", "Tag": "latest", "Layers": ["a"]})
'app:latest ["a"]'
>>> render("{{range $at, $one := .Layers}}{{$at}}={{$one}} {{end}}{{.Layers | len}}", {"Layers": ["a", "b"]})
'0=a 1=b 2'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from dockersim.errors import DockersimError
from dockersim.views.pipeline import NotUnderstood, Scope, as_json, evaluate
from dockersim.views.tables import table

# Deviation: of Go's templates --format has not variables of one's own, comments, `else if`, and, or, print, printf,
# slice, lt, gt, and docker's title, pad and truncate; and to name what is not there is an error, not `<no value>`.
_ACTION: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

_TRIMMING: Final = re.compile(r"\s*(\{\{)-(?=\s)|(?<=\s)-(\}\})\s*")
"""Markers that trim the text beside an action. Without a space a minus is a number's."""

_VARIABLES: Final = re.compile(r"\$(\w+)\s*(?:,\s*\$(\w+)\s*)?:=\s*(.*)", re.DOTALL)


class _Block(Struct, frozen=True):
    """``{{range}}``, ``{{if}}`` or ``{{with}}``: the ``body`` up to its ``{{end}}``, and what follows ``{{else}}``."""

    kind: str
    pipeline: str
    body: tuple[_Node, ...]
    otherwise: tuple[_Node, ...]


class _Action(Struct, frozen=True):
    """A pipeline whose value is shown."""

    pipeline: str


_Node = str | _Action | _Block


def render(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a template in. Raises DockersimError in docker's words for what it does not understand."""
    text = template.replace("\\t", "\t").replace("\\n", "\n")
    try:
        nodes, _ = _parse(iter(_ACTION.split(_TRIMMING.sub(r"\1\2", text))), "")
        return "".join(_run(nodes, {".": fields, "$": fields}))
    except RecursionError as error:
        raise DockersimError("template parsing error: too many blocks or parentheses in one another") from error
    except NotUnderstood as error:
        raise DockersimError(
            f"template parsing error: {template}: {error}", hint="fields are written {{.Name}}"
        ) from error


def render_rows(template: str, rows: Iterable[Mapping[str, Any]], header: Mapping[str, str]) -> str:
    """Lay rows out as ``--format`` asks: ``json``, ``table TEMPLATE`` with a header, or a line of TEMPLATE each.

    ``header`` gives the column's title for each field that may be asked for.
    """
    rows = [dict(sorted(row.items())) for row in rows]  # as Go writes the keys of a map
    if template == "json":
        return "\n".join(map(as_json, rows))
    word, _, rest = template.partition(" ")
    if word != "table" or not rest:
        return "\n".join(render(template, row) for row in rows)
    cells = [render(rest, row).split("\t") for row in rows]
    titles = _ACTION.sub(lambda action: _title(action[1].strip(" -"), header), rest.replace("\\t", "\t"))
    return "\n".join(line.rstrip() for line in table(titles.split("\t"), cells).split("\n"))


def _title(action: str, header: Mapping[str, str]) -> str:
    return header.get(action.rpartition(".")[2], action)


def _parse(pieces: Iterator[str], inside: str) -> tuple[tuple[_Node, ...], str]:
    """Read up to the end of the block that we are ``inside`` of; say whether {{end}} or {{else}} ended it."""
    nodes: list[_Node] = []
    while True:
        text = next(pieces)
        if "{{" in text:
            raise NotUnderstood("unclosed action")
        nodes.append(text)
        action = next(pieces, None)
        if action is None:
            if inside:
                raise NotUnderstood(f"unexpected end: {{{{{inside}}}}} has no {{{{end}}}}")
            return tuple(nodes), ""
        action = action.strip()
        word = action.split(maxsplit=1)[0] if action else ""
        rest = action.removeprefix(word).strip()
        if word in ("range", "if", "with"):
            body, ended_by = _parse(pieces, word)
            otherwise = _parse(pieces, word)[0] if ended_by == "else" else ()
            nodes.append(_Block(word, rest, body, otherwise))
        elif word in ("end", "else"):
            if not inside or rest:
                raise NotUnderstood(f"unexpected {{{{{action}}}}}")
            return tuple(nodes), word
        else:
            nodes.append(_Action(action))


def _run(nodes: Iterable[_Node], scope: Scope) -> Iterator[str]:
    for node in nodes:
        match node:
            case str():
                yield node
            case _Action(pipeline):
                yield _shown(evaluate(pipeline, scope))
            case _Block("range", pipeline):
                yield from _repeat(node, pipeline, scope)
            case _Block(kind, pipeline):
                value = evaluate(pipeline, scope)
                within = {**scope, ".": value} if kind == "with" else scope
                yield from _run(node.body, within) if value else _run(node.otherwise, scope)


def _repeat(block: _Block, pipeline: str, scope: Scope) -> Iterator[str]:
    named = _VARIABLES.fullmatch(pipeline)
    first, second, pipeline = named.groups() if named else (None, None, pipeline)
    values = evaluate(pipeline, scope)
    if not isinstance(values, Mapping | list | tuple | None):
        raise NotUnderstood(f"range can't iterate over {_shown(values)}")
    pairs = sorted(values.items()) if isinstance(values, Mapping) else list(enumerate(values or ()))
    for key, value in pairs:
        variables = {f"${first}": key, f"${second}": value} if second else {f"${first}": value} if first else {}
        yield from _run(block.body, {**scope, **variables, ".": value})
    if not pairs:
        yield from _run(block.otherwise, scope)


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
