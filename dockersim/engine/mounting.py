"""The mounts of one RUN made ready: what ``--mount`` asks for, as places on disk that the sandbox can bind.

BuildKit does this in solver/llbsolver/mounts. What is laid out here lives as long as the command, except for caches,
which stay below ROOT/cache-mounts; none of it becomes part of a layer.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from dockersim.digest import chain_id, hex_of, sha256
from dockersim.dockerfile import MountType, Sharing
from dockersim.engine.keeping import hold
from dockersim.engine.laying import lay_out
from dockersim.engine.lent import Given
from dockersim.engine.sources import LayersOrigin, Origin, mounted_node
from dockersim.errors import BuildError
from dockersim.locks import lock, try_lock
from dockersim.sandbox import BindMount, TmpfsMount
from dockersim.sandbox.owners import can_own
from dockersim.snapshots.disk import delete, store_errors
from dockersim.solver import RunMount

_MEMORY = Path("/dev/shm")
"""Where a secret is put for the time of its command: a file system in memory, if the machine has one."""

_YOUNG = 60.0
"""A directory younger than this many seconds may not have its lock yet."""


class Mounted(Struct, frozen=True):
    """Mounts that are ready, and the variables that come with them."""

    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@contextmanager
def mounted(
    root: Path, wanted: Sequence[tuple[RunMount, Origin | None]], given: Given, script: tuple[str, str] | None = None
) -> Iterator[Mounted]:
    """Make mounts ready below ``root``, each with where its files come from; on leaving, all but caches is gone.

    ``script`` is a program out of a here-document, as (path, text). Raises BuildError for a secret or an agent that is
    required and was not given.
    """
    if not wanted and script is None:
        yield Mounted()
        return
    with ExitStack() as stack:
        room = _Room(stack, root, given)
        ready = [room.make(one, origin) for one, origin in wanted]
        ready += [room.program(*script)] if script else []
        yield Mounted(
            tuple(mount for found in ready for mount in found.mounts),
            tuple(pair for found in ready for pair in found.environment),
        )


class _Room:
    """Where the mounts of one command are made; what is on ``stack`` goes when the command has ended."""

    def __init__(self, stack: ExitStack, root: Path, given: Given) -> None:
        self._stack = stack
        self._root = root
        self._given = given
        self._caches: dict[str, Path] = {}
        self._numbers = itertools.count()
        self._folder: Path | None = None

    def make(self, one: RunMount, origin: Origin | None) -> Mounted:
        mount = one.mount
        match mount.type:
            case MountType.TMPFS:
                return Mounted((TmpfsMount(mount.target, mount.size),))
            case MountType.BIND:
                return Mounted((BindMount(self._copy(one, origin), mount.target, mount.read_only),))
            case MountType.CACHE:
                return Mounted((BindMount(self._cache(one, origin), mount.target, mount.read_only),))
            case MountType.SECRET:
                return self._secret(one)
            case MountType.SSH:
                return self._agent(one)

    def program(self, path: str, text: str) -> Mounted:
        """Show a script at its path, as the only file of a directory that cannot be written."""
        folder, _, name = path.rpartition("/")
        place = self._place()
        place.mkdir(0o755)
        file = place / name
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        for made in (place, file):
            made.chmod(0o755)
        return Mounted((BindMount(place, folder),))

    # ------------------------------------------------------------ files

    def _copy(self, one: RunMount, origin: Origin | None) -> Path:
        place = self._place()
        if origin is None:
            place.mkdir(0o755)  # from=scratch: there is nothing in it
        else:
            lay_out(origin, mounted_node(one, origin), place)
        return place

    def _place(self) -> Path:
        """Give a path that nobody else has, in a directory that goes when the command has ended."""
        if self._folder is None:
            parent = self._root / "mounts"
            parent.mkdir(parents=True, exist_ok=True)
            _sweep(parent, "")
            self._folder = _own_directory(self._stack, parent, "")
        return self._folder / str(next(self._numbers))

    # ------------------------------------------------------------ caches

    def _cache(self, one: RunMount, origin: Origin | None) -> Path:
        """Find the kept directory of a cache, making it from its source at first, and claim it for this command."""
        name = _cache_name(one, origin)
        if name not in self._caches:
            parent = self._root / "cache-mounts"
            parent.mkdir(parents=True, exist_ok=True)
            with store_errors("opening a cache mount"):
                self._caches[name] = _claim(self._stack, parent / name, one.mount.sharing)
                self._stack.callback(os.close, hold(self._caches[name]))
                if not self._caches[name].is_dir():
                    self._seed(self._caches[name], one, origin)
        kept = self._caches[name]
        if origin is None:
            return kept
        return _below(kept, mounted_node(one, origin).entry.path)

    def _seed(self, kept: Path, one: RunMount, origin: Origin | None) -> None:
        """Make a cache's directory: a copy of its source, or empty with the owner and mode it asks for."""
        draft = self._place()
        if origin is not None:
            lay_out(origin, origin.tree.root, draft)
        else:
            draft.mkdir()
            draft.chmod(0o755 if one.mount.mode is None else one.mount.mode)
            _give(draft, one.mount.uid or 0, one.mount.gid or 0)
        try:
            draft.rename(kept)
        except OSError:
            if not kept.is_dir():  # else another build was faster, and that one is used
                raise

    # ------------------------------------------------------------ secrets and agents

    def _secret(self, one: RunMount) -> Mounted:
        mount = one.mount
        value = self._given.secrets.get(mount.id)
        if value is None:
            if mount.required:
                raise BuildError(f"secret {mount.id}: not found", hint=f"build with --secret id={mount.id},src=FILE")
            return Mounted()
        pairs = ((mount.env, value.decode("utf-8", "surrogateescape")),) if mount.env else ()
        if not mount.target:
            return Mounted((), pairs)
        memory = _MEMORY if os.access(_MEMORY, os.W_OK) else self._root / "secrets"
        memory.mkdir(0o700, parents=True, exist_ok=True)
        _sweep(memory, "dockersim-secret-")
        file = _own_directory(self._stack, memory, "dockersim-secret-") / "secret"
        file.touch(0o600)
        file.write_bytes(value)
        file.chmod(0o400 if mount.mode is None else mount.mode)
        _give(file, mount.uid or 0, mount.gid or 0)
        return Mounted((BindMount(file, mount.target),), pairs)

    def _agent(self, one: RunMount) -> Mounted:
        mount = one.mount
        name = mount.id or "default"
        socket = self._given.agents.get(name)
        variable = (("SSH_AUTH_SOCK", mount.target),)  # also where there is no agent
        if socket is None:
            if mount.required:
                message = f'no SSH key "{mount.id}" forwarded from the client'
                raise BuildError(message, hint=f"build with --ssh {name}, and an ssh-agent running")
            return Mounted((), variable)
        if not socket.is_socket():
            raise BuildError(f"{socket} is not the socket of an ssh agent", hint="start one: eval $(ssh-agent)")
        return Mounted((BindMount(socket, mount.target, False),), variable)


