"""One registry process per root: serve, find the one that runs, start one, stop it.

server.json    pid, address and instance of the running process; written whole, gone when it stops
lock           held by the process as long as it lives, so that two starts at once give one registry
port           the port of the last time: image names hold it, so it should stay
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, to_builtins

from dockersim.content.disk import told_plainly
from dockersim.errors import RegistryError
from dockersim.locks import try_lock
from dockersim.registry.client.endpoint import is_loopback

if TYPE_CHECKING:
    from types import FrameType

    import uvicorn

    from dockersim.registry.server.app import RegistryApp

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 15.0
STOP_SECONDS: Final = 5.0
KEEP_ALIVE_SECONDS: Final = 75
"""nginx's default; uvicorn's five seconds cut off clients that hash a large layer between two requests."""

LONGEST_LOG: Final = 1024 * 1024
"""Bytes after which registry.log is begun anew; one old one is kept."""

_SHORT_LINE: Final = 4096
"""Bytes that a disk must have free to take a line: a page of it."""

OTHER_SERVES: Final = 3
"""Exit code of a process that finds its root served by another."""

SEND_BUFFER: Final = 256 * 1024
"""Bytes that the kernel keeps for each client to take. By itself Linux lets it grow to 4 MB, for clients so far away
that a network holds that much on the way."""

INSTANCE_HEADER: Final = "Dockersim-Registry"


class RootIsServed(RegistryError):
    """Another process serves this root."""


class Address(Struct, frozen=True):
    """Where a registry process is. ``instance`` tells it from another that has taken its pid or port."""

    pid: int
    host: str
    port: int
    started: float
    instance: str

    @property
    def registry(self) -> str:
        """The part of an image name that means this registry."""
        host = LOOPBACK if self.host in ("0.0.0.0", "::") else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Its address for a browser."""
        return f"http://{self.registry}"

    @property
    def for_others(self) -> str:
        """Its address for other machines; "" if they cannot reach it."""
        if self.host in ("0.0.0.0", "::"):
            return f"http://{_own_address()}:{self.port}"
        return "" if is_loopback(self.registry) else self.url


def make_app(root: Path, *, open_to_network: bool = False) -> RegistryApp:
    """Put a registry together on the directory ``root``."""
    from dockersim.registry.server.access import Access, load_secret
    from dockersim.registry.server.app import create_app
    from dockersim.registry.server.repositories import RegistryStore
    from dockersim.registry.server.users import Users
    from dockersim.registry.wire import FileLog

    store = RegistryStore(root)
    store.clear_temporary()
    access = Access(Users(root / "htpasswd"), load_secret(root / "secret"), time.time, open_to_network=open_to_network)
    return create_app(store, access, FileLog(root / "wire.jsonl"))


def serve(root: Path, host: str = LOOPBACK, port: int = 0, *, open_to_network: bool = False) -> None:
    """Serve ``root`` until SIGTERM or Ctrl-C.

    Raises RegistryError if the port or the root is taken, StoreError if the root cannot be written to.
    """
    import uvicorn

    from dockersim.registry.server.housekeeping import keeping_house
    from dockersim.registry.server.patience import Patience, most_connections, protocol

    with told_plainly("serve from", root):
        root.mkdir(parents=True, exist_ok=True)
    with _hold(root):
        listening = listen(host, port)
        address = Address(os.getpid(), host, listening.getsockname()[1], time.time(), secrets.token_hex(8))
        app = _ready(root, address, open_to_network=open_to_network)
        config = uvicorn.Config(
            app,
            http=protocol(Patience(), most_connections()),
            loop="asyncio",
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            # Whoever sends X-Forwarded-For must not pass for this machine.
            proxy_headers=False,
            server_header=False,
            headers=[(INSTANCE_HEADER, address.instance)],
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=3,
        )
        # uvicorn shuts down in order, and then lets SIGTERM have its way: it should unwind us, not kill us.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            with keeping_house(app.store):
                _server(config, app).run(sockets=[listening])
        except KeyboardInterrupt:
            # Ctrl-C, too, is passed on after the shutdown; that is how one stops a registry.
            pass
        finally:
            listening.close()
            (root / "server.json").unlink(missing_ok=True)


def _server(config: uvicorn.Config, app: RegistryApp) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Lets the pages that follow the log go when it is told to stop: they would hold up the end."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            app.feed.close()
            super().handle_exit(sig, frame)

    return Server(config)


def _ready(root: Path, address: Address, *, open_to_network: bool) -> RegistryApp:
    """Put all into place that a running registry needs on its disk."""
    with told_plainly("serve from", root):
        app = make_app(root, open_to_network=open_to_network)
        _log_to(root / "registry.log")
        _write(root / "port", str(address.port))
        _write(root / "server.json", json.dumps(to_builtins(address)))
    return app


