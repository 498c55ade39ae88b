"""How to run an image, and how it was made (image-spec, config.md).

The digest of this document is the image's id. Docker adds three fields to those of the OCI: Healthcheck,
OnBuild and Shell (moby's ``docker-image-spec``, v1.3).

>>> config = ImageConfig(architecture="amd64", config=ContainerConfig(cmd=("sh",), args_escaped=True))
>>> config.to_json().decode()
'{"architecture":"amd64","config":{"Cmd":["sh"],"ArgsEscaped":true},"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from dockersim.digest import DiffID
from dockersim.errors import ContentError
from dockersim.oci.descriptor import Platform
from dockersim.oci.gojson import Document, Fields, check_digest, encode, omit_empty, sorted_map

MOST_LAYERS = 500
"""How many layers an image may have: so many overlayfs can stack (OVL_MAX_STACK in Linux' fs/overlayfs/params.h).
Docker's own limit, for its older drivers, is 125 (moby, layer/layer_store.go)."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class Healthcheck(Struct, frozen=True):
    """How docker asks a container whether it is well; durations in nanoseconds, 0 for docker's default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0

    @classmethod
    def from_fields(cls, fields: Fields) -> Healthcheck:
        """Read a Healthcheck object."""
        return cls(
            test=fields.texts("Test"),
            interval=fields.integer("Interval"),
            timeout=fields.integer("Timeout"),
            start_period=fields.integer("StartPeriod"),
            start_interval=fields.integer("StartInterval"),
            retries=fields.integer("Retries"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object in Go's field order."""
        document = {
            "Test": list(self.test),
            "Interval": self.interval,
            "Timeout": self.timeout,
            "StartPeriod": self.start_period,
            "StartInterval": self.start_interval,
            "Retries": self.retries,
        }
        return omit_empty(document)


class ContainerConfig(Struct, frozen=True):
    """What a container starts with. ``env`` is ``NAME=value`` in order; ports are written ``5000/tcp``."""

    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False

    @classmethod
    def from_fields(cls, fields: Fields) -> ContainerConfig:
        """Read the ``config`` object; what docker once kept there too (Hostname, ...) is left out."""
        env = fields.texts("Env")
        for position, pair in enumerate(env):
            if not pair.partition("=")[1] or pair.startswith("="):
                raise ContentError(f"{fields.where}.Env[{position}] must be NAME=value, not {pair[:80]!r}")
        return cls(
            env=env,
            cmd=fields.texts("Cmd"),
            entrypoint=fields.texts("Entrypoint"),
            working_dir=fields.text("WorkingDir"),
            user=fields.text("User"),
            exposed_ports=fields.keys("ExposedPorts"),
            volumes=fields.keys("Volumes"),
            labels=fields.text_map("Labels"),
            stop_signal=fields.text("StopSignal"),
            healthcheck=_healthcheck(fields),
            shell=fields.texts("Shell"),
            on_build=fields.texts("OnBuild"),
            args_escaped=fields.flag("ArgsEscaped"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object in the order of Go's struct, empty fields left out."""
        document: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in sorted(self.exposed_ports)},
            "Env": list(self.env),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Volumes": {path: {} for path in sorted(self.volumes)},
            "WorkingDir": self.working_dir,
            "Labels": sorted_map(self.labels),
            "StopSignal": self.stop_signal,
            "ArgsEscaped": self.args_escaped,
            "Healthcheck": None if self.healthcheck is None else self.healthcheck.as_json(),
            "OnBuild": list(self.on_build),
            "Shell": list(self.shell),
        }
        present = omit_empty(document)
        if self.healthcheck is not None:
            present.setdefault("Healthcheck", {})
        return present


class History(Struct, frozen=True):
    """One line of ``docker history``. ``empty_layer`` says that the instruction made no layer."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    @classmethod
    def from_fields(cls, fields: Fields) -> History:
        """Read one entry of ``history``."""
        return cls(
            created=_time(fields, "created"),
            created_by=fields.text("created_by"),
            author=fields.text("author"),
            comment=fields.text("comment"),
            empty_layer=fields.flag("empty_layer"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object in Go's field order."""
        document = {
            "created": self.created,
            "created_by": self.created_by,
            "author": self.author,
            "comment": self.comment,
            "empty_layer": self.empty_layer,
        }
        return omit_empty(document)


class ImageConfig(Struct, frozen=True):
    """The whole config of an image. ``diff_ids`` are the layers, lowest first; times are RFC 3339 texts.

    Times stay text because Go's have nanoseconds, which a Python ``datetime`` would cut off.
    """

    architecture: str
    os: str = "linux"
    config: ContainerConfig = field(default_factory=ContainerConfig)
    diff_ids: tuple[DiffID, ...] = ()
    history: tuple[History, ...] = ()
    created: str = ""
    author: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(self.architecture, self.os, self.variant, self.os_version, self.os_features)

    @classmethod
    def from_json(cls, document: Document) -> ImageConfig:
        """Read and check a config of the OCI or of docker; raise ContentError that names the field."""
        fields = Fields.of(document, "config")
        if not fields.has("rootfs"):
            raise ContentError("config.rootfs is missing")
        platform = Platform.from_fields(fields)
        return cls(
            architecture=platform.architecture,
            os=platform.os,
            config=ContainerConfig.from_fields(fields.one("config")),
            diff_ids=_diff_ids(fields.one("rootfs")),
            history=tuple(History.from_fields(entry) for entry in fields.many("history")),
            created=_time(fields, "created"),
            author=fields.text("author"),
            variant=platform.variant,
            os_version=platform.os_version,
            os_features=platform.os_features,
        )

    def to_json(self) -> bytes:
        """Write the config; equal values give equal bytes.

        The outermost fields are in alphabetical order: BuildKit fills them into a map before it writes them
        (``exporter/containerimage/writer.go``, ``patchImageConfig``).
        """
        optional = {
            "author": self.author,
            "created": self.created,
            "history": [entry.as_json() for entry in self.history],
            "os.features": list(self.os_features),
            "os.version": self.os_version,
            "variant": self.variant,
        }
        required = {
            "architecture": self.architecture,
            "config": self.config.as_json(),
            "os": self.os,
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
        }
        return encode(sorted_map(omit_empty(optional) | required))


def _diff_ids(rootfs: Fields) -> tuple[DiffID, ...]:
    # MUST (config.md): "type: MUST be set to layers. Implementations MUST generate an error if they encounter
    # an unknown value".
    kind = rootfs.text("type", required=True)
    if kind != "layers":
        raise ContentError(f"{rootfs.where}.type must be 'layers', not {kind[:80]!r}")
    texts = rootfs.texts("diff_ids")
    where = f"{rootfs.where}.diff_ids"
    if len(texts) > MOST_LAYERS:
        raise ContentError(f"{where} lists {len(texts)} layers, more than the {MOST_LAYERS} that can be stacked")
    return tuple(DiffID(check_digest(text, f"{where}[{at}]")) for at, text in enumerate(texts))


def _healthcheck(fields: Fields) -> Healthcheck | None:
    return Healthcheck.from_fields(fields.one("Healthcheck")) if fields.has("Healthcheck") else None


def _time(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if text and not _RFC3339.fullmatch(text):
        raise ContentError(f"{fields.where}.{name} is not an RFC 3339 time: {text[:80]!r}")
    return text
