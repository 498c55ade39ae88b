"""The table of steps, diffs, reasons and configs as text, of builds that the real solver took."""

from __future__ import annotations

import pytest

from dockersim.filesystem import Change, Entry, Kind, What
from dockersim.views import cache_lines, config_lines, diff_lines, mode_words, step_rows, step_table, steps_html

from .example import APP, RUNS, Command, Workshop


def test_the_table_has_a_row_for_every_step() -> None:
    shop = Workshop()
    shop.build().finish()
    shop.context["app.py"] += b"# more\n"
    build = shop.build()
    build.finish()
    rows = step_rows(step.event for step in build.steps)
    assert [(row.line, row.result) for row in rows] == [
        ("2", "DONE"),
        ("5", "CACHED"),
        ("8", "CACHED"),
        ("11", "DONE"),
        ("14", "DONE"),
        ("17", "DONE"),
    ]
    assert rows[0].size == "120MB"
    assert (rows[1].seconds, rows[4].seconds) == ("", "1.40")
    assert rows[3].why.startswith("app.py changed (sha256 ")
    table = step_table(step.event for step in build.steps)
    assert (
        table.split("\n")[0]
        == "LINE      INSTRUCTION                                    RESULT    SIZE      SECONDS   WHY"
    )
    assert all(len(line) < 175 and line == line.rstrip() for line in table.split("\n"))


def test_steps_that_were_never_reached_are_in_the_table() -> None:
    shop = Workshop({**RUNS, "*pip3 install*": Command(exit_code=1)})
    build = shop.build()
    build.go_to(5)
    plan = build.prepare()
    rows = step_rows((step.event for step in build.steps), plan.steps[len(build.steps) :])
    assert [row.result for row in rows][4:] == ["ERROR", "NOT RUN"]
    assert "exit code: 1" in rows[4].why


def test_html_escapes_what_a_dockerfile_says() -> None:
    build = Workshop({"*": Command()}).build("FROM ubuntu\nRUN echo '<b>'\n")
    build.finish()
    html = steps_html(step.event for step in build.steps)
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


FILE = Entry("a", Kind.FILE, 0o644, size=1, mtime_ns=5)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, FILE, "A /a  -rw-r--r-- 0:0 1B"),
        (FILE, None, "D /a"),
        (FILE, Entry("a", Kind.FILE, 0o755, size=1, mtime_ns=5), "M /a  mode 0644 -> 0755"),
        (FILE, Entry("a", Kind.FILE, 0o644, 7, 8, 1, 5), "M /a  owner 0:0 -> 7:8"),
        (FILE, Entry("a", Kind.FILE, 0o644, size=2000, mtime_ns=5), "M /a  size 1B -> 2kB"),
        (FILE, Entry("a", Kind.FILE, 0o644, size=1, mtime_ns=9), "M /a  only its time"),
        (FILE, Entry("a", Kind.SYMLINK, 0o777, link="b"), None),
    ],
    ids=["added", "deleted", "mode", "owner", "size", "time", "type"],
)
def test_a_change_is_one_line(before: Entry | None, after: Entry | None, words: str | None) -> None:
    what = What.MODIFIED if before and after else What.ADDED if after else What.DELETED
    (line,) = diff_lines([Change("a", what, before, after)])
    if words is None:
        assert "type file -> symlink" in line
        assert "link (none) -> b" in line
    else:
        assert line == words


@pytest.mark.parametrize(
    ("kind", "mode", "words"),
    [
        (Kind.FILE, 0o644, "-rw-r--r--"),
        (Kind.DIRECTORY, 0o1777, "drwxrwxrwt"),
        (Kind.FILE, 0o4755, "-rwsr-xr-x"),
        (Kind.FILE, 0o2644, "-rw-r-Sr--"),
        (Kind.SYMLINK, 0o777, "lrwxrwxrwx"),
        (Kind.CHARACTER, 0o666, "crw-rw-rw-"),
    ],
)
def test_modes_read_as_ls_writes_them(kind: Kind, mode: int, words: str) -> None:
    assert mode_words(Entry("x", kind, mode)) == words


def test_a_cache_decision_is_explained_with_its_fields() -> None:
    shop = Workshop()
    shop.build().finish()
    shop.context["app.py"] = APP["app.py"] + b"#\n"
    build = shop.build()
    lines = list(cache_lines(build.go_to(4).cache))
    assert lines[0].startswith("MISS: app.py changed")
    assert any(line.startswith("    app.py changed (sha256 ") for line in lines)
    assert any("requirements.txt file " in line for line in lines)
    assert list(cache_lines(build.go_to(6).cache)) == [
        "NOTHING TO LOOK UP: it only changes the image's config; nothing is run and no layer is made"
    ]


def test_what_changed_in_a_config() -> None:
    text = 'FROM ubuntu\nENV A=1 B=2\nENV A=3\nLABEL who=me\nEXPOSE 80\nENTRYPOINT ["ls"]\nUSER nobody\n'
    build = Workshop().build(text)
    build.finish()
    changes = [list(config_lines(step.config_before, step.config)) for step in build.steps]
    assert changes[1:] == [
        ["+ Env A=1", "+ Env B=2"],
        ["- Env A=1", "+ Env A=3"],
        ["+ Labels who=me"],
        ["+ ExposedPorts 80/tcp"],
        ['- Cmd ["/bin/bash"]', '+ Entrypoint ["ls"]'],
        ["+ User nobody"],
    ]
