"""Frames of a running build, one line of JSON for each event, predictions as tables, and docker's templates."""

from __future__ import annotations

import json

import pytest

from dockersim.digest import DiffID, Digest
from dockersim.errors import DockersimError
from dockersim.registry.events import LayerExists, LayerPreparing, LayerPulled, ManifestFetched, ManifestPut, Progress
from dockersim.solver import CacheMoved, Event, StepFinished, StepStarted
from dockersim.views.event_lines import event_line
from dockersim.views.live import LiveProgress, Tone
from dockersim.views.predictions import plan_summary, plan_table, would_be
from dockersim.views.template import render, render_rows
from dockersim.views.transfers import pull_status, push_status

from .example import PIP_REFUSED, Workshop


def events_of(shop: Workshop, text: str) -> list[Event]:
    build = shop.build(text)
    events: list[Event] = []
    build.listen(events.append)
    try:
        build.finish()
    except DockersimError:
        pass  # a failing build's events are looked at, too
    return events


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


TEXT = "FROM ubuntu\nRUN apt-get install\nCMD ls\n"


def test_a_cache_is_drawn_above_the_step_that_goes_on() -> None:
    progress = LiveProgress(Clock())
    for event in events_of(Workshop(), TEXT):
        progress.feed(event)
        if isinstance(event, StepStarted) and event.step.keyword == "RUN":
            for text in ("1 step, 1 layer", "layer 0123456789ab (7 bytes)"):
                progress.feed(CacheMoved("importing cache", text))
            shown = [line.text.split("  ")[0].strip() for line in progress.frame(60, 20)]
            assert shown[-4:] == [
                "=> importing cache", "=> => 1 step, 1 layer", "=> => layer 0123456789ab (7 bytes)",
                "=> [2/2] RUN apt-get install",
            ]  # fmt: skip
    assert "=> importing cache" in " ".join(line.text for line in progress.frame(60, 20))
    assert json.loads(event_line(CacheMoved("a", "b"))) == {"event": "CacheMoved", "title": "a", "text": "b"}


def test_a_finished_build_is_drawn_whole() -> None:
    clock = Clock()
    progress = LiveProgress(clock, ("docker.io/library/app:latest",))
    for event in events_of(Workshop(), TEXT):
        progress.feed(event)
    clock.now = 2.0
    lines = progress.frame(60, 50)
    assert lines[0].text == "[+] Building 2.0s (4/4) FINISHED"
    assert lines[1].text == " => [internal] load build definition from Dockerfile    0.0s"
    assert {line.tone for line in lines[1:]} == {Tone.DONE}
    assert lines[-1].text == " => => naming to docker.io/library/app:latest"
    assert max(len(line.text) for line in lines) <= 60


def test_a_running_command_shows_its_last_words_and_its_seconds() -> None:
    clock = Clock()
    progress = LiveProgress(clock)
    for event in events_of(Workshop(), TEXT):
        if isinstance(event, StepFinished) and event.step.keyword == "RUN":
            break
        progress.feed(event)
    clock.now = 1.5
    lines = progress.frame(80, 50)
    running = next(at for at, line in enumerate(lines) if line.tone is Tone.RUNNING)
    assert lines[running].text.startswith(" => [2/2] RUN apt-get install") and lines[running].text.endswith(" 1.5s")
    assert lines[running + 1].text.startswith(" => => # Get:1 ")


def test_a_small_terminal_shows_the_end() -> None:
    progress = LiveProgress(Clock())
    for event in events_of(Workshop(), TEXT):
        progress.feed(event)
    lines = progress.frame(40, 3)
    assert len(lines) == 3 and lines[0].text.startswith("[+] Building")


def test_a_failure_is_marked_and_its_last_words_repeated() -> None:
    progress = LiveProgress(Clock())
    for event in events_of(Workshop({"*nosuch*": PIP_REFUSED}), "FROM ubuntu\nRUN nosuchcommand\n"):
        progress.feed(event)
    lines = progress.frame(80, 50)
    failed = [line for line in lines if line.tone is Tone.FAILED]
    assert failed and failed[0].text.startswith(" => ERROR [2/2] RUN nosuchcommand")
    assert list(progress.last_words())[:2] == ["------", " > [2/2] RUN nosuchcommand:"]


def test_every_event_is_a_line_of_json() -> None:
    lines = [event_line(event) for event in events_of(Workshop(), TEXT)]
    assert all("\n" not in line for line in lines)
    documents = [json.loads(line) for line in lines]
    assert documents[0]["event"] == "PlanMade" and documents[-1]["ok"] is True
    assert {"StepStarted", "CacheDecided", "OutputWritten", "StepFinished"} <= {one["event"] for one in documents}


def test_a_prediction_is_a_table_and_a_sentence() -> None:
    finished = [event for event in events_of(Workshop(), TEXT) if isinstance(event, StepFinished)]
    header, *rows = plan_table(finished).splitlines()
    assert header.split() == ["LINE", "INSTRUCTION", "WOULD", "BE", "WHY"]
    assert len(rows) == len(finished) == 3
    assert would_be(finished[0]) == "-"
    assert plan_summary([]) == "Nothing would be run: 0 steps would come from the cache."


ROW = {
    "Name": "app",
    "Tags": ["a", "b"],
    "Config": {"Cmd": None, "Open": True},
    "Size": 12,
    "Ports": {"80/tcp": {"HostPort": "8080"}},
}


