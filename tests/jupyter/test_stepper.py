"""The stepper widget without a kernel: what it sends and what it answers, over a channel in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from comm.base_comm import BaseComm

from dockersim import replay
from dockersim.engine.build import Build
from dockersim.jupyter import Stepper
from dockersim.jupyter.wire import CONTENT_LIMIT

from ..views.example import APP, RUNS, Command, Workshop, document_of


class Channel(BaseComm):
    """The browser's end of a widget: keeps what the widget sends, and sends what a browser would."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        super().__init__()

    def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
        """Keep a message, as JSON, which it must survive."""
        self.sent.append(json.loads(json.dumps(data or {})))

    def say(self, **content: Any) -> None:
        """Send a custom message to the widget."""
        self.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def news(self) -> list[dict[str, Any]]:
        """List the custom messages that came."""
        return [message["content"] for message in self.sent if message.get("method") == "custom"]

    def ask(self, **question: Any) -> dict[str, Any]:
        """Ask a question and return its answer."""
        self.say(id="q1", **question)
        return next(message for message in reversed(self.news()) if message.get("answer") == "q1")


def shown(build: Build) -> tuple[Stepper, Channel]:
    widget = Stepper(build)
    widget.comm = channel = Channel()
    return widget, channel


def until(what: Callable[[], object]) -> None:
    for _ in range(500):
        if what():
            return
        time.sleep(0.01)
    pytest.fail("waited five seconds in vain")


def test_commands_drive_the_build_and_the_traits_follow() -> None:
    widget, channel = shown(Workshop().build())
    assert (widget.position, widget.trace["steps"]) == (0, [])
    for command, position in (("prepare", 0), ("next", 1), ("next", 2), ("back", 1), ("finish", 6)):
        channel.say(do=command)
        assert widget.wait(5)
        assert (widget.position, widget.running, widget.notice) == (position, 0, "")
    channel.say(do="run_to", line=8)
    assert widget.wait(5)
    assert widget.position == 3
    assert [step["state"] for step in widget.trace["steps"]] == ["done"] * 6
    assert widget.trace["image"]["id"].startswith("sha256:")


def test_findings_are_shown_once_the_dockerfile_has_been_read() -> None:
    widget, channel = shown(Workshop().build("FROM ubuntu:latest\nCMD echo hi\n"))
    assert widget.trace["findings"] == []
    channel.say(do="prepare")
    assert widget.wait(5)
    (finding,) = widget.trace["findings"]
    assert (finding["rule"], finding["line"]) == ("JSONArgsRecommended", 2)


def test_checks_that_stop_the_build_are_told_before_the_first_step() -> None:
    widget, channel = shown(Workshop().build("# check=error=true\nFROM ubuntu:latest\nCMD echo hi\n"))
    channel.say(do="next")
    assert widget.wait(5)
    assert widget.position == 0
    assert widget.notice.startswith("lint violation found for rules: JSONArgsRecommended; ")
    assert len(widget.trace["findings"]) == 1


def test_the_trait_leaves_out_what_is_heavy() -> None:
    build = Workshop().build()
    build.finish()
    widget, _ = shown(build)
    step = widget.trace["steps"][1]
    assert {"diff", "output", "config_after"}.isdisjoint(step)
    assert sorted(step["cache"]) == ["because", "verdict"]


def test_questions_are_answered_step_by_step_and_directory_by_directory() -> None:
    build = Workshop().build()
    build.go_to(2)
    _, channel = shown(build)
    fields = channel.ask(ask="step", step=2)["fields"]
    assert ["deleted", "etc/apt/sources.list"] in [row[:2] for row in fields["diff"]]
    assert fields["output"][-1]["text"] == "Setting up python3 ...\n"
    assert [name for name, _ in channel.ask(ask="list", step=2, path="")["entries"]] == ["bin", "etc", "usr"]
    assert [name for name, _ in channel.ask(ask="list", step=1, path="etc")["entries"]] == ["apt", "motd"]
    answer = channel.ask(ask="file", step=2, path="etc/motd")
    assert (answer["before"]["text"], answer["after"]["text"]) == ("Welcome\n", "Welcome\nto Python\n")


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"\x7fELF\0", "This is not text."),
        (b"\xff\xfe", "This is not text."),
        (b"x" * (CONTENT_LIMIT + 1), "only files"),
    ],
    ids=["zero bytes", "not UTF-8", "too large"],
)
def test_what_cannot_be_shown_is_said_to_be_so(data: bytes, note: str) -> None:
    build = Workshop({"*": Command({"big": data})}).build("FROM ubuntu:latest\nRUN make\n")
    build.finish()
    _, channel = shown(build)
    answer = channel.ask(ask="file", step=2, path="big")
    assert answer["before"] is None
    assert note in answer["after"]["note"]


