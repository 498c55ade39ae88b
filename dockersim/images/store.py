"""The image store: which names there are, and which image each of them stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dockersim.content import Database, LayerStore
from dockersim.content.disk import locked, write_whole
from dockersim.digest import DiffID, Digest, parse_digest
from dockersim.errors import ContentError, ImageError, ImageNotFound, InvalidReference
from dockersim.filesystem import content_bytes
from dockersim.images.image import Image, moment
from dockersim.oci import (
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Reference,
    media_types,
    parse_any,
    parse_reference,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

    from dockersim.images.removal import Removal

SCHEMA = """
CREATE TABLE IF NOT EXISTS image (
    id TEXT PRIMARY KEY,         -- digest of the config
    manifest TEXT NOT NULL,      -- its descriptor, as JSON
    layer_sizes TEXT NOT NULL    -- bytes per layer, lowest first, as JSON
);
CREATE TABLE IF NOT EXISTS image_name (
    name TEXT PRIMARY KEY,       -- a reference in full, with a tag or a digest
    image TEXT NOT NULL REFERENCES image (id),
    tagged_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS image_name_image ON image_name (image);
CREATE TABLE IF NOT EXISTS image_index (
    name TEXT PRIMARY KEY,       -- a name of the image, or its id if it came without one or has lost it
    image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    descriptor TEXT NOT NULL     -- of the index that this name stands for, as JSON
);
"""

_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


Rows = list[tuple[Any, ...]]


class ImageStore:
    """Images by name and by id; several threads and processes may use one at once."""

    def __init__(self, layers: LayerStore, database: Database) -> None:
        self.layers = layers
        self.content = layers.content
        self._database = database
        database.register(SCHEMA)

    def put(
        self,
        config: ImageConfig | bytes,
        layers: Sequence[Descriptor | DiffID],
        names: Iterable[Reference] = (),
        *,
        manifest: bytes | None = None,
        index: Descriptor | None = None,
    ) -> Image:
        """Store an image, whose layers are stored already, and give it ``names``, taking them from other images.

        An image that loses a name keeps the index that the name stood for, by its id.
        A pulled or loaded config comes as its bytes, so that the id stays what it was. A layer is a diff id or, if
        the manifest is to name it in another form, its descriptor. ``manifest`` is one that the image came with;
        ``index`` one that names it among others, see ``indexes``: the names stand for that, too. Repeatable. Raises
        ContentError if a layer is missing or the config tells of other layers.
        """
        text = config if isinstance(config, bytes) else config.to_json()
        config = ImageConfig.from_json(text)
        image_id = self.content.put(text)
        document = (
            manifest
            or Manifest(
                config=Descriptor(media_types.CONFIG, image_id, len(text)),
                layers=tuple(self._descriptor(layer) for layer in layers),
            ).to_json()
        )
        self._check_layers(config)
        descriptor = Descriptor(
            Manifest.from_json(document).media_type, self.content.put(document), len(document),
            platform=config.platform,
        )  # fmt: skip
        self._record(image_id, descriptor, config, [_complete(name) for name in names], index)
        return self.get(image_id)

    def get(self, name_or_id: str) -> Image:
        """Find an image by name, id, or the beginning of an id; raise ImageNotFound, or ImageError if unclear.

        A name wins over the beginning of an id that looks the same, as in docker.
        """
        return self.find(name_or_id)[0]

    def find(self, name_or_id: str) -> tuple[Image, Reference | None]:
        """Find an image as ``get`` does, and the name by which it was found; None if that was its id."""
        invalid: InvalidReference | None = None
        try:
            wanted = parse_any(name_or_id)
        except InvalidReference as error:
            wanted, invalid = Digest(""), error
        if isinstance(wanted, Reference):
            wanted = wanted.with_default_tag()
            rows = self._rows("id = (SELECT image FROM image_name WHERE name = ?)", _key(wanted))
            if rows:
                return self._image(rows[0]), wanted
        if prefix := _ID_PREFIX.fullmatch(name_or_id):
            rows = self._rows("id GLOB ?", f"sha256:{prefix[1]}*")
            if len(rows) > 1:
                raise ImageError(f"multiple IDs found with provided prefix: {name_or_id}", hint="give more of it")
            if rows:
                return self._image(rows[0]), None
        if invalid:
            raise invalid
        shown = wanted.familiar() if isinstance(wanted, Reference) else name_or_id
        raise ImageNotFound(f"No such image: {shown}", hint="dockersim images lists those that are here")

    def has(self, name_or_id: str) -> bool:
        """Say whether ``get`` would find something; an image whose documents are damaged it does not."""
        try:
            self.find(name_or_id)
        except (ImageNotFound, InvalidReference, ContentError):
            return False
        return True

    def list(self) -> tuple[Image, ...]:
        """Return all images, dangling ones too, latest built first."""
        return tuple(sorted(self._readable(), key=lambda image: (moment(image.created), image.id), reverse=True))

    def index_of(self, name_or_id: str) -> Descriptor | None:
        """Give the index that a name stands for, None for one that stands for a single image."""
        image, name = self.find(name_or_id)
        return self._index(_key(name) if name else image.id)

    def tag(self, source: str, target: str | Reference) -> Image:
        """Give the image ``source`` another name, taking it from whichever image has it."""
        image, index = self.get(source), self.index_of(source)
        name = _complete(parse_reference(target, default_tag="") if isinstance(target, str) else target)
        if name.digest and isinstance(target, str):
            raise ImageError("refusing to create a tag with a digest reference", hint="leave @sha256:... out")
        if name.familiar_name == "sha256":
            raise ImageError(
                "refusing to create an ambiguous tag using digest algorithm as name", hint="choose another"
            )
        with self._database.transaction() as connection:
            _give_name(connection, _key(name), image.id, _now())
            _set_index(connection, _key(name), image.id, index)
            self.write_index()  # before the commit, as in _record
        return self.get(image.id)

    def add_digest(self, image_id: Digest, name: Reference, index: Descriptor | None = None) -> None:
        """Record that a registry knows an image by ``name@sha256:...``; ``index`` is what has that digest, if one has.

        Repeatable. Nothing is done for an image that is no longer here: a push may take long.
        """
        with self._database.transaction() as connection:
            if self._rows("id = ?", image_id):
                _give_name(connection, _key(name), image_id, _now())
                _set_index(connection, _key(name), image_id, index)
                self.write_index()

    def untag(self, name: str) -> Image:
        """Take a name away and keep the image with its index, dangling perhaps; return it as it stood before."""
        image, reference = self.find(name)
        if reference is None:
            raise ImageError(f"{name} is an id, not a name", hint="give the name that is to be taken away")
        with self._database.transaction() as connection:
            _leave_index(connection, _key(reference))
            _drop_name(connection, reference)
        self.write_index()
        return image

    def remove(self, name_or_id: str, *, force: bool = False) -> tuple[Removal, ...]:
        """Do what ``docker rmi`` does, and tell what was done; see ``removal`` for the rules.

        The blobs stay until the next sweep: the build cache may still use the layers.
        """
        from dockersim.images.removal import Deleted, Untagged, plan_removal

        with self._database.transaction() as connection:
            image, name = self.find(name_or_id)
            others = [other for other in self.list() if other.id != image.id]
            plan = plan_removal(image, name, others, force=force)
            for step in plan:
                if isinstance(step, Untagged):
                    _drop_name(connection, step.name)
            if Deleted(image.id) in plan:
                connection.execute("DELETE FROM image WHERE id = ?", (image.id,))
        self.write_index()
        return tuple(plan)

    def roots(self) -> tuple[Digest, ...]:
        """Return the manifests and indexes of all images, from which a sweep finds everything that is needed."""
        rows = [*self._database.query("SELECT manifest FROM image"),
                *self._database.query("SELECT descriptor FROM image_index")]  # fmt: skip
        return tuple(Descriptor.from_json(text).digest for (text,) in rows)

    def write_index(self) -> None:
        """Write ``index.json`` anew from the database: one descriptor per tag, and one for what no tag leads to.

        The lock makes the last writer the one that has read last. Repeatable.
        """
        self.content.prepare()
        with locked(self.content.root / "index.lock"):
            manifests = [entry for image in self._readable() for entry in self._index_entries(image)]
            write_whole(self.content.root / "index.json", Index(tuple(manifests)).to_json())

    def _record(
        self,
        image_id: Digest,
        descriptor: Descriptor,
        config: ImageConfig,
        names: Sequence[Reference],
        index: Descriptor | None,
    ) -> None:
        """Write image and names in one transaction; touch nothing if all is as it should be already."""
        known = self._rows("id = ?", image_id)
        held = {row[0] for row in self._database.query(_NAMES_OF, (image_id,))}
        text = descriptor.to_json().decode()
        keys = [_key(name) for name in names]
        indexed = keys or ([image_id] if index else [])
        if (
            known and known[0][1] == text and held.issuperset(keys)
            and all(self._index(key) == index for key in indexed)
        ):  # fmt: skip
            return
        # As in docker, layers that cannot be unpacked on each other are refused now, and not when they are used.
        self.layers.tree(config.diff_ids)
        sizes = json.dumps([content_bytes(self.layers.entries(diff_id)) for diff_id in config.diff_ids])
        with self._database.transaction() as connection:
            connection.execute(_INSERT_IMAGE, (image_id, text, sizes))
            now = _now()
            for key in keys:
                _give_name(connection, key, image_id, now)
            for key in indexed:
                _set_index(connection, key, image_id, index)
            # Before the commit: a kill in between may leave a name too many in index.json, never one too few.
            self.write_index()

    def _index(self, key: str) -> Descriptor | None:
        rows = self._database.query("SELECT descriptor FROM image_index WHERE name = ?", (key,))
        return Descriptor.from_json(rows[0][0]) if rows else None

    def _index_entries(self, image: Image) -> Iterator[Descriptor]:
        """List an image in ``index.json``: the manifest, or the index, once for each tag; then the other indexes.

        Those are of names by digest, and of names that the image has lost.
        """
        listed = {name: self._index(_key(name)) or image.descriptor for name in image.names}
        for name, descriptor in listed.items():
            yield replace(descriptor, annotations={media_types.REFERENCE_NAME: name.familiar()})
        known = {descriptor.digest for descriptor in listed.values()}
        rows = self._database.query(_INDEXES_OF, (image.id,))
        others = {one.digest: one for (text,) in rows if (one := Descriptor.from_json(text)).digest not in known}
        yield from others.values()
        if not listed and not others:
            yield image.descriptor

    def _readable(self) -> Iterator[Image]:
        """Go through the images but for those whose documents are damaged: one must not take all others away.

        Whoever asks for such an image by its name is told.
        """
        for row in self._rows("1"):
            try:
                yield self._image(row)
            except ContentError:
                continue

    def _rows(self, condition: str, *parameters: str) -> Rows:
        return self._database.query(f"SELECT id, manifest, layer_sizes FROM image WHERE {condition}", parameters)

    def _image(self, row: tuple[Any, ...]) -> Image:
        image_id, text, sizes = row
        descriptor = Descriptor.from_json(text)
        manifest = Manifest.from_json(self.content.read(descriptor.digest))
        named = self._database.query(_NAMES_OF, (image_id,))
        references = [parse_reference(name, default_tag="") for name, _ in named]
        return Image(
            id=Digest(image_id),
            descriptor=descriptor,
            manifest=manifest,
            config=ImageConfig.from_json(self.content.read(manifest.config.digest)),
            names=tuple(reference for reference in references if not reference.digest),
            digests=tuple(reference for reference in references if reference.digest),
            layer_sizes=tuple(json.loads(sizes)),
            tagged_at=max((moment for name, moment in named if "@" not in name), default=""),
        )

    def _descriptor(self, layer: Descriptor | DiffID) -> Descriptor:
        return layer if isinstance(layer, Descriptor) else self.layers.descriptor(layer)

    def _check_layers(self, config: ImageConfig) -> None:
        for diff_id in config.diff_ids:
            if not self.layers.has(DiffID(parse_digest(diff_id))):
                raise ContentError(f"layer {diff_id} is not in the store", hint="pull or build the image again")


_INSERT_IMAGE = """INSERT INTO image VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, layer_sizes = excluded.layer_sizes"""
_INSERT_INDEX = "INSERT OR REPLACE INTO image_index VALUES (?, ?, ?)"
_INSERT_NAME = "INSERT OR REPLACE INTO image_name VALUES (?, ?, ?)"
_LEAVE_INDEX = """INSERT OR REPLACE INTO image_index
    SELECT image, image, descriptor FROM image_index WHERE name = ? AND image != ?"""
_NAMES_OF = "SELECT name, tagged_at FROM image_name WHERE image = ? ORDER BY name"
_INDEXES_OF = "SELECT descriptor FROM image_index WHERE image = ? ORDER BY name"


def _give_name(connection: Connection, key: str, image_id: Digest, now: str) -> None:
    """Make a name stand for an image; the image that loses it keeps the index that the name stood for."""
    _leave_index(connection, key, to_others_than=image_id)
    connection.execute(_INSERT_NAME, (key, image_id, now))


def _leave_index(connection: Connection, key: str, *, to_others_than: str = "") -> None:
    """Let the image that a name stands for have the name's index as its own, under its id."""
    connection.execute(_LEAVE_INDEX, (key, to_others_than))


def _set_index(connection: Connection, key: str, image_id: Digest, index: Descriptor | None) -> None:
    if index is None:
        connection.execute("DELETE FROM image_index WHERE name = ?", (key,))
    else:
        connection.execute(_INSERT_INDEX, (key, image_id, index.to_json().decode()))


def _drop_name(connection: Connection, name: Reference) -> None:
    connection.execute("DELETE FROM image_index WHERE name = ?", (_key(name),))
    connection.execute("DELETE FROM image_name WHERE name = ?", (_key(name),))


def _complete(name: Reference) -> Reference:
    return name.with_default_tag()


def _key(name: Reference) -> str:
    """Return the name under which a reference is kept: with a digest, the tag beside it says nothing."""
    return name.resolvable().canonical()


def _now() -> str:
    from datetime import UTC, datetime  # here and below: most builds find their image unchanged

    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
