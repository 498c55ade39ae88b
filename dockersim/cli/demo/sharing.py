"""The acts about sharing and running: push, pull on another machine, run, fetch the page."""

from __future__ import annotations

import time
import urllib.request
from typing import Final

from dockersim.cli.demo.building import NEW_GREETING
from dockersim.cli.demo.stage import NotShown, Stage, free_port
from dockersim.registry import running

USER: Final = "myusername"
NAME: Final = f"{USER}/my-flask-app"
_START_SECONDS: Final = 30.0


def push(stage: Stage) -> None:
    """Log in, tag, push, and push again."""
    story = stage.story
    story.act("Push it")
    story.say("The practice registry plays Docker Hub, so no account is needed. Any name and password will do.")
    secret = "demo-password"
    stage.run(
        f"echo {secret} | dockersim login -u {USER} --password-stdin", "login", "-u", USER, "--password-stdin",
        stdin=f"{secret}\n",
    )  # fmt: skip
    stage.run(f"dockersim tag my-flask-app {NAME}:latest", "tag", "my-flask-app", f"{NAME}:latest")
    first = stage.run(f"dockersim push {NAME}:latest", "push", f"{NAME}:latest")
    pushed = first.output.count(": Pushed")
    stage.check(pushed > 0, f"{pushed} layers were sent")
    second = stage.run(f"dockersim push {NAME}:latest", "push", f"{NAME}:latest")
    existing = second.output.count(": Layer already exists")
    stage.check(
        existing == pushed and ": Pushed" not in second.output, f"the second push sent nothing: all {existing} exist"
    )


def pull(stage: Stage) -> str:
    """Pull the image into a second store, as another machine would; return the name it has there."""
    story = stage.story
    story.act("Pull it on another machine")
    address = running(stage.engine().shipping.registry_root)
    if address is None:
        raise NotShown("the practice registry is not running")
    story.say(
        f"A second, empty store plays the other machine. It names the registry by its address, {address.registry}.",
    )
    name = f"{address.registry}/{NAME}"
    stage.run("dockersim images    # on the other machine", "images", elsewhere=True)
    stage.run(f"dockersim pull {name}    # on the other machine", "pull", name, elsewhere=True)
    here = stage.engine().store.images.get("my-flask-app").id
    there = stage.engine(elsewhere=True).store.images.get(name).id
    stage.check(here == there, f"the image there is the image here: {here[:19]}…")
    return name


def serve(stage: Stage, name: str) -> None:
    """Run the container on the other machine, fetch its page over HTTP, stop and remove it."""
    story = stage.story
    story.act("Run it")
    port = free_port()
    story.say(f"-p {port}:5000 publishes the container's port 5000 at port {port} of this machine.")
    options = ("run", "-d", "--name", "web", "-p", f"{port}:5000", name)
    stage.run(f"dockersim {' '.join(options)}", *options, elsewhere=True)
    page = _fetch(stage, f"http://127.0.0.1:{port}/")
    stage.check(page.strip() == NEW_GREETING, "the page came over HTTP, with the greeting that was edited")
    stage.run("dockersim ps", "ps", elsewhere=True)
    logs = stage.run("dockersim logs web", "logs", "web", elsewhere=True)
    stage.check("GET / HTTP/1.1" in logs.output, "the container's log has our request")
    stage.run("dockersim stop -t 1 web", "stop", "-t", "1", "web", elsewhere=True)
    stage.run("dockersim rm web", "rm", "web", elsewhere=True)
    left = stage.run("dockersim ps -a", "ps", "-aq", elsewhere=True, quiet=True)
    stage.check(not left.output.strip(), "the container is stopped and removed")


def _fetch(stage: Stage, url: str) -> str:
    """Fetch a page as a browser would, waiting for the server to be up."""
    stage.story.command(f"curl {url}")
    # Whatever proxy this machine uses, the page is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with opener.open(url, timeout=5) as answer:
                page: str = answer.read().decode("utf-8", "replace")
                stage.story.show(page)
                return page
        except OSError as error:
            if time.monotonic() > until:
                logs = stage.run("", "logs", "web", elsewhere=True, expect=None, quiet=True).output.strip()
                raise NotShown(f"nobody answers at {url}: {error}; the container said: {logs[-300:]}") from error
            time.sleep(0.1)
