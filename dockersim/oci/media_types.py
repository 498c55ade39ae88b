"""The media types by which a blob says what it is.

Those of the OCI come from image-spec, media-types.md; those of docker, which registries still serve, from
distribution's ``image-manifest-v2-2.md``. They differ in name only: the documents have the same fields.
"""

from __future__ import annotations

from typing import Final

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
EMPTY: Final = "application/vnd.oci.empty.v1+json"

DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD: Final = "application/vnd.docker.image.rootfs.diff.tar.zstd"

INDEXES: Final = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS: Final = frozenset({MANIFEST, DOCKER_MANIFEST})
CONFIGS: Final = frozenset({CONFIG, DOCKER_CONFIG})
PLAIN_LAYERS: Final = frozenset({LAYER, DOCKER_LAYER})
GZIP_LAYERS: Final = frozenset({LAYER_GZIP, DOCKER_LAYER_GZIP})
ZSTD_LAYERS: Final = frozenset({LAYER_ZSTD, DOCKER_LAYER_ZSTD})
FOREIGN_LAYERS: Final = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
"""Layers that are not pushed, since only their maker may give them away: their ``urls`` say where they are."""
LAYERS: Final = PLAIN_LAYERS | GZIP_LAYERS | ZSTD_LAYERS

REFERENCE_NAME: Final = "org.opencontainers.image.ref.name"
"""The annotation that gives a manifest of an ``index.json`` its name (image-spec, annotations.md)."""
