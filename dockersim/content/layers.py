"""Layers in the content store: a plain tar under its diff id, and beside it the index that says what is in
it.

>>> import tempfile
>>> from pathlib import Path
>>> from dockersim.filesystem import Entry, Kind
>>> with tempfile.TemporaryDirectory() as folder:
...     layers = LayerStore(ContentStore(Path(folder)))
...     with layers.new_layer() as new:
...         _ = new.add(Entry("etc/motd", Kind.FILE), b"welcome")
...         layer = new.commit()
...     layers.read_file(layer.diff_id, layer.entries[0])
b'welcome'
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from msgspec import Struct

from dockersim.content.compression import GZIP_MAGIC, ZSTD_MAGIC, unpacked, write_gzip
from dockersim.content.disk import told_plainly, write_whole
from dockersim.content.store import ContentStore, Ingest
from dockersim.digest import EMPTY_CHAIN, ChainID, DiffID, Digest, chain_id, hex_of
from dockersim.errors import ContentError
from dockersim.filesystem import (
    Entry,
    LayerEntry,
    LayerWriter,
    Readable,
    Tree,
    dump_index,
    index_layer,
    load_index,
)
from dockersim.oci import Descriptor, media_types

_KEPT_INDEXES = 64
_KEPT_TREES = 256


class Layer(Struct, frozen=True):
    """A stored layer: ``size`` is that of its tar in bytes."""

    diff_id: DiffID
    size: int
    entries: tuple[LayerEntry, ...]

    @property
    def descriptor(self) -> Descriptor:
        """The layer as a manifest names it while it is not compressed."""
        return Descriptor(media_types.LAYER, Digest(self.diff_id), self.size)


class LayerStore:
    """Layers by diff id; a ``LayerSource`` for snapshotters. Any thread may use it."""

    def __init__(self, content: ContentStore) -> None:
        self.content = content
        self._folder = content.root / "layers"
        self._indexes: OrderedDict[DiffID, tuple[LayerEntry, ...]] = OrderedDict()
        self._trees: OrderedDict[ChainID, Tree] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, diff_id: DiffID) -> bool:
        """Say whether the layer is here."""
        return self.content.has(diff_id)

    def size(self, diff_id: DiffID) -> int:
        """Return the size of the layer's tar in bytes."""
        return self.content.size(diff_id)

    def descriptor(self, diff_id: DiffID) -> Descriptor:
        """Name the layer as it lies here, not compressed."""
        return Descriptor(media_types.LAYER, Digest(diff_id), self.size(diff_id))

    def entries(self, diff_id: DiffID) -> tuple[LayerEntry, ...]:
        """List what the layer says, in its order; raise ContentError if it is not here."""
        with self._lock:
            known = self._indexes.get(diff_id)
        if known is None:
            known = self._load_index(diff_id)
            self._remember(diff_id, known)
        return known

    def open_tar(self, diff_id: DiffID) -> BinaryIO:
        """Open the layer's tar; ``Entry.data`` are offsets into it."""
        return self.content.open(diff_id)

    def read_file(self, diff_id: DiffID, entry: Entry, limit: int = -1) -> bytes:
        """Read the content of a FILE of the layer, or its first ``limit`` bytes."""
        wanted = entry.size if limit < 0 else min(limit, entry.size)
        if entry.data is None or not wanted:
            return b""
        with self.open_tar(diff_id) as tar, told_plainly("read", self.content.path(diff_id)):
            tar.seek(entry.data)
            content = tar.read(wanted)
        if len(content) != wanted:
            raise ContentError(f"layer {diff_id} is cut off", hint="delete it and build or pull again")
        return content

    def tree(self, diff_ids: Sequence[DiffID]) -> Tree:
        """Return the file system that these layers make, lowest first; trees share what they can."""
        chain, tree, known = EMPTY_CHAIN, Tree.EMPTY, 0
        chains = [chain := chain_id([diff_id], parent=chain) for diff_id in diff_ids]
        with self._lock:
            for position in range(len(chains), 0, -1):
                if found := self._trees.get(chains[position - 1]):
                    tree, known = found, position
                    break
        for position in range(known, len(chains)):
            tree = tree.apply(self.entries(diff_ids[position]), diff_ids[position])
            with self._lock:
                self._trees[chains[position]] = tree
                while len(self._trees) > _KEPT_TREES:
                    self._trees.popitem(last=False)
        return tree

    @contextmanager
    def new_layer(self) -> Iterator[NewLayer]:
        """Write a layer; without ``commit`` nothing of it is kept."""
        with self.content.ingest() as ingest:
            yield NewLayer(self, ingest)

    def add_tar(self, stream: Readable, expected: DiffID | None = None) -> DiffID:
        """Store a layer from its plain tar, in one pass; raise ContentError if it is not ``expected``."""
        with self.content.ingest() as ingest:
            diff_id, _, entries = index_layer(_Copying(stream, ingest.file))
            _check_diff_id(diff_id, expected)
            ingest.commit(diff_id)
        self._keep_index(diff_id, entries)
        return diff_id

    def add_blob(self, descriptor: Descriptor, expected: DiffID | None = None) -> DiffID:
        """Unpack a pulled layer blob, which is in the content store, and store its tar; return the diff id.

        The blob stays: pushing the layer on needs no compressing. Raises ContentError if the blob is damaged,
        is no layer, or is not the ``expected`` one.
        """
        with self.content.open(descriptor.digest) as blob:
            start = blob.read(4)
            if not start.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
                return self._adopt(DiffID(descriptor.digest), expected)
            blob.seek(0)
            with unpacked(blob) as tar:
                diff_id = self.add_tar(tar, expected)
        if start.startswith(GZIP_MAGIC):
            gzip = Descriptor(media_types.LAYER_GZIP, descriptor.digest, self.content.size(descriptor.digest))
            write_whole(self._gzip_note(diff_id), gzip.to_json())
        return diff_id

    def compressed(self, diff_id: DiffID) -> Descriptor:
        """Return the layer as gzip, made if it is not here yet. Repeatable; equal layers give equal blobs."""
        steps = self.compressing(diff_id)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return cast(Descriptor, end.value)

    def compressing(self, diff_id: DiffID) -> Generator[int, None, Descriptor]:
        """Do as ``compressed`` does, and yield on the way how many bytes of the tar are done."""
        if known := self.known_gzip(diff_id):
            return known
        with self.open_tar(diff_id) as tar, self.content.writer() as blob:
            yield from write_gzip(tar, blob)
            descriptor = Descriptor(media_types.LAYER_GZIP, blob.commit(), blob.size)
        write_whole(self._gzip_note(diff_id), descriptor.to_json())
        return descriptor

    def known_gzip(self, diff_id: DiffID) -> Descriptor | None:
        """Return the layer as gzip if that is here already."""
        try:
            descriptor = Descriptor.from_json(self._gzip_note(diff_id).read_bytes())
        except (FileNotFoundError, ContentError):
            return None  # a damaged note is only a lost shortcut
        return descriptor if self.content.has(descriptor.digest) else None

    def forget(self, diff_id: DiffID) -> None:
        """Delete what is remembered about a layer that is deleted. Repeatable."""
        with self._lock:
            self._indexes.pop(diff_id, None)
        with told_plainly("delete", self._folder):
            self._index_path(diff_id).unlink(missing_ok=True)
            self._gzip_note(diff_id).unlink(missing_ok=True)

    def _adopt(self, diff_id: DiffID, expected: DiffID | None) -> DiffID:
        """Take a blob that is a plain tar for the layer that it is already."""
        _check_diff_id(diff_id, expected)
        self.entries(diff_id)
        return diff_id

    def _load_index(self, diff_id: DiffID) -> tuple[LayerEntry, ...]:
        if not self.has(diff_id):
            self.content.size(diff_id)  # says in its own words that the blob is not here
        try:
            return load_index(self._index_path(diff_id).read_bytes())
        except (FileNotFoundError, ContentError):
            pass  # the tar is the truth, the index is made from it
        with self.open_tar(diff_id) as tar:
            found, _, entries = index_layer(tar)
        _check_diff_id(found, diff_id)
        write_whole(self._index_path(diff_id), dump_index(entries))
        return entries

    def _keep_index(self, diff_id: DiffID, entries: tuple[LayerEntry, ...]) -> None:
        if not self._index_path(diff_id).exists():
            write_whole(self._index_path(diff_id), dump_index(entries))
        self._remember(diff_id, entries)

    def _remember(self, diff_id: DiffID, entries: tuple[LayerEntry, ...]) -> None:
        with self._lock:
            self._indexes[diff_id] = entries
            while len(self._indexes) > _KEPT_INDEXES:
                self._indexes.popitem(last=False)

    def _index_path(self, diff_id: DiffID) -> Path:
        return self._folder / f"{hex_of(diff_id)}.index.json"

    def _gzip_note(self, diff_id: DiffID) -> Path:
        return self._folder / f"{hex_of(diff_id)}.gzip.json"


class NewLayer:
    """A layer in the making."""

    def __init__(self, store: LayerStore, ingest: Ingest) -> None:
        self._store = store
        self._ingest = ingest
        self.writer = LayerWriter(ingest.file)

    def add(self, entry: LayerEntry, content: Readable | bytes | None = None, *, trusted: bool = False) -> LayerEntry:
        """Write one entry; see ``LayerWriter.add``."""
        return self.writer.add(entry, content, trusted=trusted)

    def commit(self) -> Layer:
        """End the tar and store it under its diff id."""
        diff_id, size, entries = self.writer.close()
        self._ingest.commit(diff_id)
        self._store._keep_index(diff_id, entries)
        return Layer(diff_id, size, entries)


class _Copying:
    """A stream that writes down all that is read from it."""

    def __init__(self, stream: Readable, out: BinaryIO) -> None:
        self._stream = stream
        self._out = out

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._out.write(data)
        return data


def _check_diff_id(found: DiffID, expected: DiffID | None) -> None:
    if expected is not None and found != expected:
        raise ContentError(
            f"layer {expected} is damaged: it unpacks to {found}",
            hint="delete the image and pull or build it again",
        )
