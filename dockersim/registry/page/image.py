"""The page of one tag or manifest: its layers and who shares them, what refers to it, its documents field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from dockersim.registry.page import meanings
from dockersim.registry.page.documents import document_table
from dockersim.registry.page.home import kind_of
from dockersim.registry.page.layout import (
    MOST_ROWS,
    code,
    counted,
    facts,
    holder_link,
    paragraph,
    scrolling,
    section,
    short,
    table,
)
from dockersim.registry.page.markup import Content, Markup, address, element, join, link
from dockersim.registry.plans import Blob, Holder
from dockersim.registry.server.blobs import Blobs
from dockersim.registry.server.inventory import Inventory, Stored
from dockersim.sizes import human_size

LONGEST_CONFIG: Final = 4 * 1024 * 1024
"""Bytes of a config that are read; a blob that claims to be one may be of any size."""

LONGEST_INSTRUCTION: Final = 2000

MOST_HOLDERS: Final = 8
"""So many of those that share a layer are named."""


class Looked(Struct, frozen=True):
    """A manifest, what is looked at it with, and the config, read as far as it can be."""

    stored: Stored
    inventory: Inventory
    config: Any
    blobs: tuple[Blob, ...]

    @classmethod
    def at(cls, inventory: Inventory, stored: Stored, content: Blobs) -> Looked:
        """Look at a manifest."""
        blobs = tuple(inventory.blobs_of(stored))
        config = next((_read(content, blob) for blob in blobs if blob.what == "config"), None)
        return cls(stored, inventory, config, blobs)

    def link(self, text: Content, page: str, name: str) -> Markup:
        """Write a link to a page about a manifest of the same repository."""
        return link(text, address(page, repository=self.stored.repository, name=name))


def image(looked: Looked, name: str, registry: str) -> Markup:
    """Write the content of the page of ``name``, a tag or a digest."""
    stored = looked.stored
    parts = [_facts(looked, name, registry)]
    parts.append(_platforms(looked) if stored.is_index else _layers(looked))
    parts += [_referrers(looked), _documents(looked), _deleting(looked, name)]
    return join(*parts)


def title_of(repository: str, name: str) -> str:
    """Write an image's name as docker does, a digest cut."""
    return f"{repository}@{name[:19]}…" if ":" in name else f"{repository}:{name}"


# ---------------------------------------------------------------- facts


def _facts(looked: Looked, name: str, registry: str) -> Markup:
    stored = looked.stored
    total, own = (human_size(size) for size in looked.inventory.weigh(stored))
    size = f"{total} in {counted(len(looked.blobs), 'blob')}; {own} only its own"
    at = "@" if ":" in name else ":"
    subject = stored.entry.subject
    about = [("Is about", looked.link(short(subject), "image", subject))] if subject else []
    return facts(
        ("Digest", code(stored.digest)),
        ("Kind", kind_of(stored)),
        ("Media type", code(stored.media_type)),
        ("Tags", ", ".join(stored.tags) or "none: it can be pulled by its digest only"),
        ("Size", f"{total}: the index itself" if stored.is_index else size),
        ("Pull it", code(f"dockersim pull {registry}/{stored.repository}{at}{name}")),
        *about,
    )


def _platforms(looked: Looked) -> Markup:
    rows = (_platform_row(looked, one) for one in _objects(looked.stored.document.get("manifests")))
    lead = paragraph("An index is one name for several images. Who pulls reads it first, takes the manifest for its "
                     "own platform, and fetches nothing of the others.")  # fmt: skip
    header = ("Platform", "Manifest", "Size of its blobs")
    return section("Platforms", lead, table("Manifests of this index", header, rows))


def _platform_row(looked: Looked, entry: Mapping[str, Any]) -> Iterator[Content]:
    platform = entry.get("platform")
    words = [platform.get(name) for name in ("os", "architecture", "variant")] if isinstance(platform, dict) else []
    yield "/".join(str(word) for word in words if word) or "not said"
    digest = str(entry.get("digest"))
    there = looked.inventory.manifests.get((looked.stored.repository, digest))
    if digest in looked.stored.entry.blobs:  # the cache of a build, say
        yield join(short(digest), " (a blob)")
        yield human_size(looked.inventory.size(digest))
        return
    yield looked.link(short(digest), "image", digest) if there else join(short(digest), " (not here)")
    yield human_size(looked.inventory.weigh(there)[0]) if there else ""


# ---------------------------------------------------------------- layers


def _layers(looked: Looked) -> Markup:
    layers = _objects(looked.stored.document.get("layers"))
    instructions = _instructions(looked.config)
    blobs = {blob.digest: blob for blob in looked.blobs}
    rows = (_layer_row(looked, number, layer, blobs, instructions) for number, layer in enumerate(layers, 1))
    if not layers:
        return section("Layers", paragraph("It has none."))
    spared = sum(blob.size * (len(blob.holders) - 1) for blob in looked.blobs if blob.what == "layer")
    says = (f"Layers that other images have too are on the disk once; that saves {human_size(spared)}."
            if spared else "No other image has a layer in common with this one.")  # fmt: skip
    header = ("#", "Made by", "Size", "Media type", "Digest", "Shared by")
    lowest = paragraph("The lowest first. Each layer holds what one instruction changed in the files. ", says)
    return section("Layers", lowest, table("Layers, the lowest first", header, rows), _without_layer(looked.config))


