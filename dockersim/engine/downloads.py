"""Files that ADD takes from the network: asked for again each time, sent again only if they have changed.

BuildKit does this in source/http. A download becomes a blob of the content store; a note beside it keeps its address,
ETag and Last-Modified, so that a server can say "not modified" and a prediction needs no network. A password in the
address is given to the server only: neither notes nor messages hold it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from dockersim.content import ContentStore
from dockersim.content.disk import write_whole
from dockersim.digest import Digest, hex_of, sha256
from dockersim.dockerfile.passwords import without_password
from dockersim.errors import BuildError, ContentError
from dockersim.filesystem import Entry, Kind, Node, Tree
from dockersim.solver import CopyOp, Input, url_file_name

if TYPE_CHECKING:
    import httpx

    from dockersim.engine.fetching import Fetching

_MODE = 0o600
"""What a downloaded file's permissions are, unless --chmod says otherwise (Dockerfile reference, ADD)."""

_CHUNK = 1 << 20


class Downloaded(Struct, frozen=True):
    """A file that was downloaded: its blob, and what the server said about it."""

    url: str
    digest: Digest
    size: int
    etag: str = ""
    modified: str = ""

    @property
    def node(self) -> Node:
        """Give the file as a COPY takes it; it is as old as the server says, else from 1970."""
        entry = Entry(url_file_name(self.url), Kind.FILE, _MODE, size=self.size, digest=self.digest,
                      mtime_ns=_time_of(self.modified))  # fmt: skip
        return Node(entry)


class DownloadOrigin(Struct, frozen=True):
    """Downloads as something that a COPY reads from."""

    content: ContentStore
    files: tuple[Downloaded, ...]

    @property
    def tree(self) -> Tree:
        """All of them in one directory."""
        return Tree.EMPTY.apply(one.node.entry for one in self.files)

    def digested(self, entry: Entry) -> Entry:
        """The digest is known already."""
        return entry

    def open(self, node: Node) -> BinaryIO:
        """Open the blob."""
        return self.content.open(node.entry.digest or "")


class Downloads:
    """The downloads of one build. ``online`` False asks no server: only what is noted is known.

    ``fetching`` gives what another thread ends a download by.
    """

    def __init__(
        self, content: ContentStore, notes: Path, fetching: Callable[[], Fetching], *, online: bool = True
    ) -> None:
        self._content = content
        self._notes = notes
        self._fetching = fetching
        self._online = online
        self._done: dict[str, Downloaded] = {}

    def inputs(self, op: CopyOp) -> Iterator[Input | None]:
        """Name the downloads of ``op`` for its key; None for one that nothing is known of.

        A file with a checksum is known without asking for it.
        """
        for url in op.urls:
            known = None if op.checksum else self._find(url, "")
            digest = op.checksum or (known.digest if known else "")
            yield Input(url_file_name(url), Kind.FILE.value, digest, _MODE) if digest else None

    def origin(self, op: CopyOp) -> DownloadOrigin:
        """Have all downloads of ``op`` here. Raises BuildError where one is not to be had, or is another file."""
        found = (self._find(url, op.checksum) for url in op.urls)
        return DownloadOrigin(self._content, tuple(one for one in found if one is not None))

    def fetch(self, url: str) -> Downloaded | None:
        """Have one file here; None if it is not, and nobody may be asked. Raises BuildError if it is not to be had."""
        return self._find(url, "")

    def _find(self, url: str, checksum: str) -> Downloaded | None:
        if url in self._done and not checksum:
            return self._done[url]
        noted = self._noted(url)
        if noted is not None and (not self._online or checksum == noted.digest):
            return noted
        if not self._online:
            return None
        self._done[url] = self._ask(url, noted, checksum)
        return self._done[url]

    # ------------------------------------------------------------ the network

    def _ask(self, url: str, noted: Downloaded | None, checksum: str) -> Downloaded:
        import httpx  # a cached build without ADD of an address has no need of it

        from dockersim.registry.client.endpoint import is_loopback

        self._fetching().begin()
        headers = {"User-Agent": "dockersim", "Accept-Encoding": "identity"}
        if noted is not None and noted.etag:
            headers["If-None-Match"] = noted.etag
        try:
            # The proxy is for the world outside.
            direct = is_loopback(httpx.URL(url).netloc.decode("ascii"))
            timeout = httpx.Timeout(60, connect=10)
            with (
                httpx.Client(follow_redirects=True, trust_env=not direct, timeout=timeout) as client,
                client.stream("GET", url, headers=headers) as answer,
            ):
                if noted is not None and answer.status_code == httpx.codes.NOT_MODIFIED:
                    self._check(noted, checksum)
                    return noted
                return self._receive(url, answer, checksum)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            message = without_password(f"failed to load cache key: {url} cannot be downloaded: {reason}")
            raise BuildError(message, hint="check the address and the network") from error

    def _receive(self, url: str, answer: httpx.Response, checksum: str) -> Downloaded:
        if not answer.is_success:
            message = f"failed to load cache key: invalid response status {answer.status_code}"
            raise BuildError(message, hint=f"that is what {without_password(url)} answers")
        fetching = self._fetching()
        with self._content.writer() as blob:
            for piece in answer.iter_bytes():
                fetching.check()
                blob.write(piece)
            size = blob.size
            digest = blob.commit()
        found = Downloaded(url, digest, size, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))
        self._check(found, checksum)
        noted = replace(found, url=without_password(url))
        write_whole(self._note(url), json.dumps(to_builtins(noted)).encode("utf-8", "surrogateescape"))
        return found

    def _check(self, found: Downloaded, checksum: str) -> None:
        """Raise BuildError if a download is not what its checksum (sha256, sha384 or sha512) says."""
        if not checksum or checksum == found.digest:
            return
        algorithm = checksum.partition(":")[0]
        hasher = hashlib.new(algorithm)
        with self._content.open(found.digest) as content:
            while piece := content.read(_CHUNK):
                hasher.update(piece)
        if f"{algorithm}:{hasher.hexdigest()}" != checksum:
            hint = f"{without_password(found.url)} is another file than the one that --checksum names"
            raise BuildError(f"digest mismatch {algorithm}:{hasher.hexdigest()}: {checksum}", hint=hint)

    # ------------------------------------------------------------ what is noted

    def _note(self, url: str) -> Path:
        return self._notes / f"{hex_of(sha256(url.encode('utf-8', 'surrogateescape')))}.json"

    def _noted(self, url: str) -> Downloaded | None:
        """Read what was noted of an address, if the blob is still here; its whole address is in the note's name."""
        try:
            fields: dict[str, Any] = json.loads(self._note(url).read_bytes())
            found = Downloaded(**fields)
            known = found.url == without_password(url) and self._content.keep(found.digest)
            return replace(found, url=url) if known else None
        except (OSError, ValueError, TypeError, ContentError):
            return None  # no note, or one cut short: it is downloaded anew


def _time_of(modified: str) -> int:
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(modified).timestamp()) * 1_000_000_000
    except ValueError:
        return 0
