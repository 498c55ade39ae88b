"""The stepper's front end in a real browser, on the exported page: keys, tabs, files, and a very large step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dockersim.dockerfile import Finding
from dockersim.jupyter import page_of

from ..views.example import APP, RUNS, Command, Workshop

Open = Callable[[Any], Any]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a build as a page; anything the browser complains about, or asks the network for, fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1180, "height": 680})
    context.set_default_timeout(10_000)

    def open_build(build: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(page_of(build), encoding="utf-8")
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if request.url == file.as_uri() else complaints.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector(".ds-line")
        return page

    yield open_build
    context.close()
    assert complaints == []


def edited_build() -> Any:
    """A second build, after app.py was edited: hits, a miss with a reason, and a config step."""
    shop = Workshop()
    shop.build().finish()
    shop.context["app.py"] = APP["app.py"].replace(b'"Hello"', b'"Hello, world"')
    build = shop.build()
    build.finish()
    return build


def status(page: Any) -> str:
    return str(page.locator("[role=status]").inner_text())


def badges(page: Any) -> list[str]:
    return [text.split("\n")[-1] for text in page.locator(".ds-line .ds-badge").all_inner_texts()]


def test_keys_step_forward_to_the_end_and_back_to_the_start(open_page: Open) -> None:
    page = open_page(edited_build())
    assert status(page) == "6 steps. Press n or → to take the first one."
    assert badges(page) == ["·not run"] * 6
    for number in range(1, 7):
        page.keyboard.press("n" if number % 2 else "ArrowRight")
        assert status(page).startswith(f"Step {number} of 6: ")
    assert badges(page) == ["■BASE", "●HIT", "●HIT", "◆MISS", "◆MISS", "○config"]
    assert "Built " in status(page)
    page.keyboard.press("n")
    assert status(page).startswith("Step 6 of 6: ")
    for number in range(5, 0, -1):
        page.keyboard.press("b" if number % 2 else "ArrowLeft")
        assert status(page).startswith(f"Step {number} of 6: ")
    page.keyboard.press("b")
    assert status(page).startswith("Step 1 of 6: ")
    assert page.locator(".ds-line[aria-current=step] .ds-text").inner_text() == "FROM ubuntu:latest"


def test_a_modified_file_shows_what_changed_in_it(open_page: Open) -> None:
    page = open_page(edited_build())
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.click("li[data-path='usr/share/doc/notes.txt'] > .ds-row")
    page.wait_for_selector(".ds-detail .ds-lines")
    assert page.locator(".ds-detail .ds-minus").all_inner_texts() == ["- three"]
    assert page.locator(".ds-detail .ds-plus").all_inner_texts() == ["+ 3", "+ eight"]
    facts = page.locator(".ds-detail .ds-table").inner_text()
    assert "34 B\t36 B" in facts


def test_every_change_is_marked_with_a_letter(open_page: Open) -> None:
    page = open_page(edited_build())
    page.keyboard.press("n")
    page.keyboard.press("n")
    marks = {path: page.locator(f"li[data-path='{path}'] > .ds-row > .ds-mark").inner_text()
             for path in ("etc/apt/sources.list", "etc/motd", "usr/bin/python3", "etc")}  # fmt: skip
    assert marks == {"etc/apt/sources.list": "D", "etc/motd": "M", "usr/bin/python3": "A", "etc": "·"}
    assert " ".join(page.locator(".ds-summary").inner_text().split()) == "A 7 added M 2 modified D 1 deleted"


def test_the_cache_tab_gives_the_reason_and_the_fields(open_page: Open) -> None:
    page = open_page(edited_build())
    page.locator(".ds-line", has_text="COPY . /app").click()
    page.keyboard.press("r")
    page.locator("[role=tab]", has_text="Files").focus()
    page.keyboard.press("ArrowRight")
    pane = page.locator("[role=tabpanel]:visible")
    pane.locator(".ds-because").wait_for()
    assert pane.locator(".ds-because").inner_text().startswith("app.py changed (sha256 ")
    assert "input app.py" in pane.inner_text()
    assert "requirements.txt" in pane.inner_text()


def test_tabs_follow_the_arrow_keys_and_say_which_is_chosen(open_page: Open) -> None:
    page = open_page(edited_build())
    page.keyboard.press("f")
    page.locator("[role=tab][aria-selected=true]").focus()
    names = []
    for _ in range(6):
        names.append(page.locator("[role=tab][aria-selected=true]").inner_text())
        page.keyboard.press("ArrowRight")
    assert names == ["Files", "Cache", "Size", "Config", "Output", "Files"]
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.textContent") == "Output"


def test_config_and_sizes_are_told_in_words_and_numbers(open_page: Open) -> None:
    page = open_page(edited_build())
    page.keyboard.press("f")
    page.click("[data-tab=config]")
    assert page.locator(".ds-minus:visible").all_inner_texts() == ['- Cmd ["/bin/bash"]']
    assert page.locator(".ds-plus:visible").all_inner_texts() == ['+ Entrypoint ["python3","app.py"]']
    page.click("[data-tab=size]")
    page.locator(".ds-sizes").wait_for()
    assert "120 MB" in page.locator(".ds-sizes").inner_text()


def test_the_whole_file_system_is_laid_out_from_the_trace(open_page: Open) -> None:
    page = open_page(edited_build())
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.click("text=Whole file system")
    page.locator("li[data-path=etc] > .ds-row").click()
    page.locator("li[data-path='etc/motd']").wait_for()
    names = page.locator("li[data-path=etc] > ul > li").evaluate_all("items => items.map(item => item.dataset.path)")
    assert names == ["etc/apt", "etc/motd"]


def test_a_failing_step_says_so_and_ends_the_build(open_page: Open) -> None:
    shop = Workshop({**RUNS, "*pip3 install*": Command(output=("error: externally-managed\n",), exit_code=1)})
    build = shop.build()
    build.go_to(5)
    page = open_page(build)
    page.keyboard.press("f")
    assert status(page).startswith('Step 5 of 6 failed: process "/bin/sh -c pip3 install')
    assert badges(page)[4:] == ["✕FAILED", "·not run"]
    page.click("[data-tab=output]")
    assert "error: externally-managed" in page.locator("[role=tabpanel]:visible").inner_text()


WARNED = """\
ARG TOKEN
FROM ubuntu:latest
WORKDIR app
CMD echo \\
  hi
