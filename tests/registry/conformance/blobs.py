"""The rules about blobs: five ways of pushing one, mounting, pulling whole and in part, deleting.

``wrong`` says that the bytes are not those of the digest, and must be refused.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.registry.conformance.data import OCTETS
from tests.registry.conformance.exchange import (
    Headers,
    Repository,
    Unsupported,
    has_header,
    location,
    must,
    names_digest,
)

UPLOADS = "blobs/uploads/"
SMALLEST_CHUNK = 1024


def post_only(repository: Repository, digest: str, data: bytes, *, wrong: bool = False) -> None:
    """Send the whole blob with the POST; a registry may answer 202 and want it with a PUT."""
    headers = {"Content-Type": OCTETS}
    answer = repository.send("POST", UPLOADS, 400 if wrong else 201, 202, headers=headers, body=data, digest=digest)
    if answer.status_code == 202:
        repository.send("PUT", location(answer), 400 if wrong else 201, headers=headers, body=data, digest=digest)
        raise Unsupported("a POST with the content is answered by 202")
    if not wrong:
        _is_there(repository, answer, digest, data)


def post_put(repository: Repository, digest: str, data: bytes, *, wrong: bool = False) -> None:
    """Open a session, then send the whole blob with the PUT that closes it."""
    where = location(repository.send("POST", UPLOADS, 202))
    _close(repository, where, digest, data, data, wrong=wrong)


def patch_stream(repository: Repository, digest: str, data: bytes, *, wrong: bool = False) -> None:
    """Send the blob with one PATCH that does not say how long it is."""
    where = location(repository.send("POST", UPLOADS, 202))
    answer = repository.send("PATCH", where, 202, headers={"Content-Type": OCTETS}, body=iter([data]))
    _close(repository, location(answer), digest, data, b"", wrong=wrong)


def patch_chunked(
    repository: Repository,
    digest: str,
    data: bytes,
    *,
    wrong: bool = False,
    put_last: bool = False,
    out_of_order: bool = False,
) -> None:
    """Send the blob in three chunks.

    ``put_last`` sends the last one with the PUT; ``out_of_order`` tries a wrong chunk before each.
    """
    answer = repository.send("POST", UPLOADS, 202)
    size = max(len(data) // 3 + 1, SMALLEST_CHUNK, int(answer.headers.get("oci-chunk-min-length", "0")))
    where = location(answer)
    for first in range(0, len(data), size):
        if out_of_order:
            where = _wrong_chunk(repository, where, digest, data, first, size, put_last=put_last)
        chunk = data[first : first + size]
        headers = _chunk_headers(first, chunk)
        if put_last and first + size >= len(data):
            _close(repository, where, digest, data, chunk, wrong=wrong, headers=headers)
            return
        where = location(repository.send("PATCH", where, 202, headers=headers, body=chunk))
    _close(repository, where, digest, data, b"", wrong=wrong)


def _wrong_chunk(
    repository: Repository, where: str, digest: str, data: bytes, arrived: int, size: int, *, put_last: bool
) -> str:
    """Send a later chunk, or the first again; it must be refused, and the session's status must tell how to go on."""
    first = arrived + size if arrived + size < len(data) else 0
    chunk = data[first : first + size]
    headers = _chunk_headers(first, chunk)
    if put_last and first + len(chunk) == len(data):
        repository.send("PUT", where, 416, headers=headers, body=chunk, digest=digest)
    else:
        repository.send("PATCH", where, 416, headers=headers, body=chunk)
    status = repository.send("GET", where, 204)
    told = status.headers.get("range", "")
    # Of a session without a byte no Range can tell the truth: "0-0" is one byte.
    must(told == f"0-{arrived - 1}" or (not arrived and told.startswith("0-")), f"the status is Range: {told!r}")
    return location(status)


