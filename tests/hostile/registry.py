"""The practice registry as a way in: blobs and documents are put as they are, whatever they say."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
from starlette.testclient import TestClient

from dockersim.registry.server.service import make_app
from tests.hostile.arena import Arena
from tests.hostile.documents import INDEX, MANIFEST, Documents, digest_of
from tests.hostile.ways import Ended, call

REPOSITORY = "test/hostile"


def push_raw(arena: Arena, documents: Documents) -> Ended:
    """Put everything by hand; the answers must be those of the protocol, and the registry stay up."""
    said: list[str] = []

    def put_all() -> None:
        app = make_app(arena.home / "registry")
        http = TestClient(app, base_url="http://127.0.0.1:5000", client=("127.0.0.1", 40000))
        for answer in _answers(http, documents):
            assert answer.status_code < 500, f"{answer.status_code} {answer.text[:100]}"
            if answer.status_code >= 400:
                said.append(json.loads(answer.text)["errors"][0]["message"])
        assert http.get("/v2/").status_code in (200, 401)

    ended = call(put_all)
    return ended if ended.bug or not said else Ended(1, said[0])


def _answers(http: TestClient, documents: Documents) -> Iterator[httpx.Response]:
    for digest, data in documents.blobs().items():
        began = http.post(f"/v2/{REPOSITORY}/blobs/uploads/")
        assert began.status_code == 202, began.text
        yield http.put(began.headers["location"], params={"digest": digest}, content=data)
    for name, kind, data in (
        (digest_of(documents.manifest), MANIFEST, documents.manifest),
        ("latest", INDEX, documents.index),
    ):
        url = f"/v2/{REPOSITORY}/manifests/{name}"
        put = http.put(url, content=data, headers={"Content-Type": kind})
        yield put
        if put.is_success:
            yield http.get(url, headers={"Accept": kind})