def _log_to(path: Path) -> None:
    """Keep what uvicorn and asyncio have to say in a log that cannot fill the disk."""
    handler = _QuietLog(path, maxBytes=LONGEST_LOG, backupCount=1, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    for name in ("uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        # Not what strangers send (uvicorn's warnings): that says nothing about this registry.
        logger.setLevel(logging.ERROR)


class _QuietLog(RotatingFileHandler):
    """A disk that is full costs the line, not the request."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing."""


def running(root: Path) -> Address | None:
    """Find the live registry of ``root``; None if there is none."""
    try:
        address = Address(**json.loads((root / "server.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return address if _answers(address) else None


def ensure_running(root: Path) -> Address:
    """Find the live registry of ``root``, or start one on loopback that outlives us. May be repeated."""
    if (address := running(root)) is not None:
        return address
    _check_loopback()
    with told_plainly("serve from", root):
        root.mkdir(parents=True, exist_ok=True)
    process = _start(root, _last_port(root))
    deadline = time.monotonic() + START_SECONDS
    try:
        while time.monotonic() < deadline:
            if (address := running(root)) is not None:
                _await_loser(process, address)
                return address
            if process.poll() == OTHER_SERVES:
                # Another start was quicker, or the one before is still shutting down: look again, then try again.
                time.sleep(0.1)
                process = _start(root, _last_port(root)) if running(root) is None else process
            elif process.poll() is not None:
                raise RegistryError(f"the practice registry did not start: {last_words(root / 'registry.log')}")
            time.sleep(0.02)
    except KeyboardInterrupt:
        process.terminate()  # it has told nobody yet where it is, so that nobody could stop it
        raise
    raise RegistryError(
        f"the practice registry did not answer within {START_SECONDS:.0f} seconds", hint=f"see {root / 'registry.log'}"
    )


def _check_loopback() -> None:
    """Raise RegistryError where not even this machine reaches itself: in a network namespace whose lo is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((LOOPBACK, 9))  # of a datagram socket that sends nothing; it only asks for a route
        except OSError as error:
            message = f"the practice registry cannot be reached at {LOOPBACK}: {error.strerror}"
            raise RegistryError(message, hint="the loopback interface is down; root can 'ip link set lo up'") from error


def _await_loser(process: subprocess.Popen[bytes], address: Address) -> None:
    """Wait until a process of ours that came too late has seen it: later it would take over from one that stops."""
    if os.name == "posix" and process.pid != address.pid:
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def stop(root: Path) -> bool:
    """Stop the registry of ``root``; False if none was running. What it has stays."""
    address = running(root)
    if address is None:
        return False
    for kind, seconds in (
        (signal.SIGTERM, STOP_SECONDS),
        (signal.SIGKILL if os.name == "posix" else signal.SIGTERM, 1.0),
    ):
        try:
            os.kill(address.pid, kind)
        except ProcessLookupError:
            return True
        if _gone(root, seconds):
            return True
    return True


def _start(root: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dockersim.registry", "--root", str(root), "--port", str(port), "--or-any-port"]
    with told_plainly("serve from", root), (root / "registry.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True
        )


def listen(host: str, port: int) -> socket.socket:
    """Take a port; raise RegistryError if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named: else a small blob waits 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # what is accepted inherits it
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        listening.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            hint = "choose another with --port, or stop the program that has it"
            raise RegistryError(f"port {port} on {host} is already taken", hint=hint) from error
        raise RegistryError(f"cannot listen on {host}:{port}: {error}") from error
    return listening


def _own_address() -> str:
    """Find out by which address other machines reach this one; its name where nothing leads out of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of a datagram socket that sends nothing; it only asks for a route
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


class _hold:
    """Holds the root's lock: the kernel lets it go when the process ends, however it ends."""

    def __init__(self, root: Path) -> None:
        self._path = root / "lock"
        self._descriptor = -1

    def __enter__(self) -> None:
        with told_plainly("serve from", self._path.parent):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not try_lock(self._descriptor):
            os.close(self._descriptor)
            raise RootIsServed(f"another registry already serves {self._path.parent}")

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _answers(address: Address) -> bool:
    from http.client import HTTPConnection, HTTPException

    host = address.registry.rpartition(":")[0].strip("[]")
    connection = HTTPConnection(host, address.port, timeout=2)
    try:
        connection.request("GET", "/page.css")  # not of the protocol, so that it is not among a learner's requests
        return connection.getresponse().getheader(INSTANCE_HEADER) == address.instance
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _gone(root: Path, seconds: float) -> bool:
    """Wait until the process has let the lock go: a pid may still be seen when its process is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with _hold(root):
                return True
        except RegistryError:
            time.sleep(0.02)
    return False


def _last_port(root: Path) -> int:
    try:
        return int((root / "port").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def last_words(path: Path) -> str:
    """Give the last line of a log; where there is no room for one, say that."""
    import shutil  # few registries do not start

    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines and shutil.disk_usage(path.parent).free < _SHORT_LINE:
        return "the disk is full; free some space, or set DOCKERSIM_HOME to a larger disk"
    return lines[-1] if lines else "it said nothing"


def _write(path: Path, text: str) -> None:
    half = path.with_name(f".{uuid.uuid4().hex}")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)
