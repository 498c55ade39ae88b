"""Attacks by what the documents of an image say: index, manifest, config.

``Documents`` is an honest image of one small layer; each attack changes one of its documents, as an object or as bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tests.hostile.saying import Says
from tests.hostile.tars import END, member

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLATFORM = {"architecture": "amd64", "os": "linux"}
NAMED = {
    "io.containerd.image.name": "docker.io/library/hostile:latest",
    "org.opencontainers.image.ref.name": "latest",
}
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def digest_of(data: bytes) -> str:
    """Name bytes by their hash."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(kind: str, data: bytes, **more: Any) -> dict[str, Any]:
    """Name a blob truthfully, but for what ``more`` says."""
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data), **more}


@dataclass(frozen=True)
class Documents:
    """An image as it is served or saved. ``raw`` puts bytes in the place of one of the documents."""

    tars: tuple[bytes, ...]
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    more: dict[str, bytes] = field(default_factory=dict)
    """Further blobs, by the digest that they go by."""

    @cached_property
    def layers(self) -> tuple[bytes, ...]:
        """The layers as they travel."""
        return tuple(gzip.compress(tar, 1, mtime=0) for tar in self.tars)

    @cached_property
    def config(self) -> bytes:
        """The config's bytes."""
        rootfs = {"type": "layers", "diff_ids": [digest_of(tar) for tar in self.tars]}
        history = [{"created": "2024-01-01T00:00:00Z", "created_by": f"layer {n}"} for n in range(len(self.tars))]
        honest = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": rootfs,
            "history": history,
        }
        return self._bytes("config", honest)

    @cached_property
    def manifest(self) -> bytes:
        """The manifest's bytes."""
        honest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, self.config),
            "layers": [descriptor(LAYER, layer) for layer in self.layers],
        }
        return self._bytes("manifest", honest)

    @cached_property
    def index(self) -> bytes:
        """The bytes of the index: ``index.json`` of a layout, or what a tag stands for in a registry."""
        entry = descriptor(MANIFEST, self.manifest, platform=PLATFORM, annotations=NAMED)
        return self._bytes("index", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})

    def blobs(self) -> dict[str, bytes]:
        """Every blob by the digest it goes by; ``more`` may lie."""
        honest = (self.config, self.manifest, *self.layers)
        return {digest_of(data): data for data in honest} | self.more

    def touches(self, *names: str) -> bool:
        """Tell whether the attack is in one of these documents."""
        return any(name in self.changes or name in self.raw for name in names)

    def _bytes(self, name: str, honest: dict[str, Any]) -> bytes:
        if name in self.raw:
            return self.raw[name]
        return json.dumps(honest | self.changes.get(name, {})).encode()


HONEST = Documents((member("f", b"x") + END,))
DocumentsOf = Callable[[], Documents]
ATTACKS: dict[str, tuple[DocumentsOf, Says]] = {}
"""Each attack by its name, with what is said of it."""


def attack(refused: str = "", elsewhere: dict[str, str] | None = None) -> Callable[[DocumentsOf], DocumentsOf]:
    """Note an attack, and what is said of it."""

    def note(make: DocumentsOf) -> DocumentsOf:
        ATTACKS[make.__name__] = make, Says(refused, elsewhere or {})
        return make

    return note


def _config(**fields: Any) -> Documents:
    return replace(HONEST, changes={"config": fields})


def _manifest(**fields: Any) -> Documents:
    return replace(HONEST, changes={"manifest": fields})


def _each_is(name: str, data: bytes) -> Documents:
    return replace(HONEST, raw={name: data})


NOT_JSON = "is not JSON|is damaged|no number"

for _name in ("config", "manifest", "index"):
    for _what, _data, _says in (
        ("empty", b"", NOT_JSON),
        ("a_list", b"[]", "must be a JSON object|schemaVersion|not an image|damaged"),
        ("no_object_but_null", b"null", "must be a JSON object|damaged"),
        ("deep", b'{"a":' * 200_000 + b"1" + b"}" * 200_000, NOT_JSON),
        ("deep_and_open", b"[" * 1_000_000, NOT_JSON),
        ("no_utf8", b'{"a":"\xff"}', NOT_JSON),
        ("utf16", '{"schemaVersion":2}'.encode("utf-16"), NOT_JSON),
        ("not_a_number", b'{"schemaVersion":NaN}', NOT_JSON),
        ("a_number_of_a_million_digits", b'{"schemaVersion":' + b"9" * 1_000_000 + b"}", NOT_JSON),
        ("huge", b'{"a":"' + b"x" * (9 << 20) + b'"}', "is larger than|longer than any document|bytes"),
        ("an_image_and_an_index_at_once", b'{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}',
         "ambiguous|must not have|missing|rootfs|lists no image|no matching|is not an image"),
    ):  # fmt: skip
        attack(_says)(
            type("Make", (), {"__call__": lambda _, name=_name, data=_data: _each_is(name, data),
                              "__name__": f"{_name}_that_is_{_what}"})()
        )  # fmt: skip


@attack("is not what its name says|is not what .* says|lists no image")
def index_that_names_itself() -> Documents:
    """No index can know its own digest; a member of an archive, or a registry, can say that it is it."""
    lie = "sha256:" + "a" * 64
    itself = {"mediaType": INDEX, "digest": lie, "size": 300, "platform": PLATFORM, "annotations": NAMED}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [itself] * 50}).encode()
    return replace(HONEST, raw={"index": index}, more={lie: index})


@attack("is not what its name says|stopped in the middle of a blob|has not the 500 bytes")
def manifest_whose_config_is_itself() -> Documents:
    lie = "sha256:" + "b" * 64
    config = {"mediaType": CONFIG, "digest": lie, "size": 500}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()
    return replace(HONEST, raw={"manifest": manifest}, more={lie: manifest})