def _layer_row(
    looked: Looked, number: int, layer: Mapping[str, Any], blobs: Mapping[str, Blob], instructions: Mapping[int, str]
) -> Iterator[Content]:
    digest = str(layer.get("digest"))
    blob = blobs.get(digest)
    yield str(number)
    yield code(instructions[number]) if instructions.get(number) else "not said"
    yield human_size(blob.size) if blob else f"{layer.get('size')} bytes, fetched from elsewhere"
    yield code(str(layer.get("mediaType", "not said")))
    yield short(digest)
    yield _shared(blob, looked.stored.holder) if blob else ""


def _shared(blob: Blob, own: Holder) -> Content:
    others = [one for one in blob.holders if one != own]
    if not others:
        return "only here"
    names = [holder_link(one) for one in others[:MOST_HOLDERS]]
    more = f" and {len(others) - MOST_HOLDERS} more" if len(others) > MOST_HOLDERS else ""
    listed = join(*(join(", " if at else "", name) for at, name in enumerate(names)))
    return join(listed, more, f": saves {human_size(blob.size * len(others))}")


def _instructions(config: Any) -> Mapping[int, str]:
    """Find for each layer, counted from 1, the instruction that made it: those with ``empty_layer`` made none."""
    made = [entry for entry in _history(config) if not entry.get("empty_layer")]
    return {number: _said(entry) for number, entry in enumerate(made, 1)}


def _without_layer(config: Any) -> Content:
    empty = [_said(entry) for entry in _history(config) if entry.get("empty_layer")][:MOST_ROWS]
    if not empty:
        return ""
    items = (element("li", code(one)) for one in empty)
    summary = element("summary", f"{counted(len(empty), 'instruction')} made no layer, only an entry in the config")
    return element("details", summary, element("ul", join(*items)))


def _said(entry: Mapping[str, Any]) -> str:
    text = str(entry.get("created_by", ""))
    return text if len(text) <= LONGEST_INSTRUCTION else f"{text[:LONGEST_INSTRUCTION]}…"


def _history(config: Any) -> list[Mapping[str, Any]]:
    return _objects(config.get("history")) if isinstance(config, dict) else []


# ---------------------------------------------------------------- referrers, documents, deleting


def _referrers(looked: Looked) -> Markup:
    stored = looked.stored
    found = [one for one in looked.inventory.of(stored.repository) if one.entry.subject == stored.digest]
    rows = [(looked.link(short(one.digest), "image", one.digest), _artifact(one), human_size(one.size))
            for one in found]  # fmt: skip
    if not rows:
        nothing = paragraph("Nothing refers to it. A signature or an SBOM would be pushed as a manifest of its own, "
                            "with this one as its subject.")  # fmt: skip
        return section("Referrers", nothing)
    lead = paragraph("Manifests that have this one as their subject; pulling the image does not fetch them.")
    return section("Referrers", lead, table("What refers to it", ("Manifest", "Artifact type", "Size"), rows))


def _artifact(stored: Stored) -> Markup:
    config = stored.document.get("config")
    other = config.get("mediaType") if isinstance(config, dict) else ""
    return code(str(stored.document.get("artifactType") or other or "not said"))


def _documents(looked: Looked) -> Markup:
    name = "index" if looked.stored.is_index else "manifest"
    known = meanings.INDEX if looked.stored.is_index else meanings.MANIFEST
    said = document_table(looked.stored.document, known, f"The {name}")
    parts = [_document(f"The {name}, field by field", said, is_open=True)]
    if any(blob.what == "config" for blob in looked.blobs):
        unread = paragraph("The config is no JSON that could be shown.")
        table = unread if looked.config is None else document_table(looked.config, meanings.CONFIG, "The config")
        parts.append(_document("The config, field by field", table))
    lead = paragraph("Laid out for reading. The digest is of the bytes as they were sent, down to the last space.")
    return section("Documents", lead, *parts)


def _document(summary: str, content: Markup, *, is_open: bool = False) -> Markup:
    return element("details", element("summary", summary), scrolling(summary, content), open=is_open)


def _deleting(looked: Looked, name: str) -> Markup:
    stored = looked.stored
    tag = [looked.link(f"Delete the tag {name}…", "delete", name)] if ":" not in name else []
    what = "index" if stored.is_index else "manifest"
    whole = looked.link(f"Delete the {what} with all its tags…", "delete", stored.digest)
    items = (element("li", one) for one in [*tag, whole])
    return section("Delete", paragraph("What follows from it is told first."), element("ul", join(*items)))


# ---------------------------------------------------------------- reading what anybody may have pushed


def _read(content: Blobs, blob: Blob) -> Any:
    """Read a config; None for what is too large or is no JSON."""
    if blob.size > LONGEST_CONFIG:
        return None
    try:
        return json.loads(content.read(blob.digest))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
