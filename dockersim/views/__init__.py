"""What a build looks like: events and traces as text and HTML.

Here are the plain progress lines (BuildKit's ``--progress=plain``: util/progress/progressui), docker's tables
(docker/cli's formatter), docker's way of writing sizes and times (docker/go-units), the table of steps with its
diffs and reasons, the drawing of stages and layers, and a page that plays a build without a kernel.

The law of this package: values in, text out. It prints nothing, asks no clock, and looks nothing up.

>>> from dockersim.views import human_size, human_time, table
>>> human_size(1_230), human_time(300)
('1.23kB', '5 minutes ago')
>>> print(table(("NAME", "SIZE"), [("app.py", human_size(512))]))
NAME      SIZE
app.py    512B
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockersim.views.graph import graphviz_source, plain_drawing
    from dockersim.views.page import trace_page
    from dockersim.views.progress import PlainProgress, failure
    from dockersim.views.steps import (
        StepRow,
        cache_lines,
        config_lines,
        diff_lines,
        ls_line,
        mode_words,
        step_rows,
        step_table,
        steps_html,
    )
    from dockersim.views.tables import (
        ContainerRow,
        HistoryRow,
        ImageRow,
        containers_table,
        ellipsis,
        history_table,
        images_table,
        table,
    )
    from dockersim.views.units import human_duration, human_size, human_time, seconds_words

__all__ = [
    "ContainerRow",
    "HistoryRow",
    "ImageRow",
    "PlainProgress",
    "StepRow",
    "cache_lines",
    "config_lines",
    "containers_table",
    "diff_lines",
    "ellipsis",
    "failure",
    "graphviz_source",
    "history_table",
    "human_duration",
    "human_size",
    "human_time",
    "images_table",
    "ls_line",
    "mode_words",
    "plain_drawing",
    "seconds_words",
    "step_rows",
    "step_table",
    "steps_html",
    "table",
    "trace_page",
]

_HOMES = {
    "ContainerRow": "tables",
    "HistoryRow": "tables",
    "ImageRow": "tables",
    "PlainProgress": "progress",
    "StepRow": "steps",
    "cache_lines": "steps",
    "config_lines": "steps",
    "containers_table": "tables",
    "diff_lines": "steps",
    "ellipsis": "tables",
    "failure": "progress",
    "graphviz_source": "graph",
    "history_table": "tables",
    "human_duration": "units",
    "human_size": "units",
    "human_time": "units",
    "images_table": "tables",
    "ls_line": "steps",
    "mode_words": "steps",
    "plain_drawing": "graph",
    "seconds_words": "units",
    "step_rows": "steps",
    "step_table": "steps",
    "steps_html": "steps",
    "table": "tables",
    "trace_page": "page",
}


def __getattr__(name: str) -> Any:
    """Import a view when it is first asked for: a cached build shows few of them, and should not wait for the rest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dockersim.views.{_HOMES[name]}"), name)
