"""Carrying a cache: finding a build's steps in the caches it imports, and exporting what it came to."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.content import LayerStore
from dockersim.digest import DiffID, sha256, short
from dockersim.engine.remotecache.document import (
    MEDIA_TYPE,
    CacheConfig,
    CacheRecord,
    manifest_of,
    read_manifest,
)
from dockersim.engine.remotecache.options import CacheOption, Mode
from dockersim.engine.remotecache.places import CachePlace, place_of
from dockersim.errors import ContentError, DockersimError, RegistryError
from dockersim.oci import Descriptor
from dockersim.solver import CacheAnswer, CacheKey, CacheMoved, StepResult

if TYPE_CHECKING:
    from dockersim.engine.shipping import Shipping

Tell = Callable[[CacheMoved], None]


class _Imported(Struct, frozen=True):
    """A cache that was read: its steps by the digest of their key, its layers by diff id."""

    place: CachePlace
    records: dict[str, CacheRecord]
    layers: dict[str, Descriptor]


class RemoteCaches:
    """The caches that one build imports (``sources``) and exports to (``targets``). The constructor reads nothing.

    ``fetching`` is False for a prediction: it looks, but writes no layer, and asks no registry.
    """

    def __init__(
        self,
        layers: LayerStore,
        shipping: Callable[[], Shipping],
        tell: Tell,
        sources: Sequence[CacheOption] = (),
        targets: Sequence[CacheOption] = (),
        *,
        fetching: bool = True,
    ) -> None:
        self._layers = layers
        self._shipping = shipping
        self._tell = tell
        self._sources = sources
        self._targets = targets
        self._fetching = fetching
        self._noted: dict[str, CacheRecord] = {}

    # ------------------------------------------------------------ importing

    def look_up(self, key: CacheKey) -> CacheAnswer | None:
        """Look for a step in the imported caches, in their order; its layer is here when it is found."""
        for cache in self._imported:
            record = cache.records.get(key.digest)
            if record is not None and self._bring(cache, record):
                return CacheAnswer(record.result(), origin=cache.place.name)
        return None

    @cached_property
    def _imported(self) -> tuple[_Imported, ...]:
        return tuple(found for option in self._sources if (found := self._read(option)) is not None)

    def _read(self, option: CacheOption) -> _Imported | None:
        """Read one cache; as in BuildKit, one that cannot be read is told of, and left out."""
        place = self._place(option)
        title = _importing(place)
        if option.type == "registry" and not self._fetching:
            self._tell(CacheMoved(title, "left out: a plan asks no registry"))
            return None
        try:
            config, layers = read_manifest(place.manifest())
            records = CacheConfig.from_json(place.read(config)).records
        except (ContentError, RegistryError) as error:
            self._tell(CacheMoved(title, f"WARNING: it is not used: {error.message}"))
            return None
        self._tell(CacheMoved(title, f"{_count(len(records), 'step')}, {_count(len(layers), 'layer')}"))
        return _Imported(place, {record.digest: record for record in records}, layers)

    def _bring(self, cache: _Imported, record: CacheRecord) -> bool:
        """See to it that the layer is here, and is one; a layer that cannot be had is no hit."""
        if record.layer is None:
            return True
        try:
            blob = cache.layers.get(record.layer)
            if blob is None:
                raise ContentError(f"it does not hold layer {record.layer}")
            if not self._fetching:
                return self._layers.has(DiffID(record.layer)) or cache.place.has(blob)
            self._fetch(cache.place, blob, DiffID(record.layer))
        except (ContentError, RegistryError) as error:
            self._tell(CacheMoved(_importing(cache.place), f"WARNING: a step is not used: {error.message}"))
            return False
        return True

    def _fetch(self, place: CachePlace, blob: Descriptor, diff_id: DiffID) -> None:
        content = self._layers.content
        if not content.keep(diff_id):
            self._tell(CacheMoved(_importing(place), f"layer {short(blob.digest)} ({blob.size} bytes)"))
            if not content.keep(blob.digest):
                with content.writer() as writer:
                    place.fetch(blob, writer)
            self._layers.add_blob(blob, diff_id)
        self._layers.entries(diff_id)  # a blob of that digest may be here that is no layer

    # ------------------------------------------------------------ exporting

    def note(self, key: CacheKey, result: StepResult) -> None:
        """Remember a step of this build for the export."""
        self._noted[key.digest] = CacheRecord.of(key.digest, result)

    def export(self, final: Iterable[DiffID]) -> None:
        """Write the noted steps to every target; ``final`` are the layers of the image that was built.

        Raises RegistryError or StoreError, unless the target lets errors be ignored.
        """
        layers = set(final)
        for option in self._targets:
            noted = [one for one in self._noted.values() if option.mode is Mode.MAX or one.layer in layers]
            with closing(self._place(option)) as place:
                self._export(option, place, noted)

    def _export(self, option: CacheOption, place: CachePlace, noted: list[CacheRecord]) -> None:
        try:
            for line in self._write(place, noted):
                self._tell(CacheMoved(place.exporting, line))
        except DockersimError as error:
            if not option.ignore_error:
                raise
            self._tell(CacheMoved(place.exporting, f"WARNING: it was not exported: {error.message}"))

    def _write(self, place: CachePlace, noted: list[CacheRecord]) -> Iterator[str]:
        """Write layers, document and manifest, in this order: what names something comes after it."""
        diff_ids = list(dict.fromkeys(DiffID(one.layer) for one in noted if one.layer))
        if not diff_ids:
            yield "skipping cache export for empty result"
            return
        layers = [(diff_id, self._layers.compressed(diff_id)) for diff_id in diff_ids]
        for _, blob in layers:
            if not place.has(blob):
                yield f"writing layer {blob.digest}"
                with self._layers.content.open(blob.digest) as source:
                    place.send(blob, source)
        document = CacheConfig(tuple(noted)).to_json()
        config = Descriptor(MEDIA_TYPE, sha256(document), len(document))
        if not place.has(config):
            yield f"writing config {config.digest}"
            place.send(config, io.BytesIO(document))
        manifest = manifest_of(config, layers).to_json()
        yield f"writing cache image manifest {sha256(manifest)}"
        place.publish(manifest)

    def _place(self, option: CacheOption) -> CachePlace:
        return place_of(option, self._shipping, self._layers.content)

    def close(self) -> None:
        """Close what was opened for importing. Repeatable."""
        for cache in self.__dict__.get("_imported", ()):
            cache.place.close()


def _importing(place: CachePlace) -> str:
    return f"importing cache manifest from {place.name}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