@pytest.mark.parametrize(
    "template,shown",
    [
        ("{{.Name}}", "app"),
        ("{{ .Name }}-{{.Size}}", "app-12"),
        (r"{{.Name}}\t{{.Size}}", "app\t12"),
        ("{{json .Tags}}", '["a","b"]'),
        ("{{.Tags}}", "[a b]"),
        ("{{.Config}}", "map[Cmd:<nil> Open:true]"),
        ("{{.Config.Cmd}}", "<nil>"),
        ('{{join .Tags ", "}}', "a, b"),
        ("{{index .Tags 1}}", "b"),
        ("{{upper .Name}} {{len .Tags}}", "APP 2"),
        ("{{.Tags | len}}{{.Name|upper}}", "2APP"),
        ("{{range .Tags}}<{{.}}>{{end}}", "<a><b>"),
        ("{{range $at, $one := .Tags}}{{$at}}{{$one}}{{$.Name}} {{end}}", "0aapp 1bapp "),
        ("{{range $key, $_ := .Config}}{{$key}} {{else}}none{{end}}", "Cmd Open "),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ('{{if .Config.Open}}open{{else}}shut{{end}} {{if eq .Name "web"}}web{{end}}', "open "),
        ("{{with .Config}}{{.Open}}{{end}}", "true"),
        ('{{(index .Ports "80/tcp").HostPort}}', "8080"),
        ('{{range $port, $at := .Ports}}{{$port}}={{(index (index $.Ports $port) "HostPort")}}{{end}}', "80/tcp=8080"),
        ("{{.Name}}  {{- .Size -}}  !", "app12!"),
        ("{{.Size}} {{-5}}", "12 -5"),
        ("{{range\n.Tags}}x{{end}}", "xx"),
        ("no action", "no action"),
    ],
)
def test_templates_fill_in_as_gos_do(template: str, shown: str) -> None:
    assert render(template, ROW) == shown


@pytest.mark.parametrize(
    "template",
    [
        *("{{.Nope}}", "{{nope .Name}}", "{{}}", "{{index .Tags 9}}", "{{.Name.More}}", '{{"x}}', "{{.Name", "{{end}}"),
        *("{{range .Tags}}", "{{range .Name}}{{end}}", "{{.Name .Size}}", "{{(.Name}}", "{{.Name)}}", "{{.Name |}}"),
        *("{{$x}}", "{{if .Name}}{{else}}", "{{if .Name}}{{else if .Tags}}{{end}}"),
        *("{{index .Tags -1}}", "{{upper .Tags}}", "{{\u00b2}}", "{{--5}}", f"{{{{{'9' * 5000}}}}}"),
        *("{{if .Name}}" * 3000 + "{{end}}" * 3000, "{{" + "(" * 3000 + "1" + ")" * 3000 + "}}"),
    ],
    ids=lambda template: template[:40],
)
def test_templates_that_make_no_sense_are_refused_in_one_line(template: str) -> None:
    with pytest.raises(DockersimError, match="template parsing error") as refused:
        render(template, ROW)
    assert "\n" not in str(refused.value) and "lambda" not in str(refused.value)


def test_rows_are_laid_out_as_asked() -> None:
    rows = [{"ID": "1", "Tag": "latest"}]
    header = {"ID": "IMAGE ID", "Tag": "TAG"}
    assert render_rows("json", rows, header) == '{"ID":"1","Tag":"latest"}'
    assert render_rows("{{.ID}}", rows, header) == "1"
    assert render_rows(r"table {{.ID}}\t{{.Tag}}", rows, header) == "IMAGE ID   TAG\n1          latest"


DIFF, DIGEST = DiffID("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)


def test_transfers_are_told_in_dockers_words() -> None:
    def pushed(event: object) -> str:
        status = push_status(event)  # type: ignore[arg-type]
        return status.line if status else ""

    assert pushed(LayerPreparing(DIFF)) == "aaaaaaaaaaaa: Preparing"
    assert pushed(Progress(DIFF, DIGEST, 500, 1000)) == "aaaaaaaaaaaa: Pushing  500B/1kB"
    assert pushed(Progress(DIFF, "", 500, 1000)) == "aaaaaaaaaaaa: Compressing  500B/1kB"
    assert pushed(LayerExists(DIFF, DIGEST, 5)) == "aaaaaaaaaaaa: Layer already exists"
    assert pushed(ManifestPut("latest", DIGEST, 528)) == f"latest: digest: {DIGEST} size: 528"
    fetched = pull_status(ManifestFetched("me/app:v1", DIGEST, 1, "x"), "me/app")
    assert fetched is not None and fetched.line == "v1: Pulling from me/app"
    by_digest = pull_status(ManifestFetched(f"ubuntu@{DIGEST}", DIGEST, 1, "x"), "library/ubuntu")
    assert by_digest is not None and by_digest.line == f"docker.io/library/ubuntu@{DIGEST}: Pulling from library/ubuntu"
    complete = pull_status(LayerPulled(DIFF, DIGEST, 5), "me/app")
    assert complete is not None and complete.line == "bbbbbbbbbbbb: Pull complete"


def test_no_name_of_a_stranger_is_obeyed_by_the_terminal() -> None:
    live = LiveProgress(Clock())
    for event in events_of(Workshop(), "FROM scratch\nCOPY app.py /\x1b[2J\x9b31m\u202e\n"):
        live.feed(event)
    drawn = "\n".join([*(line.text for line in live.frame(200, 40)), *live.last_words()])
    assert "\\x1b[2J\\x9b31m\\u202e" in drawn and drawn.replace("\n", "").isprintable()
    asked = [{"Path": "\x9b31m"}]
    assert render_rows("json", asked, {}) == render("{{json .}}", asked[0]) == '{"Path":"\\u009b31m"}'