@pytest.mark.parametrize("question", [{"ask": "step", "step": 9}, {"ask": "tea"}, {"ask": "list", "step": None}])
def test_a_question_without_an_answer_is_a_problem_in_words(question: dict[str, Any]) -> None:
    build = Workshop().build()
    build.go_to(1)
    _, channel = shown(build)
    assert channel.ask(**{"step": 1, **question})["problem"]


def test_output_streams_in_and_is_gathered() -> None:
    lines = tuple(f"line {n}\n" for n in range(1000))
    build = Workshop({"*": Command(output=lines)}).build("FROM ubuntu:latest\nRUN make\n")
    widget, channel = shown(build)
    channel.say(do="finish")
    assert widget.wait(5)
    messages = [message for message in channel.news() if "output" in message]
    assert "".join(message["output"] for message in messages) == "".join(lines)
    assert {message["step"] for message in messages} == {2}
    assert len(messages) < 100


def test_stop_ends_the_command_and_the_step_can_be_taken_again() -> None:
    go_on = threading.Event()
    build = Workshop({"*": Command(output=("begun\n",), wait_for=go_on)}).build("FROM ubuntu:latest\nRUN sleep 1000\n")
    widget, channel = shown(build)
    channel.say(do="finish")
    until(lambda: widget.running == 2 and any("output" in message for message in channel.news()))
    channel.say(do="next")  # a second command while one is carried out is not taken
    channel.say(do="stop")
    assert widget.wait(5)
    assert (widget.position, widget.running) == (1, 0)
    assert widget.notice.startswith("Stopped.")
    go_on.set()
    channel.say(do="next")
    assert widget.wait(5)
    assert (widget.position, widget.notice, widget.trace["ok"]) == (2, "", True)


def test_a_failing_step_is_shown_and_asking_for_more_says_why_not() -> None:
    shop = Workshop({**RUNS, "*pip3 install*": Command(output=("refused\n",), exit_code=1)})
    widget, channel = shown(shop.build())
    channel.say(do="finish")
    assert widget.wait(5)
    assert widget.position == 5
    assert widget.trace["steps"][4]["state"] == "error"
    assert "exit code: 1" in widget.trace["error"]["message"]


def test_a_mistake_in_the_dockerfile_is_told_in_one_line() -> None:
    widget, channel = shown(Workshop().build("FROM ubuntu:latest\nCOPY --from=nowhere:8:8 a b\n"))
    channel.say(do="prepare")
    assert widget.wait(5)
    assert widget.notice.startswith("Dockerfile:2: ")
    assert "\n" not in widget.notice


def test_steps_taken_in_a_cell_are_shown_too() -> None:
    build = Workshop().build()
    widget, _ = shown(build)
    build.next()
    build.next()
    assert (widget.position, widget.running) == (2, 0)
    assert widget.trace["steps"][1]["state"] == "done"
    build.back()
    widget.refresh()
    assert widget.position == 1


def test_a_replayed_build_can_be_stepped_and_says_that_it_has_no_contents() -> None:
    build = Workshop().build()
    build.finish()
    document = document_of(build)
    again = replay(json.dumps(document))
    widget, channel = shown(again)
    channel.say(do="finish")
    assert widget.wait(5)
    assert [step["state"] for step in widget.trace["steps"]] == ["done"] * 6
    assert channel.ask(ask="step", step=4)["fields"]["diff"]
    assert "not part of the trace" in channel.ask(ask="file", step=4, path="app/app.py")["problem"]


def test_a_large_step_is_sent_only_when_it_is_asked_for() -> None:
    many = {f"usr/lib/m{n}.py": b"#\n" for n in range(13_000)}
    build = Workshop({"*": Command(many)}, APP).build("FROM ubuntu:latest\nRUN apt-get install all\n")
    widget, channel = shown(build)
    channel.say(do="finish")
    assert widget.wait(20)
    assert len(json.dumps(channel.sent)) < 50_000
    started = time.perf_counter()
    fields = channel.ask(ask="step", step=2)["fields"]
    print(f"\n13,000 changed files: answered in {time.perf_counter() - started:.2f} s")
    assert len(fields["diff"]) > 13_000
