"""Push and pull between the store and registries; short names mean the practice registry, which plays Docker Hub.

Three variables of the environment say otherwise:

    DOCKERSIM_REGISTRY   another registry that is to be the practice registry, ``host:port``, ``host/project`` or
                         ``http://host``: FROM looks there, short names are pushed there, and caches lie there
    DOCKERSIM_MIRRORS    registries, with commas, that are asked before Docker Hub (dockerd's ``registry-mirrors``)
    DOCKERSIM_HUB        ``real``: short names mean Docker Hub itself
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from dockersim.bases import CONNECT_SECONDS
from dockersim.content import Lease, lease
from dockersim.engine.store import Store
from dockersim.engine.whereabouts import Whereabouts
from dockersim.errors import ContentError, ImageError, RegistryError
from dockersim.images import Image
from dockersim.oci import DOCKER_HUB, Descriptor, Manifest, Platform, Reference, media_types, parse_reference
from dockersim.registry import (
    Address,
    CredentialFile,
    Credentials,
    DockerConfig,
    Endpoint,
    Granted,
    LayerPreparing,
    ManifestFetched,
    MemoryLog,
    NotInRegistry,
    Progress,
    PullEvent,
    PushEvent,
    RegistryClient,
    Settings,
    Warnings,
    WireEvent,
    endpoint_of,
    ensure_running,
    mirrors_of,
    pull,
    pull_index,
    push,
    push_index,
    running,
)
from dockersim.registry.client.endpoint import PRACTICE_KEY
from dockersim.registry.client.exchange import SLOWEST_CONNECT

_ELSEWHERE: Final = (
    "the practice registry has what was pushed to it (dockersim registry status); DOCKERSIM_HUB=real asks Docker Hub"
)

Happened = TypeVar("Happened")
Result = TypeVar("Result")

PushSink = Callable[[PushEvent], None]
PullSink = Callable[[PullEvent], None]


class Pushed(Struct, frozen=True):
    """A push that was done: where to, the digest the name stands for now, and every request that was made.

    ``events`` is what became of each layer; the counting on the way is left out.
    """

    endpoint: Endpoint
    digest: str
    size: int
    requests: tuple[WireEvent, ...]
    events: tuple[PushEvent, ...] = ()


class Pulled(Struct, frozen=True):
    """A pull that was done; ``newer`` says that the name stood for another image, or none, before.

    ``digest`` is that of what the name stands for in the registry: of the index, if it is one. Who asks for a sha512
    gets that.
    """

    endpoint: Endpoint
    image: Image
    digest: str
    newer: bool
    requests: tuple[WireEvent, ...]
    events: tuple[PullEvent, ...] = ()


class Shipping:
    """Sends images to registries and fetches them. ``platform`` is the one that is wanted, ``linux/amd64`` say.

    ``warnings`` is what registries have warned of meanwhile.
    """

    def __init__(self, store: Store, environment: Mapping[str, str], platform: str) -> None:
        self._store = store
        self._environment = environment
        self._settings = read_settings(environment)
        self._platform = parse_platform(platform)
        self._whereabouts = Whereabouts(store.root / "whereabouts.json")
        self.registry_root = store.root / "registry"
        self.warnings = Warnings()

    # ------------------------------------------------------------ push and pull

    def push(self, name: str, sink: PushSink) -> Pushed:
        """Push the image ``name``. Raises ImageNotFound, AccessDenied, RegistryError."""
        reference = parse_reference(name)
        image, index = self._store.images.get(name), self._store.images.index_of(name)
        endpoint = self.endpoint(reference.registry)
        log = MemoryLog()
        show, kept = _keeping(sink)
        with self._client(endpoint, log) as client:
            if index is not None:
                pushed = _drain(push_index(client, reference, index, self._store.content), show)
            else:
                mounts = self._whereabouts.elsewhere(endpoint.credential_key, reference.repository)
                steps = push(client, reference, image.manifest, self._store.content, self._store.layers, mounts=mounts)
                pushed = _drain(steps, show)
                self._note(endpoint, reference, image)
        self._store.images.add_digest(image.id, reference.at(pushed.digest), index)
        return Pushed(endpoint, pushed.digest, pushed.size, tuple(log.events), tuple(kept))

    def pull(self, name: str, sink: PullSink, *, platform: str = "", all_platforms: bool = False) -> Pulled:
        """Pull the image ``name`` and give it that name here. Raises RegistryError, NotInRegistry, ImageError.

        ``platform`` chooses among the images of an index, ``linux/arm64`` say; without it this machine does. With
        ``all_platforms`` the others come along, so that the name can be pushed and saved whole.
        """
        reference = parse_reference(name)
        wanted = parse_platform(platform) if platform else self._platform
        origin = self.endpoint(reference.registry)
        try:
            return self._pull_from_any(reference, origin, sink, wanted, all_platforms=all_platforms)
        except NotInRegistry as error:
            if not (origin.is_practice and origin.registry == DOCKER_HUB):
                raise
            raise NotInRegistry(error.message, hint=_ELSEWHERE) from error

    def find(self, reference: Reference, sink: PullSink, *, practice: bool) -> Image | None:
        """Pull ``reference`` for a FROM; None if that registry has it not, or is not one to ask."""
        if practice:
            if reference.registry != DOCKER_HUB or not self._has_practice():
                return None
            endpoint = self.endpoint(DOCKER_HUB)
        else:
            endpoint = endpoint_of(reference.registry, replace(self._practising(), real_hub=True))
        connect = CONNECT_SECONDS if practice else SLOWEST_CONNECT
        try:
            return self._pull_from_any(reference, endpoint, sink, self._platform, connect=connect).image
        except NotInRegistry:
            return None

    def _pull_from_any(
        self,
        reference: Reference,
        origin: Endpoint,
        sink: PullSink,
        platform: Platform,
        *,
        all_platforms: bool = False,
        connect: float = SLOWEST_CONNECT,
    ) -> Pulled:
        """Pull from the first mirror that has the image, or else from where it comes from.

        ``connect`` is how many seconds the latter may take to accept a connection.
        """
        for mirror in () if origin.is_practice else mirrors_of(origin.registry, self._settings):
            try:
                return self._pull(reference, mirror, sink, platform, all_platforms=all_platforms)
            except (RegistryError, ContentError):
                continue  # a mirror that fails is no news, as long as there is the origin
        return self._pull(reference, origin, sink, platform, all_platforms=all_platforms, connect=connect)

    def _pull(
        self,
        reference: Reference,
        endpoint: Endpoint,
        sink: PullSink,
        platform: Platform,
        *,
        all_platforms: bool,
        connect: float = SLOWEST_CONNECT,
    ) -> Pulled:
        store, log = self._store, MemoryLog()
        before = store.images.get(reference.canonical()).id if store.images.has(reference.canonical()) else ""
        show, kept = _keeping(sink)
        with lease(store.content) as protection:
            seen = _protecting(protection, show)
            with self._client(endpoint, log, connect) as client:
                arrived = _drain(pull(client, reference, store.content, store.layers, platform), seen)
                named = arrived.named
                if whole := all_platforms and named.media_type in media_types.INDEXES:
                    _drain(pull_index(client, reference, named, store.content), seen)
            manifest = Manifest.from_json(store.content.read(arrived.manifest.digest))
            config = store.content.read(manifest.config.digest)
            known = reference.at(reference.digest or named.digest)
            index = named if whole else self._index_of(known)
            image = store.images.put(config, manifest.layers, [reference, known], index=index)
        self._note(endpoint, reference, image)
        return Pulled(endpoint, image, known.digest, image.id != before, tuple(log.events), tuple(kept))

    def _index_of(self, known: Reference) -> Descriptor | None:
        """Give the index that is here under a name by digest, all of it: it was pulled for all platforms, or pushed."""
        images = self._store.images
        return images.index_of(known.canonical()) if images.has(known.canonical()) else None

    def _note(self, endpoint: Endpoint, reference: Reference, image: Image) -> None:
        if not endpoint.is_mirror:
            self._whereabouts.note(endpoint.credential_key, reference.repository, image.config.diff_ids)

    def remove(self, reference: Reference) -> tuple[WireEvent, ...]:
        """Remove a tag, or a manifest by its digest, from its registry. Raises NotInRegistry, AccessDenied."""
        log = MemoryLog()
        with self._client(self.endpoint(reference.registry), log) as client:
            client.delete_manifest(reference.repository, reference.digest or reference.tag)
        return tuple(log.events)

    def client(self, reference: Reference) -> RegistryClient:
        """Open a client for the registry that ``reference`` means; the caller closes it."""
        return self._client(self.endpoint(reference.registry), MemoryLog())

    # ------------------------------------------------------------ who we are

    def login(self, registry: str, user: str, password: str) -> tuple[Endpoint, Granted]:
        """Log in to ``registry`` ("" for Docker Hub, which the practice registry plays) and remember it."""
        # Deviation: Docker keeps a login with a credential helper where one is configured; here it goes into auth.json,
        # which only its owner can read. Logins that docker has kept are used, never changed.
        endpoint = self.endpoint(registry or DOCKER_HUB)
        credentials = Credentials(user, password)
        with RegistryClient(endpoint, credentials, MemoryLog(), warnings=self.warnings) as client:
            granted = client.login()
        self.credentials.save(endpoint.credential_key, credentials)
        return endpoint, granted

    def logout(self, registry: str) -> tuple[Endpoint, bool]:
        """Forget the login to ``registry``; say whether there was one."""
        endpoint = self._known_endpoint(registry or DOCKER_HUB)
        return endpoint, self.credentials.erase(endpoint.credential_key)

    def who(self, registry: str = DOCKER_HUB) -> str:
        """Give the user that is logged in to ``registry``, "" for nobody."""
        known = self.credentials_for(self._known_endpoint(registry))
        return known.username if known else ""

    def credentials_for(self, endpoint: Endpoint) -> Credentials | None:
        """Give the login to a registry: our own, or the one that docker has for it."""
        known = self.credentials.load(endpoint.credential_key)
        if known is not None or endpoint.credential_key == PRACTICE_KEY:
            return known
        docker = DockerConfig.of(self._environment)
        return docker.load(endpoint.credential_key) if docker else None

    @property
    def credentials(self) -> CredentialFile:
        """Where logins are kept; only the owner can read it."""
        return CredentialFile(self._store.root / "auth.json")

    # ------------------------------------------------------------ which registry

    def practice_registry(self) -> Address:
        """Give the practice registry's address; it is started if it is not running."""
        return ensure_running(self.registry_root)

    def endpoint(self, registry: str) -> Endpoint:
        """Find how ``registry`` is reached, starting the practice registry if it is that one."""
        if registry == DOCKER_HUB and not self._settings.real_hub and not self._settings.stand_in:
            return endpoint_of(registry, replace(self._settings, practice=self.practice_registry().registry))
        return endpoint_of(registry, self._practising())

    def stand_in(self) -> Endpoint | None:
        """Give the other registry that is the practice registry; None if it is our own, or Docker Hub is itself."""
        if self._settings.real_hub or not self._settings.stand_in:
            return None
        return endpoint_of(DOCKER_HUB, self._settings)

    def _known_endpoint(self, registry: str) -> Endpoint:
        """Find how ``registry`` is reached without starting anything; the practice registry may be down."""
        return endpoint_of(registry, replace(self._settings, practice=self._address() or "not-running"))

    def _practising(self) -> Settings:
        """Give the settings with the practice registry as it is now, running or not."""
        return replace(self._settings, practice=self._address())

    def _has_practice(self) -> bool:
        """Say whether there is a practice registry to look into."""
        return not self._settings.real_hub and (bool(self._settings.stand_in) or self.registry_root.is_dir())

    def _address(self) -> str:
        address = running(self.registry_root) if self.registry_root.is_dir() else None
        return address.registry if address else ""

    def _client(self, endpoint: Endpoint, log: MemoryLog, connect: float = SLOWEST_CONNECT) -> RegistryClient:
        credentials = self.credentials_for(endpoint)
        return RegistryClient(endpoint, credentials, log, warnings=self.warnings, connect=connect)


