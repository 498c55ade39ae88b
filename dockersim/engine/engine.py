"""The engine: the one place where the parts are put together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockersim.dockerfile import parse
from dockersim.engine.build import Build, EventSink
from dockersim.engine.context import open_context
from dockersim.engine.execute import ExecuteDriver
from dockersim.engine.files import Files, RunResult
from dockersim.engine.finding import ImageFinder
from dockersim.engine.lent import Given, Host
from dockersim.engine.predict import PredictDriver
from dockersim.engine.store import Store, default_root, machine_platform
from dockersim.errors import ContextError, DockerfileError
from dockersim.oci import parse_reference
from dockersim.solver import BuildOptions, RunOp, StepFinished, solve
from dockersim.solver.configure import DEFAULT_SHELL

if TYPE_CHECKING:
    from dockersim.containers import Containers
    from dockersim.engine.repositories import Repositories
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
    ) -> Build:
        """Begin a build and return it, standing before its first step.

        ``dockerfile`` is a path (relative to the working directory, as docker takes it; None is ``Dockerfile`` in the
        context); ``text`` gives the Dockerfile itself instead, which is then only called by that name. ``on_event``
        is called with every event as it happens. ``secrets`` are lent to ``RUN --mount=type=secret`` by id, ``agents``
        (sockets of ssh agents) to ``RUN --mount=type=ssh``; neither is kept anywhere. Raises ContextError or
        DockerfileError for bad input; nothing has been written then.
        """
        folder, file, source = self._read(context, dockerfile, text)
        options = self._options(tags, build_args, target, no_cache, labels, platform)
        files = open_context(folder, file, self.root / "contexts")
        finder = ImageFinder(
            self.store,
            lambda: self.shipping,
            stand_ins=self.stand_ins,
            tell=lambda event: build.tell(event),  # noqa: PLW0108 - the build is made below
        )
        given = Given(secrets or {}, {name: Path(socket) for name, socket in (agents or {}).items()})
        driver = ExecuteDriver(
            self.store, files, f"{folder.resolve()}:{file}", finder.find, self._repositories(options, given),
            host=lambda: self.host, epoch=options.epoch, given=given,
            on_event=lambda event: build.tell(event),  # noqa: PLW0108 - the build is made below
        )  # fmt: skip
        build = Build(solve(parse(source, file=file.name), options), driver, self, on_event, source)
        build.options, build.file = options, file.name
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
    ) -> Build:
        """Predict a build: the same steps, each with the cache's verdict; nothing is run and nothing written."""
        folder, file, source = self._read(context, dockerfile, text)
        options = self._options((), build_args, target, False, None, platform)
        files = open_context(folder, file, self.root / "contexts")
        finder = ImageFinder(self.store, lambda: self.shipping, stand_ins=False)
        repositories = self._repositories(options, Given(), online=False)
        driver = PredictDriver(self.store, files, f"{folder.resolve()}:{file}", finder.find_here, repositories)
        build = Build(solve(parse(source, file=file.name), options), driver, self, on_event, source)
        build.options, build.file = options, file.name
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

    def _read(
        self, context: str | os.PathLike[str], dockerfile: str | os.PathLike[str] | None, text: str | None
    ) -> tuple[Path, Path, str]:
        """Find the context and the Dockerfile; return the folder, the file's path and its text."""
        folder = Path(context)
        if not folder.is_dir():
            raise ContextError(f'unable to prepare context: path "{folder}" not found')
        file = Path(dockerfile) if dockerfile is not None else folder / "Dockerfile"
        source = text if text is not None else self._read_file(file)
        if not source:
            raise DockerfileError("the Dockerfile cannot be empty", hint="begin it with FROM")
        return folder, file, source

    def _repositories(self, options: BuildOptions, given: Given, *, online: bool = True) -> Callable[[], Repositories]:
        """Give the Git repositories of one build when they are first asked for: few builds have any."""

        @cache
        def make() -> Repositories:
            from dockersim.engine.git import Git
            from dockersim.engine.repositories import Repositories

            root = self.root / "repositories"
            git = Git(self.environment, root / "known_hosts", given.agents.get("default"))
            return Repositories(root, git, online=online, dated=options.epoch is not None)

        return make

    def _read_file(self, file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            message = f"failed to read dockerfile: open {file.name}: no such file or directory"
            raise DockerfileError(message, hint=f"write one at {file}, or name another with -f") from None
        except OSError as error:
            raise DockerfileError(f"failed to read dockerfile: open {file}: {error.strerror}") from error

    def _options(
        self,
        tags: Sequence[str],
        build_args: Mapping[str, str] | None,
        target: str | None,
        no_cache: bool,
        labels: Mapping[str, str] | None,
        platform: str | None,
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
        )
