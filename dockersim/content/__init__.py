"""Blobs by digest, the layers among them, and the one database beside them.

What an image is made of lies in a *content store*: a directory of blobs, each under the name that its own
bytes give it. Two images that share a layer share the blob; a blob that was damaged no longer fits its name.
The directory is an OCI image layout (image-spec, image-layout.md), so that other tools read it in place:

    ROOT/oci-layout  index.json  blobs/sha256/...     the layout itself
    ROOT/ingest/                                      blobs that are still being written
    ROOT/layers/                                      what is worth remembering about a layer: its index, its
    gzip ROOT/leases/                                      what running builds need, so that a sweep spares it
    ROOT/dockersim.db                                 names, cache entries, containers (SQLite)

The real thing is containerd's ``core/content`` (store, writer, leases) and its garbage collector. The law of
the package: a blob is there whole or not at all. It is written to a temporary file, hashed on the way, and
renamed; a kill at any moment leaves a store that opens.

>>> import tempfile
>>> from pathlib import Path
>>> with tempfile.TemporaryDirectory() as folder:
...     store = ContentStore(Path(folder))
...     digest = store.put(b"hello")
...     store.read(digest), store.has(digest)
(b'hello', True)
"""

from __future__ import annotations

from dockersim.content.database import Database
from dockersim.content.garbage import Collected, collect
from dockersim.content.layers import Layer, LayerStore, NewLayer
from dockersim.content.leases import Lease, lease
from dockersim.content.store import BlobWriter, ContentStore

__all__ = [
    "BlobWriter",
    "Collected",
    "ContentStore",
    "Database",
    "Layer",
    "LayerStore",
    "Lease",
    "NewLayer",
    "collect",
    "lease",
]