def _keeping(sink: Callable[[Happened], None]) -> tuple[Callable[[Happened], None], list[Happened]]:
    """Give a sink that passes events on to ``sink``, and the list where it keeps those that are not of progress."""
    kept: list[Happened] = []

    def show(event: Happened) -> None:
        if not isinstance(event, Progress):
            kept.append(event)
        sink(event)

    return show, kept


def _protecting(protection: Lease, show: Callable[[PullEvent], None]) -> Callable[[PullEvent], None]:
    """Give a sink that keeps what arrives from sweeps: a slow pull takes longer than what is young is spared."""

    def seen(event: PullEvent) -> None:
        match event:
            case ManifestFetched(_, digest):  # an index leads to all that it lists
                protection.add(digest)
            case LayerPreparing(diff_id):  # told of all layers before the first of them is looked for
                protection.add(diff_id)
            case _:
                pass
        show(event)

    return seen


def _drain(steps: Generator[Happened, None, Result], sink: Callable[[Happened], None]) -> Result:
    """Run a push or pull to its end, passing its events on; return what it returns."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return cast(Result, end.value)
        sink(event)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the variables that say which registries there are."""
    mirrors = (word.strip() for word in environment.get("DOCKERSIM_MIRRORS", "").split(","))
    return Settings(
        real_hub=environment.get("DOCKERSIM_HUB", "") == "real",
        stand_in=environment.get("DOCKERSIM_REGISTRY", "").strip().rstrip("/"),
        mirrors=tuple(filter(None, mirrors)),
    )


def parse_platform(text: str) -> Platform:
    """Read a platform such as ``linux/amd64`` or ``linux/arm/v7``. Raises ImageError."""
    system, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    if not architecture or "/" in variant:
        raise ImageError(f"not a platform: {text}", hint="write it like linux/amd64")
    return Platform(architecture, system, variant)
