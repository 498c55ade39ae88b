"""What the fields of a manifest, an index and a config mean (image-spec: manifest.md, image-index.md, config.md).

A key is a path into the document: ``*`` stands for any entry of a list, or any key of a map that people fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DESCRIPTOR: Final[Mapping[str, str]] = {
    "mediaType": "what kind of blob it is",
    "digest": "the hash of the blob's bytes: its name, and the proof that it is the right one",
    "size": "its bytes as stored and sent; a reader stops if there are more",
    "urls": "where else it may be fetched",
    "annotations": "notes for people and tools, in no fixed form",
    "data": "the blob itself, in base64, where it is small",
    "platform": "what it runs on",
    "artifactType": "what kind of artifact it is, if it is no image",
}

MANIFEST: Final[Mapping[str, str]] = {
    "schemaVersion": "always 2; kept for old readers",
    "mediaType": "that this is a manifest: one image for one platform",
    "artifactType": "what this is, if it is no image but a signature, an SBOM, ...",
    "config": "the config: how to run the image; its digest is the image id that docker shows",
    "layers": "the layers, lowest first; unpacked one over the other they are the file system",
    "subject": "the image that this one is about",
    "annotations": "notes for people and tools, in no fixed form",
    **{f"config.{name}": text for name, text in _DESCRIPTOR.items()},
    **{f"layers.*.{name}": text for name, text in _DESCRIPTOR.items()},
    **{f"subject.{name}": text for name, text in _DESCRIPTOR.items()},
}

INDEX: Final[Mapping[str, str]] = {
    "schemaVersion": "always 2; kept for old readers",
    "mediaType": "that this is an index: one name for several manifests",
    "manifests": "one manifest for each platform; who pulls takes the first that fits the machine",
    "subject": "the image that this one is about",
    "annotations": "notes for people and tools, in no fixed form",
    **{f"manifests.*.{name}": text for name, text in _DESCRIPTOR.items()},
    "manifests.*.platform.architecture": "the processor, in Go's words: amd64, arm64, ...",
    "manifests.*.platform.os": "the operating system",
    "manifests.*.platform.variant": "which kind of that processor",
}

CONFIG: Final[Mapping[str, str]] = {
    "architecture": "the processor it was built for, in Go's words",
    "variant": "which kind of that processor",
    "os": "the operating system it was built for",
    "author": "MAINTAINER, or LABEL in newer Dockerfiles",
    "created": "when it was built",
    "config": "what a container starts with",
    "config.User": "USER: who the process is; empty for root",
    "config.ExposedPorts": "EXPOSE: ports that are meant to be reached; a note, it opens nothing",
    "config.Env": "ENV: environment variables",
    "config.Entrypoint": "ENTRYPOINT: the program; what is typed after the image's name is added to it",
    "config.Cmd": "CMD: the command, or the arguments of the entrypoint, if nothing else is typed",
    "config.Volumes": "VOLUME: directories that get a volume of their own",
    "config.WorkingDir": "WORKDIR: where the process starts",
    "config.Labels": "LABEL: notes for people and tools",
    "config.StopSignal": "STOPSIGNAL: what docker stop sends",
    "config.ArgsEscaped": "for Windows: the command line is escaped already",
    "config.Healthcheck": "HEALTHCHECK: how docker asks whether it is well",
    "config.OnBuild": "ONBUILD: instructions for whoever builds FROM this image",
    "config.Shell": "SHELL: what the shell form of RUN is run with",
    "rootfs": "the file system",
    "rootfs.type": "always layers",
    "rootfs.diff_ids": "the hashes of the layers unpacked, lowest first: the same layer has one diff id, "
    "however it is compressed",
    "history": "one entry for each instruction, oldest first",
    "history.*.created": "when the instruction ran",
    "history.*.created_by": "the instruction",
    "history.*.comment": "who built it",
    "history.*.author": "MAINTAINER",
    "history.*.empty_layer": "it made no layer: ENV, CMD, LABEL and the like change only this config",
}