"""


def test_what_the_checks_found_stands_below_its_line_in_words(open_page: Open) -> None:
    build = Workshop().build(WARNED)
    build.finish()
    page = open_page(build)
    assert status(page).endswith("The build checks found 2 warnings.")
    assert page.locator(".ds-line:has(.ds-finding) .ds-text").all_inner_texts() == ["WORKDIR app", "CMD echo \\"]
    option = page.get_by_role("option", name="warning WorkdirRelativePath: Relative workdir")
    assert option.locator(".ds-finding").inner_text().startswith("▲warning WorkdirRelativePath: ")
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert page.locator(".ds-line[aria-current=step] .ds-finding").count() == 1
    assert page.locator(".ds-finding").count() == 2


def test_the_pages_of_the_checks_can_be_reached_by_keyboard(open_page: Open) -> None:
    build = Workshop().build(WARNED)
    build.finish()
    page = open_page(build)
    checks = page.get_by_role("region", name="Build checks")
    link = checks.get_by_role("link", name="About JSONArgsRecommended")
    assert link.get_attribute("href") == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    checks.get_by_role("button", name="line 4").focus()
    page.keyboard.press("Enter")
    assert page.locator(".ds-line[aria-selected=true] .ds-text").all_inner_texts() == ["CMD echo \\", "  hi"]
    assert status(page).startswith("3 steps.")


def test_an_address_in_a_trace_is_only_followed_to_a_page(open_page: Open) -> None:
    build = Workshop().build(WARNED)
    build.finish()
    build.findings = (Finding("Evil", "<img src=x onerror=alert(1)>", 3, "javascript:alert(1)", "", 0),)
    page = open_page(build)
    assert page.locator(".ds-checks li").inner_text() == "line 3 Evil: <img src=x onerror=alert(1)>"
    assert page.locator(".ds-checks a, .ds-checks img, .ds-finding img").count() == 0


def test_a_line_with_a_warning_and_no_step_can_be_chosen(open_page: Open) -> None:
    build = Workshop().build("ARG A=${B}\nARG C\nFROM ubuntu:latest\n")
    build.finish()
    build.findings = (Finding("Some", "thing", 2, "", "", 0),)
    page = open_page(build)
    page.keyboard.press("ArrowDown")
    assert page.locator(".ds-line[aria-selected=true] .ds-text").inner_text() == "ARG C"


def test_a_build_without_warnings_shows_no_checks(open_page: Open) -> None:
    page = open_page(edited_build())
    assert page.locator(".ds-finding").count() == 0
    assert not page.locator(".ds-checks").is_visible()


def test_content_that_the_page_does_not_carry_is_said_to_be_missing(open_page: Open) -> None:
    page = open_page(edited_build())
    page.keyboard.press("n")
    page.click("li[data-path='bin/sh'] > .ds-row")
    page.locator(".ds-content", has_text="not in this page").wait_for()


def test_a_hostile_dockerfile_and_file_name_stay_text(open_page: Open) -> None:
    nasty = "</script><img src=x onerror=alert(1)>"
    shop = Workshop({"*": Command({f"tmp/{nasty}".replace("/script", "script"): b"<b>bold</b>"}, output=(nasty,))})
    build = shop.build(f"FROM ubuntu:latest\n# {nasty}\nRUN echo '{nasty}'\n")
    build.finish()
    page = open_page(build)
    page.keyboard.press("f")
    page.locator(".ds-tree li").first.wait_for()
    assert page.locator("img").count() == 0
    assert nasty in page.locator(".ds-code").inner_text()


def test_of_13_000_changed_files_only_what_is_looked_at_is_drawn(open_page: Open) -> None:
    many = {f"usr/lib/packages/module{n:05d}.py": b"# %d\n" % n for n in range(12_000)}
    many |= {f"usr/share/doc/p{n // 10}/file{n % 10}.txt": b"text\n" for n in range(1_000)}
    shop = Workshop({"*": Command(many, output=("ok\n",))})
    build = shop.build("FROM ubuntu:latest\nRUN apt-get install everything\nENV DONE=1\n")
    build.finish()
    page = open_page(build)
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.locator(".ds-summary .ds-added", has_text="13,").wait_for()
    assert page.locator(".ds-tree li").count() < 300
    inside = page.locator("li[data-path^='usr/lib/packages/']")
    for folder in ("usr", "usr/lib", "usr/lib/packages"):
        row = page.locator(f"li[data-path='{folder}']")
        if row.get_attribute("aria-expanded") == "false":
            row.locator("> .ds-row").click()
    inside.first.wait_for()
    assert inside.count() == 200
    page.locator(".ds-more").first.click()
    inside.nth(399).wait_for()
    assert inside.count() == 400
