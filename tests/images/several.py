"""Makes images for several platforms, as archives."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from dockersim.digest import sha256
from dockersim.oci import ContainerConfig, ImageConfig, media_types

ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}


class Several:
    """An index over images of one gzipped layer each, with BuildKit's attestation of the first. ``blobs`` by digest."""

    def __init__(self, *architectures: str) -> None:
        self.blobs: dict[str, bytes] = {}
        self.ids = dict.fromkeys(architectures, "")
        entries = [self._image(name) for name in architectures]
        statement = self._manifest(self.blob(b"{}", media_types.CONFIG), self.blob(b'{"slsa": 1}', "application/json"))
        entries.append({**statement, "annotations": ATTESTED, "platform": {"architecture": "unknown", "os": "unknown"}})
        document = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": entries, "annotations": {"a": "b"}}
        self.index = self.blob(json.dumps(document, indent=3).encode(), media_types.INDEX)

    @property
    def digest(self) -> str:
        """The digest of the index."""
        return str(self.index["digest"])

    def archive(self, name: str = "", *, leave_out: str = "") -> bytes:
        """Pack it as an OCI archive; the blob ``leave_out`` is missing."""
        annotations = {"annotations": {media_types.REFERENCE_NAME: name}} if name else {}
        listing = {"schemaVersion": 2, "manifests": [{**self.index, **annotations}]}
        files = {f"blobs/sha256/{digest[7:]}": data for digest, data in self.blobs.items() if digest != leave_out}
        files |= {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(listing).encode()}
        return packed(files)

    def _image(self, architecture: str) -> dict[str, Any]:
        tar = packed({"arch": architecture.encode()})
        config = ImageConfig(architecture, config=ContainerConfig(cmd=("sh",)), diff_ids=(sha256(tar),)).to_json()
        self.ids[architecture] = sha256(config)
        layer = self.blob(gzip.compress(tar, mtime=0), media_types.LAYER_GZIP)
        manifest = self._manifest(self.blob(config, media_types.CONFIG), layer)
        return {**manifest, "platform": {"architecture": architecture, "os": "linux"}}

    def _manifest(self, config: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": media_types.MANIFEST, "config": config, "layers": [layer]}
        return self.blob(json.dumps(document, indent=2).encode(), media_types.MANIFEST)

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Add a blob; return its descriptor."""
        self.blobs[sha256(data)] = data
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


def packed(files: Mapping[str, bytes]) -> bytes:
    """Make a tar of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
