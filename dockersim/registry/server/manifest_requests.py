"""Requests for manifests, and the listings (distribution-spec, "Content Discovery", "Content Management")."""

from __future__ import annotations

import bisect
from tempfile import SpooledTemporaryFile
from typing import IO
from urllib.parse import quote, urlencode

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from dockersim.oci import media_types
from dockersim.registry import names
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.blobs import READ, pieces
from dockersim.registry.server.call import LARGEST_PAGE, Call
from dockersim.registry.server.manifests import LONGEST_MANIFEST, Entry


async def pull(call: Call) -> Response:
    """Answer GET and HEAD of a manifest by tag or digest."""
    digest = call.store.resolve(call.repository, _name(call, Code.MANIFEST_UNKNOWN))
    data, media_type = await run_in_threadpool(call.store.manifest, call.repository, digest)
    headers = {"Docker-Content-Digest": digest, "Content-Length": str(len(data)), "ETag": f'"{digest}"'}
    if call.request.method == "HEAD":
        return Response(None, 200, headers, media_type=media_type)
    # Whole only as long as it takes to check: 200 slow readers of 4 MiB would add up.
    body = iterate_in_threadpool(pieces(call.store.blobs.open(digest), 0, len(data)))
    return StreamingResponse(body, 200, headers, media_type=media_type)


async def push(call: Call) -> Response:
    """Answer PUT: all that the manifest names must be there already."""
    await call.check_push()
    name = _name(call, Code.MANIFEST_INVALID)
    with SpooledTemporaryFile(READ) as body:
        await _receive(call, body)
        async with call.registry.manifests:  # one at a time is whole in memory, whoever sends them
            entry = await run_in_threadpool(_put, call, body, name)
    headers = {"Location": f"/v2/{call.repository}/manifests/{name}", "Docker-Content-Digest": entry.digest}
    if entry.subject:
        # MUST (spec, "Pushing Manifests with Subject"): tells the client that the referrers API lists it.
        headers["OCI-Subject"] = entry.subject
    return Response(status_code=201, headers=headers)


async def delete(call: Call) -> Response:
    """Answer DELETE of a tag (the manifest stays) or of a manifest (its tags go too)."""
    await call.check_push()
    name = _name(call, Code.MANIFEST_UNKNOWN)
    remove = call.store.remove_manifest if names.looks_like_digest(name) else call.store.remove_tag
    await run_in_threadpool(remove, call.repository, name)
    return Response(status_code=202)


async def tags(call: Call) -> Response:
    """List tags, ``n`` at a time, after ``last``."""
    found = await run_in_threadpool(call.store.tags, call.repository)
    page, headers = _page(call, found)
    return JSONResponse({"name": call.repository, "tags": page}, headers=headers)


async def catalog(call: Call) -> Response:
    """List repositories. Not of the spec, but of docker's registry, and every client knows it."""
    found = await run_in_threadpool(call.store.repositories)
    page, headers = _page(call, found)
    return JSONResponse({"repositories": page}, headers=headers)


async def referrers(call: Call) -> Response:
    """List what has the given digest as its subject: an index, perhaps an empty one, never a 404."""
    found = await run_in_threadpool(call.store.referrers, call.repository, names.digest(call.item))
    wanted = call.query("artifactType")
    if wanted:
        found = [one for one in found if one.get("artifactType") == wanted]
    headers = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
    index = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": found}
    return JSONResponse(index, headers=headers, media_type=media_types.INDEX)


def _name(call: Call, otherwise: Code) -> str:
    """Check a tag or digest; what is neither is refused with ``otherwise``."""
    if names.looks_like_digest(call.item):
        return names.digest(call.item)
    if not names.is_tag(call.item):
        raise Problem(otherwise, f"not a tag: {call.item[:80]!r}")
    return call.item


async def _receive(call: Call, body: IO[bytes]) -> None:
    async for piece in call.request.stream():
        body.write(piece)
        if body.tell() > LONGEST_MANIFEST:
            raise Problem(Code.MANIFEST_INVALID, "manifest is larger than 4 MiB", status=413)


def _put(call: Call, body: IO[bytes], name: str) -> Entry:
    body.seek(0)
    data, is_digest = body.read(), names.looks_like_digest(name)
    entry = Entry.read(data, call.header("content-type"), name if is_digest else "")
    call.store.put_manifest(call.repository, data, entry, tag="" if is_digest else name)
    return entry


def _page(call: Call, entries: list[str]) -> tuple[list[str], dict[str, str]]:
    """Cut one page out of a sorted list; the Link header says where the next begins (RFC 5988)."""
    text = call.query("n")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Problem(Code.UNSUPPORTED, "n must be a number", status=400)
    size = min(int(text) if text else LARGEST_PAGE, LARGEST_PAGE)
    start = bisect.bisect_right(entries, call.query("last")) if call.query("last") else 0
    page = entries[start : start + size]
    if not page or start + size >= len(entries):
        return page, {}
    following = urlencode({"n": size, "last": page[-1]})
    return page, {"Link": f'<{quote(call.request.url.path)}?{following}>; rel="next"'}