def mount(repository: Repository, digest: str, data: bytes, *, source: str = "", missing: bool = False) -> None:
    """Have a blob of another repository, named or not; a registry may answer 202 and want it sent.

    ``missing`` says that the blob is nowhere: then 202 is the right answer.
    """
    query = {"mount": digest, "from": source} if source else {"mount": digest}
    answer = repository.send("POST", UPLOADS, 202 if missing else 201, 202, **query)
    if answer.status_code == 201:
        _is_there(repository, answer, digest, data)
        return
    _close(repository, location(answer), digest, data, data)
    if not missing:
        raise Unsupported("a mount is answered by 202")


def cancel(repository: Repository) -> None:
    """Open a session and give it up."""
    repository.send("DELETE", location(repository.send("POST", UPLOADS, 202)), 204)


def head(repository: Repository, digest: str, data: bytes) -> None:
    """HEAD tells the size and sends nothing."""
    answer = repository.send("HEAD", f"blobs/{digest}", 200)
    must(answer.content == b"", "HEAD sends a body")
    has_header(answer, "Content-Length", str(len(data)))
    names_digest(answer, digest)


def get(repository: Repository, digest: str, data: bytes) -> None:
    """GET sends the bytes."""
    answer = repository.send("GET", f"blobs/{digest}", 200)
    must(answer.content == data, "other bytes than were pushed")
    has_header(answer, "Content-Length", str(len(data)))
    names_digest(answer, digest)


def get_missing(repository: Repository, digest: str) -> None:
    """A blob that was not pushed is not found."""
    repository.send("GET", f"blobs/{digest}", 404)


def get_range(repository: Repository, digest: str, data: bytes, *, asked: str, part: slice | None) -> None:
    """GET of a range sends exactly that, or 416 where there is none (``part`` is None); the whole blob is a way out."""
    answer = repository.send("GET", f"blobs/{digest}", 200, 206 if part else 416, headers={"Range": f"bytes={asked}"})
    if answer.status_code == 200 and answer.content == data:
        raise Unsupported("a range is answered by the whole blob")
    if part is None:
        must(answer.status_code == 416, f"bytes={asked} is answered by {answer.status_code}")
        return
    first, last, _ = part.indices(len(data))
    must(answer.content == data[part], f"other bytes than bytes={asked}")
    has_header(answer, "Content-Length", str(last - first))
    told = answer.headers.get("content-range")
    must(told in [f"bytes {first}-{last - 1}/{size}" for size in (len(data), "*")], f"Content-Range is {told!r}")


def delete(repository: Repository, digest: str) -> None:
    """After a DELETE the blob is gone at once; a registry may refuse to delete."""
    if repository.send("DELETE", f"blobs/{digest}", 202, 404, 405).status_code == 405:
        raise Unsupported("blobs cannot be deleted")
    repository.send("HEAD", f"blobs/{digest}", 404)


FORMS: dict[str, Callable[..., None]] = {
    "blob-post-put": post_put,
    "blob-post-only": post_only,
    "blob-patch-stream": patch_stream,
    "blob-patch-chunked": patch_chunked,
}
"""The ways of pushing a blob, by the names of their rules."""


def _chunk_headers(first: int, chunk: bytes) -> Headers:
    return {"Content-Type": OCTETS, "Content-Range": f"{first}-{first + len(chunk) - 1}"}


def _close(
    repository: Repository,
    where: str,
    digest: str,
    data: bytes,
    rest: bytes,
    *,
    wrong: bool = False,
    headers: Headers | None = None,
) -> None:
    headers = headers or {"Content-Type": OCTETS}
    answer = repository.send("PUT", where, 400 if wrong else 201, headers=headers, body=rest, digest=digest)
    if not wrong:
        _is_there(repository, answer, digest, data)


def _is_there(repository: Repository, answer: httpx.Response, digest: str, data: bytes) -> None:
    """Where the Location of a 201 says, the bytes must be."""
    names_digest(answer, digest)
    must(repository.send("GET", location(answer), 200).content == data, "other bytes than were pushed")
