"""What a request of the distribution protocol is for, in words.

Three tables: method and path give the purpose, purpose and status give the consequence, and the purpose gives the
reason why there is such a request at all. A learner who reads a push line by line with these sentences beside it has
read the protocol.

>>> purpose_of("PATCH", "/v2/alice/app/blobs/uploads/0b1c")
<Purpose.SEND_CHUNK: 'send a piece of the blob'>
>>> consequence(Purpose.PUT_MANIFEST, 201)
'stored; from now on the name can be pulled'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import parse_qs


class Purpose(StrEnum):
    """Why a client makes a request; the value is the sentence a learner reads."""

    CHECK_API = "ask whether this is a registry, and how to prove who one is"
    GET_TOKEN = "fetch a token, a short-lived pass that says what one may do"
    CHECK_BLOB = "ask whether the blob is already there"
    GET_BLOB = "fetch a blob: a layer or a config"
    DELETE_BLOB = "remove a blob from the repository"
    START_UPLOAD = "open an upload session for a blob"
    MOUNT_BLOB = "ask to take the blob over from another repository instead of sending it"
    UPLOAD_WHOLE = "send a whole blob in one request"
    SEND_CHUNK = "send a piece of the blob"
    FINISH_UPLOAD = "close the session and name the blob's digest, so that the registry can check it"
    UPLOAD_STATUS = "ask how much of the blob has arrived"
    CANCEL_UPLOAD = "give the upload up"
    CHECK_MANIFEST = "ask which digest a name stands for"
    GET_MANIFEST = "fetch the manifest, the list of the image's config and layers"
    PUT_MANIFEST = "put the manifest under its name; last, when all that it lists is there"
    DELETE_MANIFEST = "remove a tag or a manifest; layers stay until garbage collection"
    LIST_TAGS = "list the tags of a repository"
    LIST_REPOSITORIES = "list the repositories"
    LIST_REFERRERS = "list what refers to an image: signatures, SBOMs"
    SEE_PAGE = "look at the registry's own page; not of the protocol"
    COLLECT_GARBAGE = "have the registry remove the blobs that no manifest names; not of the protocol"
    OTHER = "something outside the protocol"


_UPLOADS = "blobs/uploads/?"
_TABLE: tuple[tuple[str, re.Pattern[str], Purpose], ...] = tuple(
    (method, re.compile(pattern), purpose)
    for method, pattern, purpose in (
        ("GET|HEAD", r"/v2/?", Purpose.CHECK_API),
        ("GET|POST", r".*/token(/.*)?", Purpose.GET_TOKEN),
        ("GET", r"/v2/_catalog", Purpose.LIST_REPOSITORIES),
        ("POST", rf"/v2/.+/{_UPLOADS}", Purpose.START_UPLOAD),
        ("PATCH", r"/v2/.+/blobs/uploads/.+", Purpose.SEND_CHUNK),
        ("PUT", r"/v2/.+/blobs/uploads/.+", Purpose.FINISH_UPLOAD),
        ("GET|HEAD", r"/v2/.+/blobs/uploads/.+", Purpose.UPLOAD_STATUS),
        ("DELETE", r"/v2/.+/blobs/uploads/.+", Purpose.CANCEL_UPLOAD),
        ("HEAD", r"/v2/.+/blobs/.+", Purpose.CHECK_BLOB),
        ("GET", r"/v2/.+/blobs/.+", Purpose.GET_BLOB),
        ("DELETE", r"/v2/.+/blobs/.+", Purpose.DELETE_BLOB),
        ("HEAD", r"/v2/.+/manifests/.+", Purpose.CHECK_MANIFEST),
        ("GET", r"/v2/.+/manifests/.+", Purpose.GET_MANIFEST),
        ("PUT", r"/v2/.+/manifests/.+", Purpose.PUT_MANIFEST),
        ("DELETE", r"/v2/.+/manifests/.+", Purpose.DELETE_MANIFEST),
        ("GET", r"/v2/.+/tags/list", Purpose.LIST_TAGS),
        ("GET", r"/v2/.+/referrers/.+", Purpose.LIST_REFERRERS),
        ("POST", r"/delete", Purpose.DELETE_MANIFEST),
        ("POST", r"/garbage", Purpose.COLLECT_GARBAGE),
        ("GET|HEAD", r"/(repositories|image|delete|garbage|requests|events|page\.css|page\.js)?", Purpose.SEE_PAGE),
    )
)

_CONSEQUENCES: Mapping[tuple[Purpose, int], str] = {
    (Purpose.CHECK_API, 200): "it is, and we may come in",
    (Purpose.CHECK_API, 401): "it is, and says where to fetch a token",
    (Purpose.GET_TOKEN, 200): "granted",
    (Purpose.GET_TOKEN, 401): "name or password is wrong",
    (Purpose.CHECK_BLOB, 200): "it is, so it need not be sent",
    (Purpose.CHECK_BLOB, 404): "it is not, so it must be sent",
    (Purpose.GET_BLOB, 200): "here it is; its digest is checked as it arrives",
    (Purpose.GET_BLOB, 206): "here is the part asked for, so a broken download goes on where it stopped",
    (Purpose.START_UPLOAD, 202): "opened; Location says where to send the bytes",
    (Purpose.MOUNT_BLOB, 201): "done: not one byte was sent",
    (Purpose.MOUNT_BLOB, 202): "not there either, so a session was opened to send it",
    (Purpose.UPLOAD_WHOLE, 201): "arrived, digest checked and right",
    (Purpose.SEND_CHUNK, 202): "arrived; Range says how much the registry has now",
    (Purpose.SEND_CHUNK, 416): "the piece does not start where the last one ended",
    (Purpose.FINISH_UPLOAD, 201): "digest checked and right: the blob is stored",
    (Purpose.FINISH_UPLOAD, 400): "the bytes do not have that digest; nothing is stored",
    (Purpose.UPLOAD_STATUS, 204): "Range says how much; go on from there",
    (Purpose.CANCEL_UPLOAD, 204): "given up",
    (Purpose.CHECK_MANIFEST, 200): "Docker-Content-Digest says",
    (Purpose.CHECK_MANIFEST, 404): "nothing has that name here",
    (Purpose.GET_MANIFEST, 200): "here it is",
    (Purpose.GET_MANIFEST, 404): "nothing has that name here",
    (Purpose.PUT_MANIFEST, 201): "stored; from now on the name can be pulled",
    (Purpose.PUT_MANIFEST, 404): "it lists a blob that was never sent",
    (Purpose.DELETE_MANIFEST, 202): "removed; the blobs are still on the disk",
    (Purpose.DELETE_MANIFEST, 409): "the registry has changed since the plan was made: here is a new one",
    (Purpose.COLLECT_GARBAGE, 409): "the registry has changed since the plan was made: here is a new one",
    (Purpose.DELETE_BLOB, 202): "removed",
    (Purpose.LIST_REFERRERS, 200): "an index of them, which may be empty",
}

_REASONS: Mapping[Purpose, str] = {
    Purpose.CHECK_API: "The first answer is often 401, and not an error: it says which registry this is and where "
    "tokens are to be had.",
    Purpose.GET_TOKEN: "The password goes to the token server only. All other requests carry the token, which is good "
    "for minutes and for one repository.",
    Purpose.CHECK_BLOB: "HEAD asks for the headers without the body. A blob is named by the hash of its content, so "
    "the answer 200 is proof enough that these very bytes are there: asking costs some hundred bytes, and saves the "
    "whole layer. That is docker's 'Layer already exists'.",
    Purpose.MOUNT_BLOB: "The registry keeps every blob once. Another of its repositories has this one, so it only "
    "notes that this repository may show it too. That is docker's 'Mounted from'.",
    Purpose.START_UPLOAD: "An upload is a session with an address of its own, so that one that breaks off can go on "
    "where it stopped.",
    Purpose.SEND_CHUNK: "A large blob goes in pieces: after a broken connection one piece is sent again, not the blob.",
    Purpose.FINISH_UPLOAD: "Only now does the registry learn which digest the bytes should have; it has hashed them "
    "itself, and keeps them only if the two agree.",
    Purpose.PUT_MANIFEST: "The manifest lists the config and the layers by digest and size. It comes last: as soon as "
    "it is there the image can be pulled, so nobody can ever pull half of one.",
    Purpose.CHECK_MANIFEST: "A tag can be moved, a digest cannot: this finds out what the tag stands for now.",
    Purpose.GET_MANIFEST: "The manifest says which config and which layers make the image. What is here already by "
    "digest need not be fetched. For several platforms there is an index first, which lists a manifest for each.",
    Purpose.GET_BLOB: "Config and layers are fetched by digest, and hashed as they arrive: it does not matter who "
    "sends them.",
    Purpose.DELETE_MANIFEST: "This removes a name or a manifest, and frees nothing yet: its layers may belong to other "
    "images too. Garbage collection looks which blobs no manifest names any more, and removes those.",
    Purpose.COLLECT_GARBAGE: "All manifests are read, the blobs that they name are marked, and what has no mark is "
    "removed: mark and sweep.",
    Purpose.LIST_REFERRERS: "A signature or an SBOM is pushed beside an image and names it as its subject; this finds "
    "them by the image's digest.",
}

_GENERAL: Mapping[int, str] = {
    0: "no answer came",
    304: "it is still what the one who asks has",
    307: "go to another address for it; no credentials are sent there",
    400: "the request makes no sense to the registry",
    401: "first prove who you are",
    403: "not with this name",
    404: "not here",
    405: "this registry does not do that",
    416: "there is no such part",
    429: "too many requests; wait",
}


def purpose_of(method: str, path: str, query: str = "") -> Purpose:
    """Find what a request is for."""
    for methods, pattern, purpose in _TABLE:
        if method in methods.split("|") and pattern.fullmatch(path):
            return _start(query) if purpose is Purpose.START_UPLOAD else purpose
    return Purpose.OTHER


def _start(query: str) -> Purpose:
    names = parse_qs(query)
    if "mount" in names:
        return Purpose.MOUNT_BLOB
    return Purpose.UPLOAD_WHOLE if "digest" in names else Purpose.START_UPLOAD


def consequence(purpose: Purpose, status: int) -> str:
    """Say what an answer means for whoever asked."""
    special = _CONSEQUENCES.get((purpose, status)) or _GENERAL.get(status)
    if special:
        return special
    return "done" if 200 <= status < 300 else f"the answer was {status}"


def spares(purpose: Purpose, status: int) -> bool:
    """Tell whether an answer means that a blob need not be sent."""
    return (purpose, status) in ((Purpose.CHECK_BLOB, 200), (Purpose.MOUNT_BLOB, 201))


def reason(purpose: Purpose) -> str:
    """Say why the protocol has such a request; "" where the purpose itself says it all.

    >>> reason(Purpose.START_UPLOAD)
    'An upload is a session with an address of its own, so that one that breaks off can go on where it stopped.'
    """
    return _REASONS.get(purpose, "")