@attack("list more than|not an image|no matching manifest", {"oci-layout://": "", "load OCI": ""})
def indexes_that_list_each_other_a_thousand_times() -> Documents:
    """Four documents of a few hundred kilobytes: a million million manifests to whoever follows each."""
    more, inner, kind = {}, HONEST.manifest, MANIFEST
    for _ in range(4):
        entry = descriptor(kind, inner, platform=PLATFORM, annotations=NAMED)
        inner, kind = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 1000}).encode(), INDEX
        more[digest_of(inner)] = inner
    return replace(HONEST, raw={"index": inner}, more=more)


@attack("nested too deeply|not an image|no match")
def indexes_nested_a_hundred_deep() -> Documents:
    more, inner, kind = {}, HONEST.manifest, MANIFEST
    for _ in range(100):
        entry = descriptor(kind, inner, platform=PLATFORM, annotations=NAMED)
        inner, kind = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode(), INDEX
        more[digest_of(inner)] = inner
    return replace(HONEST, raw={"index": inner}, more=more)


@attack("more than the 500|longer than any document")
def config_of_a_hundred_thousand_layers() -> Documents:
    one = digest_of(HONEST.tars[0])
    layers = [descriptor(LAYER, HONEST.layers[0])] * 30_000
    changes = {"config": {"rootfs": {"type": "layers", "diff_ids": [one] * 100_000}}, "manifest": {"layers": layers}}
    return replace(HONEST, changes=changes)


@attack("is larger than|longer than any document|bytes|413|too large")
def manifest_of_a_million_layers() -> Documents:
    return _manifest(layers=[descriptor(LAYER, HONEST.layers[0])] * 1_000_000)


@attack("layers, but its config|its config [0-9]+|its config")
def config_with_more_layers_than_the_manifest() -> Documents:
    return _config(rootfs={"type": "layers", "diff_ids": [digest_of(HONEST.tars[0])] * 3})


@attack()
def history_longer_than_the_layers() -> Documents:
    return _config(history=[{"created_by": f"step {n}"} for n in range(10_000)])


@attack("is damaged: it unpacks to|unpacks to")
def layer_that_is_another_one() -> Documents:
    other = gzip.compress(member("f", b"evil") + END, mtime=0)
    return replace(_manifest(layers=[descriptor(LAYER, other)]), more={digest_of(other): other})


@attack("must be at least 0|size|should have")
def layer_of_negative_size() -> Documents:
    return _manifest(layers=[descriptor(LAYER, HONEST.layers[0], size=-1)])


@attack("has not the [0-9]+ bytes|stopped in the middle of a blob")
def layer_of_exabytes() -> Documents:
    return _manifest(layers=[descriptor(LAYER, HONEST.layers[0], size=1 << 62)])


@attack("must be a whole number|size")
def layer_of_a_size_that_is_no_number() -> Documents:
    return _manifest(layers=[descriptor(LAYER, HONEST.layers[0], size=1.5)])


@attack("not a digest|digest")
def layer_whose_digest_is_a_path() -> Documents:
    return _manifest(layers=[descriptor(LAYER, HONEST.layers[0], digest="sha256:../../../../etc/passwd")])


@attack("not a sha256 digest|not a digest|has no|cannot be read")
def layer_whose_digest_is_of_another_kind() -> Documents:
    return _manifest(layers=[descriptor(LAYER, HONEST.layers[0], digest="md5:" + "a" * 32)])


@attack("unknown media type|media type|manifest invalid")
def layer_of_an_unknown_kind() -> Documents:
    return _manifest(layers=[descriptor("application/x-\x1b[2J", HONEST.layers[0])])


@attack("not an image but an artifact")
def config_of_another_kind() -> Documents:
    return _manifest(config=descriptor("application/vnd.evil.v1+json", HONEST.config))


@attack("rootfs is missing")
def config_without_its_layers() -> Documents:
    return _config(rootfs=None)


@attack("must be 'layers'")
def config_of_other_layers() -> Documents:
    return _config(rootfs={"type": "\x1b[2Jevil", "diff_ids": []})


@attack("diff_ids")
def config_whose_layers_are_paths() -> Documents:
    return _config(rootfs={"type": "layers", "diff_ids": ["sha256:../../../etc/passwd"]})


@attack("must be NAME=value|Env")
def config_with_odd_variables() -> Documents:
    return _config(config={"Env": ["\x1b[2J", 3, None]})


@attack("must be|architecture")
def config_of_wrong_types() -> Documents:
    return _config(architecture=["amd64"], config=[1], history={"a": 1})


@attack()
def escapes_in_everything_that_is_shown() -> Documents:
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\u202e<script>alert(1)</script>"
    shown = {"Labels": {evil: evil}, "Env": [f"A={evil}"], "Cmd": [evil], "WorkingDir": f"/{evil}", "User": "0"}
    history = [{"created_by": evil, "comment": evil, "author": evil, "created": "2024-01-01T00:00:00Z"}]
    return _config(config=shown, history=history, author=evil)


@attack()
def halves_of_characters() -> Documents:
    half = "\ud800"
    return _config(config={"Labels": {half: half}, "Cmd": [half]}, author=half, history=[{"created_by": half}])


@attack()
def fields_that_are_there_twice() -> Documents:
    text = HONEST.config.decode()
    return _each_is("config", (text[:-1] + ',"architecture":"amd64","config":{"Cmd":["b"]}}').encode())


@attack("invalid reference|lowercase|No such|repository name|holds no image|unknown")
def name_that_no_image_can_have() -> Documents:
    return replace(HONEST, changes={"names": {"evil": ["A\x1b[2J/../../evil:latest"]}})
