"""A registry with something in it: images that share layers, an index, a signature, and one that means harm."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from typing import Any

import httpx

from dockersim.oci import media_types

SCRIPT = "<script>document.title='harmed'</script><img src=x onerror=\"document.title='harmed'\">"


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(name: str, size: int) -> bytes:
    """A layer that looks like one; its content does not matter to a registry."""
    return gzip.compress(random.Random(name).randbytes(size), 0, mtime=0)


BASE = layer("base", 40_000)
PYTHON = layer("python", 25_000)


class Shop:
    """Pushes with plain requests, as any client does."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def blob(self, repository: str, data: bytes, kind: str) -> dict[str, Any]:
        """Send a blob unless it is there, and describe it."""
        if self.http.head(f"/v2/{repository}/blobs/{sha(data)}").status_code != 200:
            url = f"/v2/{repository}/blobs/uploads/"
            self.http.post(url, params={"digest": sha(data)}, content=data).raise_for_status()
        return {"mediaType": kind, "digest": sha(data), "size": len(data)}

    def put(self, repository: str, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """Put a manifest or an index; "" puts it by its digest only."""
        data, kind = json.dumps(document).encode(), document["mediaType"]
        url = f"/v2/{repository}/manifests/{name or sha(data)}"
        self.http.put(url, content=data, headers={"Content-Type": kind}).raise_for_status()
        return {"mediaType": kind, "digest": sha(data), "size": len(data)}

    def image(self, repository: str, tag: str, *layers: bytes, **more: Any) -> dict[str, Any]:
        """Push an image of these layers; ``more`` goes into its config."""
        history = [{"created_by": f"RUN step {number}"} for number in range(1, len(layers) + 1)]
        history.append({"created_by": 'CMD ["python", "app.py"]', "empty_layer": True})
        config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["python", "app.py"]},
                  "rootfs": {"type": "layers", "diff_ids": [sha(one) for one in layers]}, "history": history,
                  "created": "2026-01-02T03:04:05Z"} | more  # fmt: skip
        described = self.blob(repository, json.dumps(config).encode(), media_types.CONFIG)
        blobs = [self.blob(repository, one, media_types.LAYER_GZIP) for one in layers]
        document = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "config": described, "layers": blobs}
        return self.put(repository, tag, document)

    def fill(self) -> None:
        """Push the images that the tests look at."""
        first = self.image("alice/app", "v1", BASE, PYTHON, layer("app 1", 3_000))
        self.image("alice/app", "v2", BASE, PYTHON, layer("app 2", 4_000))
        self.image("bob/tool", "latest", BASE, layer("tool", 9_000))
        self.signature("alice/app", first)
        arm = self.image("carol/many", "", layer("arm", 5_000), architecture="arm64")
        amd = self.image("carol/many", "", layer("amd", 5_500))
        platforms = [one | {"platform": {"os": "linux", "architecture": name}}
                     for one, name in ((amd, "amd64"), (arm, "arm64"))]  # fmt: skip
        index = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": platforms}
        self.put("carol/many", "latest", index)

    def signature(self, repository: str, subject: dict[str, Any]) -> None:
        """Push something that refers to an image."""
        empty = self.blob(repository, b"{}", media_types.EMPTY)
        document = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "artifactType": "application/vnd.test.sig",
                    "config": empty, "layers": [empty], "subject": subject}  # fmt: skip
        self.put(repository, "", document)

    def harm(self) -> None:
        """Push an image whose every text is a script."""
        config = {"Labels": {SCRIPT: SCRIPT}, "Env": [f"A={SCRIPT}"]}
        history = [{"created_by": SCRIPT}, {"created_by": SCRIPT, "empty_layer": True}]
        data = json.dumps({"config": config, "history": history, "os": SCRIPT, "\u202e": "\ud800\x1b[31m"}).encode()
        described = self.blob("eve/evil", data, media_types.CONFIG)
        only = self.blob("eve/evil", layer("evil", 100), media_types.LAYER_GZIP) | {"mediaType": SCRIPT}
        notes = {SCRIPT: SCRIPT, "link": "javascript:document.title='harmed'"}
        document = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "config": described, "layers": [only],
                    "annotations": notes, "artifactType": SCRIPT, "</script>": SCRIPT}  # fmt: skip
        evil = self.put("eve/evil", "latest", document)
        entry = evil | {"platform": {"os": SCRIPT, "architecture": [SCRIPT]}}
        index = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": [entry], "annotations": notes}
        self.put("eve/evil", "index", index)
