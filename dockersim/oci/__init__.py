"""The documents that describe an image, and the names by which people call it.

An image is four kinds of JSON document that name each other by digest (OCI image-spec v1.1):

    Index      one name, several platforms             image-index.md
    Manifest   one image: its config and its layers    manifest.md
    ImageConfig  how to run it, and how it was made    config.md
    Descriptor   media type, digest and size of any blob; the arrow between all of the above   descriptor.md

A ``Reference`` is what a person writes, ``ubuntu`` or ``localhost:5000/app:v1``; the real thing is the Go
library ``distribution/reference``, which docker, containerd and BuildKit share.

The law of this package: no I/O, and no surprise. Every type is frozen, ``from_json`` checks every field it
knows and says which one is wrong, fields it does not know are let pass, and ``to_json`` writes the same bytes
for the same values, as Go's encoder would, since those bytes are hashed.

>>> print(parse_reference("ubuntu").canonical())
docker.io/library/ubuntu:latest
>>> from dockersim.digest import sha256
>>> layer = Descriptor(media_types.LAYER, sha256(b""), 0)
>>> manifest = Manifest(config=Descriptor(media_types.CONFIG, sha256(b"{}"), 2), layers=(layer,))
>>> Manifest.from_json(manifest.to_json()) == manifest
True
"""

from __future__ import annotations

from dockersim.oci import media_types
from dockersim.oci.config import ContainerConfig, Healthcheck, History, ImageConfig
from dockersim.oci.descriptor import Descriptor, Platform
from dockersim.oci.gojson import LARGEST_DOCUMENT
from dockersim.oci.layout import LAYOUT_FILE, LAYOUT_JSON, check_layout
from dockersim.oci.manifest import Index, Manifest
from dockersim.oci.reference import DEFAULT_TAG, DOCKER_HUB, Reference, parse_any, parse_reference

__all__ = [
    "DEFAULT_TAG",
    "DOCKER_HUB",
    "LARGEST_DOCUMENT",
    "LAYOUT_FILE",
    "LAYOUT_JSON",
    "ContainerConfig",
    "Descriptor",
    "Healthcheck",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "Reference",
    "check_layout",
    "media_types",
    "parse_any",
    "parse_reference",
]
