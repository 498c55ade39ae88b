"""Requests for manifests, and the listings (distribution-spec, "Content Discovery", "Content Management")."""

from __future__ import annotations

import bisect
import json
from tempfile import SpooledTemporaryFile
from typing import IO, Final
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from dockersim.oci import media_types
from dockersim.registry import names
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.blobs import READ
from dockersim.registry.server.call import LARGEST_PAGE, Call
from dockersim.registry.server.conditions import entity_tag, has_it
from dockersim.registry.server.manifests import LONGEST_MANIFEST, Entry
from dockersim.registry.server.sending import sent

OUTDATED: Final = "non-distributable layers are deprecated: who pulls this image has to fetch them from elsewhere"
"""image-spec 1.1, layer.md, "Non-Distributable Layers"."""


async def pull(call: Call) -> Response:
    """Answer GET and HEAD of a manifest by tag or digest."""
    digest = call.store.resolve(call.repository, _name(call, Code.MANIFEST_UNKNOWN))
    data, media_type = await run_in_threadpool(call.store.manifest, call.repository, digest)
    headers = {"Docker-Content-Digest": digest, "ETag": entity_tag(digest)}
    if has_it(call, digest):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(len(data))
    if call.request.method == "HEAD":
        return Response(None, 200, headers, media_type=media_type)
    # Whole only as long as it takes to check: 200 slow readers of 4 MiB would add up.
    body = sent(call.store.blobs.open(digest), 0, len(data))
    return StreamingResponse(body, 200, headers, media_type=media_type)


async def push(call: Call) -> Response:
    """Answer PUT: all that the manifest names must be there already."""
    await call.check_push()
    name = _name(call, Code.MANIFEST_INVALID)
    is_digest = names.looks_like_digest(name)
    tags = _tags_beside(call) if is_digest else [name]
    with SpooledTemporaryFile(READ, dir=str(call.store.temporary())) as body:
        await _receive(call, body)
        async with call.registry.manifests:  # one at a time is whole in memory, whoever sends them
            entry = await run_in_threadpool(_put, call, body, name if is_digest else "", tags)
    headers = {"Location": f"/v2/{call.repository}/manifests/{name}", "Docker-Content-Digest": entry.digest}
    if is_digest and tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return Response(status_code=201, headers=headers | _remarks(entry))


def _remarks(entry: Entry) -> dict[str, str]:
    headers = {}
    if entry.subject:
        # MUST (spec, "Pushing Manifests with Subject"): tells the client that the referrers API lists it.
        headers["OCI-Subject"] = entry.subject
    if entry.is_outdated:
        # MUST (spec, "Warnings"): code 299, "-" as the agent, no date.
        headers["Warning"] = f'299 - "{OUTDATED}"'
    return headers


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
    names.digest(call.item)
    return await run_in_threadpool(_referrers, call)


def _referrers(call: Call) -> Response:
    """Fill one index, which must not be larger than a manifest that a client accepts."""
    wanted, most = call.query("artifactType"), _most(call)
    headers = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
    page: list[dict[str, object]] = []
    size = 0
    for one in call.store.referrers(call.repository, call.item, after=call.query("last")):
        if wanted and one.get("artifactType") != wanted:
            continue
        size += len(json.dumps(one))
        if len(page) == most or (page and size > LONGEST_MANIFEST):
            # MUST (spec, "Listing Referrers"): "A Link header MUST be included in the response when the descriptor list
            # cannot be returned in a single manifest".
            more = {"artifactType": wanted} if wanted else {}
            headers |= _link(call, page[-1]["digest"], most, **more) if page else {}
            break
        page.append(one)
    index = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": page}
    # Not JSONResponse: half a surrogate pair, which a manifest may hold, has no UTF-8, but can be written as an escape.
    return Response(json.dumps(index), 200, headers, media_type=media_types.INDEX)


def _name(call: Call, otherwise: Code) -> str:
    """Check a tag or digest; what is neither is refused with ``otherwise``."""
    if names.looks_like_digest(call.item):
        return names.digest(call.item)
    if not names.is_tag(call.item):
        raise Problem(otherwise, f"not a tag: {call.item[:80]!r}")
    return call.item


def _tags_beside(call: Call) -> list[str]:
    """Read the tags that a push by digest sets too (``?tag=1&tag=latest``): in the spec after 1.1."""
    tags = call.request.query_params.getlist("tag")
    for tag in tags:
        if not names.is_tag(tag):
            raise Problem(Code.MANIFEST_INVALID, f"not a tag: {tag[:80]!r}")
    return tags


async def _receive(call: Call, body: IO[bytes]) -> None:
    async for piece in call.request.stream():
        body.write(piece)
        if body.tell() > LONGEST_MANIFEST:
            raise Problem(Code.MANIFEST_INVALID, "manifest is larger than 4 MiB", status=413)


def _put(call: Call, body: IO[bytes], digest: str, tags: list[str]) -> Entry:
    body.seek(0)
    data = body.read()
    entry = Entry.read(data, call.header("content-type"), digest)
    call.store.put_manifest(call.repository, data, entry, tags=tags)
    return entry


def _page(call: Call, entries: list[str]) -> tuple[list[str], dict[str, str]]:
    """Cut one page out of a sorted list; the Link header says where the next begins."""
    most = _most(call)
    start = bisect.bisect_right(entries, call.query("last")) if call.query("last") else 0
    page = entries[start : start + most]
    # MUST (spec, "Listing Tags"): where n is zero the list is empty, and there is no Link header.
    has_more = page and start + most < len(entries)
    return page, _link(call, page[-1], most) if has_more else {}


def _most(call: Call) -> int:
    """Return how many entries are asked for, or allowed."""
    text = call.query("n")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Problem(Code.UNSUPPORTED, "n must be a number", status=400)
    return min(int(text) if text else LARGEST_PAGE, LARGEST_PAGE)


def _link(call: Call, last: object, most: int, **more: str) -> dict[str, str]:
    """Say where the next page is (RFC 5988)."""
    following = urlencode({**more, "n": most, "last": last})
    return {"Link": f'<{quote(call.request.url.path)}?{following}>; rel="next"'}