def _cache_name(one: RunMount, origin: Origin | None) -> str:
    """Name a cache by its id and by what it is first made of; another source is another cache (``getRefCacheDir``)."""
    mount = one.mount
    seed = chain_id(origin.diff_ids) if isinstance(origin, LayersOrigin) else ""
    made = [mount.mode, mount.uid, mount.gid] if not seed else []
    return hex_of(sha256(json.dumps([mount.id, seed, made]).encode("utf-8", "surrogateescape")))


def _claim(stack: ExitStack, place: Path, sharing: Sharing | None) -> Path:
    """Claim a cache as ``sharing`` says: for all, for one after the other, or one's own if it is in use."""
    if sharing is Sharing.LOCKED:
        _lock(stack, place, wait=True)
    if sharing is not Sharing.PRIVATE:
        return place
    candidates = (place if not number else place.with_name(f"{place.name}-{number}") for number in itertools.count())
    return next(candidate for candidate in candidates if _lock(stack, candidate, wait=False))


def _lock(stack: ExitStack, place: Path, *, wait: bool) -> bool:
    file = stack.enter_context(place.with_name(f"{place.name}.lock").open("wb"))
    if wait:
        lock(file.fileno())
    return wait or try_lock(file.fileno())


def _below(kept: Path, path: str) -> Path:
    """Find what a cache shows with ``source=``; a command may have put a link there that leads out of it."""
    shown = kept / path
    if os.path.realpath(shown) != f"{os.path.realpath(kept)}/{path}".rstrip("/"):
        raise BuildError(f"/{path} of the cache mount is not where it was", hint="use another id= for a new cache")
    return shown


def _give(path: Path, uid: int, gid: int) -> None:
    """Give a path its owner, where the disk of this user can hold one."""
    # Deviation: where dockersim does not run as root, uid= and gid= of a mount are left out: root owns the files.
    if can_own():
        mode = path.stat().st_mode & 0o7777
        os.chown(path, uid, gid)
        path.chmod(mode)


def _own_directory(stack: ExitStack, parent: Path, prefix: str) -> Path:
    """Make a directory for this process alone, which goes with ``stack``; its lock says that it is in use."""
    made = tempfile.mkdtemp(prefix=prefix, dir=parent)
    stack.callback(os.close, _locked(made))
    stack.callback(delete, made)
    return Path(made)


def _locked(folder: str) -> int:
    """Lock a directory and give the descriptor that holds the lock. Raises BlockingIOError if somebody else does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if try_lock(descriptor):
        return descriptor
    os.close(descriptor)
    raise BlockingIOError(f"{folder} is in use")


def _sweep(parent: Path, prefix: str) -> None:
    """Delete what processes that were killed have left behind."""
    for left in parent.glob(f"{prefix}*"):
        try:
            status = left.lstat()
            if status.st_uid != os.geteuid() or status.st_ctime > time.time() - _YOUNG:
                continue
            descriptor = _locked(str(left))
        except OSError:
            continue  # it is gone by now, or in use
        delete(str(left))
        os.close(descriptor)
