"""The engine: the one place where the parts are put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockersim.dockerfile import parse
from dockersim.engine.build import Build, Driver, EventSink
from dockersim.engine.contexts import Contexts, check_named, open_named
from dockersim.engine.execute import ExecuteDriver
from dockersim.engine.files import Files, RunResult
from dockersim.engine.finding import ImageFinder
from dockersim.engine.lent import Given, Host
from dockersim.engine.network import Manner, Network
from dockersim.engine.opening import Opened, open_build
from dockersim.engine.predict import PredictDriver
from dockersim.engine.store import Store, default_root, machine_platform
from dockersim.oci import parse_reference
from dockersim.solver import BuildOptions, RunOp, StepFinished, named_contexts, solve
from dockersim.solver.configure import DEFAULT_SHELL

if TYPE_CHECKING:
    from dockersim.containers import Containers
    from dockersim.engine.shipping import Shipping
    from dockersim.sandbox import Rung


class Engine:
    """Builds, images, containers and a registry in one root on disk.

    ``root`` is the directory; None takes the one that commands share (DOCKERSIM_HOME, else the user's data
    directory). ``sandbox`` names a rung of the ladder (``dockersim info`` lists them); None takes the best that works,
    or DOCKERSIM_SANDBOX. ``stand_ins`` agrees to stand-ins for images that cannot be pulled. ``environment`` is the
    host's, of which a RUN is given the proxy and certificate variables. The constructor opens nothing.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        sandbox: str | None = None,
        stand_ins: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.environment = dict(os.environ if environment is None else environment)
        self.root = Path(root) if root is not None else default_root(self.environment)
        self.store = Store(self.root, sandbox or self.environment.get("DOCKERSIM_SANDBOX") or None)
        self.stand_ins = stand_ins

    # ------------------------------------------------------------ building

    def build(
        self,
        context: str | os.PathLike[str],
        dockerfile: str | os.PathLike[str] | None = None,
        tags: Sequence[str] = (),
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        no_cache: bool = False,
        *,
        labels: Mapping[str, str] | None = None,
        platform: str | None = None,
        text: str | None = None,
        on_event: EventSink | None = None,
        secrets: Mapping[str, bytes] | None = None,
        agents: Mapping[str, str | os.PathLike[str]] | None = None,
        build_contexts: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> Build:
        """Begin a build and return it, standing before its first step.

        ``context`` is a directory, or the address of a Git repository, a tar archive or a Dockerfile, which is fetched
        first. ``dockerfile`` is a path (relative to the working directory, as docker takes it, or to the context if
        that is fetched; None is ``Dockerfile`` in the context); ``text`` gives the Dockerfile itself instead, which is
        then only called by that name. ``on_event`` is called with every event as it happens. ``secrets`` are lent to
        ``RUN --mount=type=secret`` by id, ``agents`` (sockets of ssh agents) to ``RUN --mount=type=ssh``; neither is
        kept anywhere. ``build_contexts`` stand in for stages and images of their names: directories, addresses,
        ``docker-image://NAME`` or ``oci-layout://PATH:TAG``. Raises ContextError or DockerfileError for bad input;
        nothing has been written then.
        """
        options = self._options(tags, build_args, target, no_cache, labels, platform, build_contexts)
        given = Given(secrets or {}, {name: Path(socket) for name, socket in (agents or {}).items()})
        network = self._network(options, on_event, agent=given.agents.get("default"))
        opened = open_build(context, dockerfile, text, network, self.root / "contexts")
        finder = ImageFinder(
            self.store,
            lambda: self.shipping,
            stand_ins=self.stand_ins,
            tell=lambda event: build.tell(event),  # noqa: PLW0108 - the build is made below
        )
        driver = ExecuteDriver(
            self.store, self._contexts(opened, options, network), opened.identity, finder.find, network,
            host=lambda: self.host, epoch=options.epoch, given=given,
            on_event=lambda event: build.tell(event),  # noqa: PLW0108 - the build is made below
        )  # fmt: skip
        build = self._begin(opened, options, driver, on_event)
        return build

    def plan(
        self,
        context: str | os.PathLike[str],
        dockerfile: str | os.PathLike[str] | None = None,
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        *,
        platform: str | None = None,
        text: str | None = None,
        on_event: EventSink | None = None,
        build_contexts: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> Build:
        """Predict a build: the same steps, each with the cache's verdict; nothing is run and nothing written."""
        options = self._options((), build_args, target, False, None, platform, build_contexts)
        network = self._network(options, on_event, online=False)
        opened = open_build(context, dockerfile, text, network, self.root / "contexts")
        finder = ImageFinder(self.store, lambda: self.shipping, stand_ins=False)
        contexts = self._contexts(opened, options, network)
        driver = PredictDriver(self.store, contexts, opened.identity, finder.find_here, network)
        return self._begin(opened, options, driver, on_event)

    def read_dockerfile(self, context: str | os.PathLike[str], dockerfile: str | os.PathLike[str] | None = None) -> str:
        """Give the text of the Dockerfile that a build with these words would read; a context may be fetched for it."""
        network = self._network(BuildOptions(), None)
        return open_build(context, dockerfile, None, network, self.root / "contexts").text

    def _begin(self, opened: Opened, options: BuildOptions, driver: Driver, on_event: EventSink | None) -> Build:
        solver = solve(parse(opened.text, file=opened.file), options)
        build = Build(solver, driver, self, on_event, opened.text)
        build.options, build.file = options, opened.file
        return build

    def trace(self, build: Build, *, diffs: bool = True) -> dict[str, Any]:
        """Write ``build``, as far as it has come, as a trace document (``dockersim.trace/v1``)."""
        from dockersim.trace import build_document  # only who asks for one pays for it

        steps = {step.event.step.number: step for step in build.steps}
        return build_document(
            file=build.file, text=build.text, options=build.options, plan=build.plan,
            steps=[step.event for step in build.steps], finished=build.finished, error=build.error,
            recording=build.recording,
            diff_of=lambda event: steps[event.step.number].diff() if diffs else None,
        )  # fmt: skip

    # ------------------------------------------------------------ looking (``StepSource``)

    def files(self, layers: tuple[str, ...]) -> Files:
        """Give the file system that ``layers`` (diff ids, lowest first) make."""
        return self.store.files(layers)

    def run(self, step: StepFinished, command: str) -> RunResult:
        """Run a shell command in a throw-away copy of a step's file system."""
        from dockersim.engine.running import process_of, try_out

        container = step.step.config_after.config
        environment = tuple((name, value) for name, _, value in (pair.partition("=") for pair in container.env))
        op = RunOp(
            (*(container.shell or DEFAULT_SHELL), command), environment, container.user, container.working_dir or "/"
        )
        pieces: list[bytes] = []
        process = process_of(op, self.files(step.layers), self.host)
        ended = try_out(
            self.store.snapshots, self.store.sandbox, step.layers, process, lambda _, data: pieces.append(data)
        )
        return RunResult(ended.code, b"".join(pieces).decode("utf-8", "replace"))

    def cancel(self) -> None:
        """Kill the command that runs in a build of this engine, from any thread; the build raises Cancelled."""
        self.store.sandbox.cancel()

    def close(self) -> None:
        """Close the root's database; what is asked for next opens it again. Repeatable."""
        self.store.database.close()

    # ------------------------------------------------------------ about this machine

    @cached_property
    def host(self) -> Host:
        """What every RUN is given of this machine: proxy and certificate variables."""
        from dockersim.sandbox import host_environment  # only a step that runs is given anything

        passed = host_environment(self.environment)
        return Host(passed.env, passed.mounts, passed.because)

    @cached_property
    def containers(self) -> Containers:
        """Run images: create, start, logs, exec, stop, rm."""
        from dockersim.containers import Containers  # a build needs none of it
        from dockersim.engine.users import account

        return Containers(self.store, lambda layers, user: account(self.files(layers), user))

    @cached_property
    def shipping(self) -> Shipping:
        """Push, pull and login."""
        from dockersim.engine.shipping import Shipping  # a cached build asks no registry

        return Shipping(self.store, self.environment, machine_platform())

    def rungs(self) -> tuple[Rung, ...]:
        """Tell what each rung of the sandbox ladder is good for here."""
        from dockersim.sandbox.ladder import known_rungs

        return known_rungs(self.root / "sandbox")

    # ------------------------------------------------------------ reading what was given

    def _network(
        self, options: BuildOptions, tell: EventSink | None, *, agent: Path | None = None, online: bool = True
    ) -> Network:
        """Give the outside world of one build."""
        keep = dict(options.build_args).get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "") in ("1", "t", "T", "true", "TRUE")
        manner = Manner(online, options.epoch is not None, keep, agent)
        return Network(self.store, self.environment, manner, tell or (lambda event: None))

    def _contexts(self, opened: Opened, options: BuildOptions, network: Network) -> Contexts:
        named = named_contexts(options.contexts)
        check_named(named)
        state = self.root / "contexts"
        return Contexts(self.store.layers, opened.origin, named, lambda one: open_named(one, network, state))

    def _options(
        self,
        tags: Sequence[str],
        build_args: Mapping[str, str] | None,
        target: str | None,
        no_cache: bool,
        labels: Mapping[str, str] | None,
        platform: str | None,
        contexts: Mapping[str, str | os.PathLike[str]] | None,
    ) -> BuildOptions:
        given = dict(build_args or {})
        epoch = given.get("SOURCE_DATE_EPOCH") or self.environment.get("SOURCE_DATE_EPOCH") or ""
        return BuildOptions(
            tuple(given.items()),
            target or "",
            platform or machine_platform(),
            no_cache,
            tuple((labels or {}).items()),
            tuple(parse_reference(tag).canonical() for tag in tags),
            int(epoch) if epoch.isdigit() else None,
            tuple((name, os.fspath(value)) for name, value in (contexts or {}).items()),
        )
