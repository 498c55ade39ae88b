"""Requests for blobs: pull, push in its four forms, mount, cancel, delete (distribution-spec, "Pull", "Push")."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from dockersim.registry import names
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.blobs import Upload
from dockersim.registry.server.call import Call
from dockersim.registry.server.conditions import entity_tag, has_it, wants_range
from dockersim.registry.server.sending import sent
from dockersim.registry.server.uploading import check_range, range_of, receive

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def pull(call: Call) -> Response:
    """Answer GET and HEAD of a blob, whole or a Range of it (RFC 9110, section 14)."""
    digest = names.digest(call.item)
    is_head = call.request.method == "HEAD"
    # By HEAD a client asks whether it need not send the blob; then no sweep may take it before the manifest comes.
    find = call.store.keep_blob if is_head else call.store.blob_size
    size = await run_in_threadpool(find, call.repository, digest)
    headers = {
        "Docker-Content-Digest": digest,
        "Accept-Ranges": "bytes",
        "ETag": entity_tag(digest),
        # What a digest names never changes.
        "Cache-Control": "max-age=31536000, immutable",
    }
    if has_it(call, digest):
        return Response(status_code=304, headers=headers)
    first, length, status = _part(call.header("range") if wants_range(call, digest) else "", size)
    headers["Content-Length"] = str(length)
    if status == 206:
        headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{size}"
    if is_head:
        return Response(None, status, headers, media_type="application/octet-stream")
    # Opened before anything is answered: a blob that is deleted from now on is still sent whole.
    file = await run_in_threadpool(call.store.open_blob, call.repository, digest)
    return StreamingResponse(sent(file, first, length), status, headers, media_type="application/octet-stream")


async def start(call: Call) -> Response:
    """Answer POST: open a session; or mount a blob; or take a whole blob at once (``?digest=``)."""
    await call.check_push()
    if mount := call.query("mount"):
        is_mounted = await run_in_threadpool(_mount, call, mount)
        if is_mounted:
            return _created(call, mount)
    if not call.query("digest"):
        return _accepted(call, call.registry.sessions.start(call.repository))
    digest = names.digest(call.query("digest"))
    upload = call.registry.sessions.start(call.repository)
    async with call.registry.sessions.use(call.repository, upload.name):
        try:
            await receive(call.request, upload)
            await run_in_threadpool(call.store.finish_upload, call.repository, upload, digest)
        finally:
            # Whole or not at all: nobody knows the session's name, so nobody could resume it.
            upload.discard()
            call.registry.sessions.forget(call.repository, upload)
    return _created(call, digest)


async def status(call: Call) -> Response:
    """Answer GET of a session: how much has arrived, once whoever still writes to it is done."""
    await call.check_push()
    async with call.registry.sessions.use(call.repository, names.session(call.item)) as upload:
        return _accepted(call, upload, status=204)


async def chunk(call: Call) -> Response:
    """Answer PATCH: add a piece to the session, which must start where the last one ended."""
    await call.check_push()
    async with call.registry.sessions.use(call.repository, names.session(call.item)) as upload:
        announced = check_range(call.header("content-range"), call.header("content-length"), upload.size)
        await receive(call.request, upload, announced)
        return _accepted(call, upload)


async def finish(call: Call) -> Response:
    """Answer PUT: take a last piece, check the digest, store the blob."""
    await call.check_push()
    digest = names.digest(call.query("digest"))
    async with call.registry.sessions.use(call.repository, names.session(call.item)) as upload:
        announced = None
        if call.header("content-length") != "0":
            announced = check_range(call.header("content-range"), call.header("content-length"), upload.size)
        await receive(call.request, upload, announced)
        await run_in_threadpool(call.store.finish_upload, call.repository, upload, digest)
        # Not where the disk failed: the session is still there, and who comes next must wait for who waits already.
        call.registry.sessions.forget(call.repository, upload)
        return _created(call, digest)


async def cancel(call: Call) -> Response:
    """Answer DELETE of a session."""
    await call.check_push()
    async with call.registry.sessions.use(call.repository, names.session(call.item)) as upload:
        upload.discard()
        call.registry.sessions.forget(call.repository, upload)
    return Response(status_code=204)


async def delete(call: Call) -> Response:
    """Answer DELETE of a blob."""
    await call.check_push()
    await run_in_threadpool(call.store.remove_blob, call.repository, names.digest(call.item))
    return Response(status_code=202)


def _mount(call: Call, digest: str) -> bool:
    """Mount from the repository that is named, or from any: pulling is open to all, so that gives nothing away."""
    source = call.query("from")
    return call.store.mount(call.repository, names.digest(digest), names.repository(source) if source else "")


def _created(call: Call, digest: str) -> Response:
    location = f"/v2/{call.repository}/blobs/{digest}"
    return Response(status_code=201, headers={"Location": location, "Docker-Content-Digest": digest})


def _accepted(call: Call, upload: Upload, status: int = 202) -> Response:
    headers = {
        "Location": f"/v2/{call.repository}/blobs/uploads/{upload.name}",
        "Range": range_of(upload.size),
        "Docker-Upload-UUID": upload.name,
    }
    return Response(status_code=status, headers=headers)


def _part(header: str, size: int) -> tuple[int, int, int]:
    """Read a Range header: first byte, length, and the status to answer with.

    Several ranges at once, or a unit we do not know, may be ignored (RFC 9110, section 14.2): the whole is sent.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return 0, size, 200
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
    if first > last:
        raise Problem(Code.SIZE_INVALID, "no such range", status=416, headers={"Content-Range": f"bytes */{size}"})
    return first, last - first + 1, 206
