"""The engine: the one place where the parts are put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockersim.dockerfile import parse
from dockersim.engine.build import Build, Driver, EventSink
from dockersim.engine.context import open_context
from dockersim.engine.contexts import Contexts, check_named, open_named
from dockersim.engine.execute import ExecuteDriver
from dockersim.engine.files import Files, RunResult
from dockersim.engine.finding import ImageFinder
from dockersim.engine.lent import Given, Host
from dockersim.engine.network import Manner, Network
from dockersim.engine.opening import DOCKERFILE, Opened, is_remote, open_build
from dockersim.engine.options import read_epoch, read_filter, read_hosts, read_network, with_epoch_of
from dockersim.engine.predict import PredictDriver
from dockersim.engine.store import Store, default_root, machine_platform
from dockersim.errors import ContextError, ImageNotFound, InvalidReference
from dockersim.oci import parse_reference
from dockersim.solver import BuildOptions, Event, Plan, RunOp, StepFinished, named_contexts, solve
from dockersim.solver.configure import DEFAULT_SHELL

if TYPE_CHECKING:
    from dockersim.analysis import Caution, ContextXray
    from dockersim.containers import Containers
    from dockersim.dockerfile import CheckReport
    from dockersim.engine.fetching import Fetching
    from dockersim.engine.remotecache import RemoteCaches
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
        add_hosts: Sequence[str] = (),
        no_cache_filter: Sequence[str] = (),
        network: str = "default",
        cache_from: Sequence[str] = (),
        cache_to: Sequence[str] = (),
        build_contexts: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> Build:
        """Begin a build and return it, standing before its first step.

        ``context`` is a directory, or the address of a Git repository, a tar archive or a Dockerfile, which is fetched
        first. ``dockerfile`` is a path (relative to the working directory, as docker takes it, or to the context if
        that is fetched; None is ``Dockerfile`` in the context); ``text`` gives the Dockerfile itself instead, which is
        then only called by that name. ``on_event`` is called with every event as it happens. ``secrets`` are lent to
        ``RUN --mount=type=secret`` by id, ``agents`` (sockets of ssh agents) to ``RUN --mount=type=ssh``; neither is
        kept anywhere. ``add_hosts`` (``"HOST:IP"``, ``"HOST:host-gateway"``) are found in the /etc/hosts of every RUN,
        and never in a layer. ``no_cache_filter`` names the stages whose steps are run whatever the cache knows.
        ``network`` ("default", "none", "host") counts for each RUN without a --network of its own. ``cache_from`` and
        ``cache_to`` are written as for docker (``"type=local,dest=DIR,mode=max"``, ``"type=registry,ref=NAME"``,
        ``"NAME"``): where steps are looked for besides this root, and where they are exported to when the image is
        made. ``build_contexts`` stand in for stages and images of their names: directories, addresses,
        ``docker-image://NAME`` or ``oci-layout://PATH:TAG``. Raises ContextError, DockerfileError or BuildError for
        bad input; nothing has been written then but what was fetched.
        """
        options = self._options(
            build_args, target, platform, tags=tags, no_cache=no_cache, labels=labels, add_hosts=add_hosts,
            no_cache_filter=no_cache_filter, network=network, contexts=build_contexts,
        )  # fmt: skip
        given = Given(secrets or {}, {name: Path(socket) for name, socket in (agents or {}).items()})
        outside = self._network(options, on_event, agent=given.agents.get("default"))
        opened = open_build(context, dockerfile, text, outside, self.root / "contexts")
        options = with_epoch_of(opened.text, options)

        def tell(event: Event) -> None:
            build.tell(event)  # which is made below

        finder = ImageFinder(
            self.store,
            lambda: self.shipping,
            stand_ins=self.stand_ins,
            tell=tell,
        )
        driver = ExecuteDriver(
            self.store, self._contexts(opened, options, outside), opened.identity, finder.find, outside,
            host=lambda: self.host, epoch=options.epoch, given=given, on_event=tell,
            caches=self._caches(tell, cache_from, cache_to),
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
        add_hosts: Sequence[str] = (),
        no_cache_filter: Sequence[str] = (),
        network: str = "default",
        cache_from: Sequence[str] = (),
        build_contexts: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> Build:
        """Predict a build: the same steps, each with the cache's verdict; nothing is run and nothing written.

        Of the imported caches only directories are looked into.
        """
        options = self._options(
            build_args, target, platform, add_hosts=add_hosts, no_cache_filter=no_cache_filter, network=network,
            contexts=build_contexts,
        )  # fmt: skip
        outside = self._network(options, on_event, online=False)
        opened = open_build(context, dockerfile, text, outside, self.root / "contexts")
        options = with_epoch_of(opened.text, options)

        def tell(event: Event) -> None:
            build.tell(event)  # which is made below

        finder = ImageFinder(self.store, lambda: self.shipping, stand_ins=False)
        driver = PredictDriver(
            self.store, self._contexts(opened, options, outside), opened.identity, finder.find_here, outside,
            caches=self._caches(tell, cache_from, fetching=False),
        )  # fmt: skip
        build = self._begin(opened, options, driver, on_event)
        return build

    def read_dockerfile(
        self,
        context: str | os.PathLike[str],
        dockerfile: str | os.PathLike[str] | None = None,
        build_args: Mapping[str, str] | None = None,
        *,
        agents: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> str:
        """Give the text of the Dockerfile that a build with these words would read; a context may be fetched for it."""
        outside = self._network(self._options(build_args, None, None), None, agent=_default(agents))
        return open_build(context, dockerfile, None, outside, self.root / "contexts").text

    def _begin(self, opened: Opened, options: BuildOptions, driver: Driver, on_event: EventSink | None) -> Build:
        solver = solve(parse(opened.text, file=opened.file), options, opened.rules)
        build = Build(solver, driver, self, on_event, opened.text)
        build.options, build.file, build.ignore = options, opened.file, opened.rules
        return build

    def context(
        self,
        path: str | os.PathLike[str] = ".",
        dockerfile: str | os.PathLike[str] | None = None,
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        *,
        text: str | None = None,
        everything: bool = False,
    ) -> tuple[ContextXray, tuple[Caution, ...]]:
        """Take the X-ray of a build context, with what should rather not be in it; no file is written or sent.

        A directory that is left out as a whole is one row, unless ``everything`` is asked for. Raises ContextError or
        DockerfileError for a bad context or ignore file; a bad Dockerfile only leaves the uses of the files unknown.
        """
        from dockersim.analysis import cautions
        from dockersim.engine.xray import examine, plan_without_images, private_keys

        if is_remote(path):
            raise ContextError("a context that has to be fetched is not looked into", hint="clone it first")
        folder = Path(path)
        files = open_context(folder, Path(dockerfile) if dockerfile is not None else folder / DOCKERFILE, None)

        def plan() -> Plan:
            options = self._options(build_args, target, None)
            opened = open_build(folder, dockerfile, text, self._network(options, None, online=False), None)
            finder = ImageFinder(self.store, lambda: self.shipping, stand_ins=False)
            return plan_without_images(parse(opened.text, file=opened.file), options, finder.find_here)

        xray = examine(files, plan, everything=everything)
        return xray, cautions(xray.files, private_keys(files, xray))

    def check(
        self,
        context: str | os.PathLike[str],
        dockerfile: str | os.PathLike[str] | None = None,
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        *,
        platform: str | None = None,
        text: str | None = None,
        agents: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> CheckReport:
        """Run the build checks without building: over all stages, or over those that ``target`` needs.

        No image is pulled, and nothing written but a context that has to be fetched. Raises ContextError or
        DockerfileError where there is nothing to check; a mistake in the Dockerfile, also one that only planning the
        build shows, is part of the report.
        """
        from dockersim.engine.checking import check_opened  # a build needs none of it

        options = self._options(build_args, target, platform)
        outside = self._network(options, None, agent=_default(agents))
        opened = open_build(context, dockerfile, text, outside, None)
        finder = ImageFinder(self.store, lambda: self.shipping, stand_ins=False)
        return check_opened(opened, options, self._environment_of, finder.find_here)

    def trace(self, build: Build, *, diffs: bool = True) -> dict[str, Any]:
        """Write ``build``, as far as it has come, as a trace document (``dockersim.trace/v1``)."""
        from dockersim.trace import build_document  # only who asks for one pays for it

        steps = {step.event.step.number: step for step in build.steps}
        return build_document(
            file=build.file, text=build.text, options=build.options, plan=build.plan,
            steps=[step.event for step in build.steps], finished=build.finished, error=build.error,
            recording=build.recording, findings=build.findings, ignore=build.ignore,
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
        """Kill what runs or fetches for a build of this engine, from any thread; the build raises Cancelled."""
        if "_fetching" in self.__dict__:
            self._fetching.cancel()
        if "sandbox" in self.store.__dict__:  # else nothing has run yet: none has to be chosen
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
    def _fetching(self) -> Fetching:
        """What is being fetched for builds."""
        from dockersim.engine.fetching import Fetching  # most builds fetch nothing

        return Fetching()

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

    @property
    def registry_warnings(self) -> tuple[str, ...]:
        """What registries have warned of, a line each."""
        return self.shipping.warnings.lines if "shipping" in self.__dict__ else ()

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
        return Network(self.store, self.environment, manner, tell or (lambda event: None), lambda: self._fetching)

    def _contexts(self, opened: Opened, options: BuildOptions, network: Network) -> Contexts:
        named = named_contexts(options.contexts)
        check_named(named)
        state = self.root / "contexts"
        return Contexts(self.store.layers, opened.origin, named, lambda one: open_named(one, network, state))

    def _caches(
        self, tell: EventSink, sources: Sequence[str], targets: Sequence[str] = (), *, fetching: bool = True
    ) -> RemoteCaches | None:
        """Read --cache-from and --cache-to, if either is given."""
        if not sources and not targets:
            return None
        from dockersim.engine.remotecache import RemoteCaches, read_exports, read_imports  # most builds have no other

        return RemoteCaches(self.store.layers, lambda: self.shipping, tell, read_imports(sources),
                            read_exports(targets), fetching=fetching)  # fmt: skip

    def _environment_of(self, name: str) -> Mapping[str, str]:
        """Give the variables of an image, none if it is not here."""
        # Deviation: BuildKit's --check asks the registry for the variables of a base image; here only images in the
        # local store are looked at, so that a variable may be called undefined which a build then knows.
        try:
            image = self.store.images.get(parse_reference(name).canonical())
        except (ImageNotFound, InvalidReference):
            return {}
        return {key: value for key, _, value in (pair.partition("=") for pair in image.config.config.env)}

    def _options(
        self,
        build_args: Mapping[str, str] | None,
        target: str | None,
        platform: str | None,
        *,
        tags: Sequence[str] = (),
        no_cache: bool = False,
        labels: Mapping[str, str] | None = None,
        add_hosts: Sequence[str] = (),
        no_cache_filter: Sequence[str] = (),
        network: str = "default",
        contexts: Mapping[str, str | os.PathLike[str]] | None = None,
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
            read_epoch(epoch),
            read_hosts(add_hosts),
            read_filter(no_cache_filter, no_cache=no_cache),
            read_network(network),
            tuple((name, os.fspath(value)) for name, value in (contexts or {}).items()),
            machine_platform(),
        )


def _default(agents: Mapping[str, str | os.PathLike[str]] | None) -> Path | None:
    """Give the ssh agent that fetches contexts."""
    return Path(agents["default"]) if agents and "default" in agents else None
