"""Every request of the protocol has a purpose, and every answer a meaning, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockersim.registry import FileLog, MemoryLog, WireEvent, explain
from dockersim.registry.purpose import Purpose

DIGEST = "sha256:" + "a" * 64
REQUESTS = [
    ("GET", "/v2/", "", Purpose.CHECK_API),
    ("GET", "/token", "scope=x", Purpose.GET_TOKEN),
    ("HEAD", f"/v2/a/b/blobs/{DIGEST}", "", Purpose.CHECK_BLOB),
    ("GET", f"/v2/a/b/blobs/{DIGEST}", "", Purpose.GET_BLOB),
    ("DELETE", f"/v2/a/b/blobs/{DIGEST}", "", Purpose.DELETE_BLOB),
    ("POST", "/v2/a/b/blobs/uploads/", "", Purpose.START_UPLOAD),
    ("POST", "/v2/a/b/blobs/uploads/", f"mount={DIGEST}&from=c", Purpose.MOUNT_BLOB),
    ("POST", "/v2/a/b/blobs/uploads/", f"digest={DIGEST}", Purpose.UPLOAD_WHOLE),
    ("PATCH", "/v2/a/b/blobs/uploads/x", "", Purpose.SEND_CHUNK),
    ("PUT", "/v2/a/b/blobs/uploads/x", f"digest={DIGEST}", Purpose.FINISH_UPLOAD),
    ("GET", "/v2/a/b/blobs/uploads/x", "", Purpose.UPLOAD_STATUS),
    ("DELETE", "/v2/a/b/blobs/uploads/x", "", Purpose.CANCEL_UPLOAD),
    ("HEAD", "/v2/a/b/manifests/v1", "", Purpose.CHECK_MANIFEST),
    ("GET", "/v2/a/b/manifests/v1", "", Purpose.GET_MANIFEST),
    ("PUT", "/v2/a/b/manifests/v1", "", Purpose.PUT_MANIFEST),
    ("DELETE", "/v2/a/b/manifests/v1", "", Purpose.DELETE_MANIFEST),
    ("GET", "/v2/a/b/tags/list", "n=2", Purpose.LIST_TAGS),
    ("GET", "/v2/_catalog", "", Purpose.LIST_REPOSITORIES),
    ("GET", f"/v2/a/b/referrers/{DIGEST}", "", Purpose.LIST_REFERRERS),
    ("GET", "/favicon.ico", "", Purpose.OTHER),
]


@pytest.mark.parametrize(("method", "path", "query", "purpose"), REQUESTS)
def test_every_request_is_explained(method: str, path: str, query: str, purpose: Purpose) -> None:
    for status in (0, 200, 201, 202, 204, 400, 401, 404, 500, 599):
        event = WireEvent.of(method, path, query=query, status=status)
        assert event.purpose is purpose
        assert explain(event).startswith(str(purpose)) and explain(event).count("\n") == 0
        assert WireEvent.from_json(event.to_json()) == event


def test_the_digest_is_found_in_path_and_query() -> None:
    assert WireEvent.of("PUT", "/v2/a/blobs/uploads/x", query="digest=" + DIGEST.replace(":", "%3A")).digest == DIGEST
    assert WireEvent.of("GET", f"/v2/a/blobs/{DIGEST}").digest == DIGEST


@pytest.mark.parametrize("name", ["token", "access_token", "password", "X-Amz-Signature", "sig", "account", "_state"])
def test_what_could_be_a_secret_stays_out(name: str) -> None:
    assert "s3cret" not in WireEvent.of("GET", "/v2/", query=f"{name}=s3cret&n=1").to_json()


def test_a_log_on_disk_reads_back_and_skips_half_a_line(tmp_path: Path) -> None:
    file, memory = FileLog(tmp_path / "wire.jsonl"), MemoryLog()
    for log in (file, memory):
        for status in (200, 404):
            log.record(WireEvent.of("GET", "/v2/", status=status))
    with file.path.open("a") as raw:
        raw.write('{"method": "GE')
    assert file.events() == memory.events
