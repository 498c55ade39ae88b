"""A layer that is unpacked while it arrives.

Whoever fetches the blob writes it down, and hands every piece on to a thread that unpacks it. Neither is trusted before
its end: the blob is kept if it has its digest, the layer if it has the diff id in the image's config.
"""

from __future__ import annotations

import io
import queue
import threading
from typing import Any, Final

from dockersim.content import BlobWriter, LayerStore
from dockersim.digest import DiffID
from dockersim.errors import ContentError
from dockersim.oci import Descriptor

_PIECE: Final = 1 << 20
"""Bytes that are handed on at once: every hand-over costs two threads a moment."""

_AHEAD: Final = 8
"""Pieces that wait to be unpacked."""

_END: Final = b""


class Arriving:
    """A blob on its way into ``blob``, which is unpacked meanwhile. A context manager; a ``BlobSink``."""

    def __init__(self, blob: BlobWriter, layers: LayerStore, layer: Descriptor, diff_id: DiffID) -> None:
        self._blob = blob
        self._layers = layers
        self._layer = layer
        self._diff_id = diff_id
        self._gathered = bytearray()
        self._pieces = _Pieces()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._unpack, daemon=True)

    def __enter__(self) -> Arriving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pieces.give_up()
        self._thread.join()

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self._blob.size + len(self._gathered)

    def write(self, chunk: bytes, /) -> int:
        """Write a piece, and hand it on."""
        self._gathered += chunk
        if len(self._gathered) >= _PIECE:
            self._hand_on()
        return len(chunk)

    def commit(self, expected: str | None = None, *, size: int | None = None) -> str:
        """Keep the blob, and the layer; raise ContentError for what is not what it should be."""
        self._hand_on()
        digest = self._blob.commit(expected, size=size)
        self._pieces.put(_END)
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return digest

    def _hand_on(self) -> None:
        if piece := bytes(self._gathered):
            self._pieces.put(piece)
            self._blob.write(piece)
        self._gathered.clear()

    def _unpack(self) -> None:
        try:
            self._layers.add_stream(self._pieces, self._layer, self._diff_id)
        except BaseException as error:  # noqa: BLE001  # it is raised by ``commit``, in the thread that fetches
            self._failed = error
        finally:
            self._pieces.close()  # nobody reads any more: then nobody waits for room


class _Pieces(io.RawIOBase):
    """A stream whose one end is written to, while another thread reads the other."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._rest: memoryview | None = memoryview(b"")

    def put(self, piece: bytes) -> None:
        """Write a piece; ``b""`` is the end."""
        while not self.closed:
            try:
                self._queue.put(piece, timeout=0.1)
                return
            except queue.Full:
                continue

    def give_up(self) -> None:
        """Let the reader fail, unless it has come to its end."""
        while not self.closed:
            try:
                self._queue.put(None, timeout=0.1)
                return
            except queue.Full:
                continue

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any, /) -> int:
        if self._rest is not None and not self._rest:
            piece = self._queue.get()
            if piece is None:
                raise ContentError("the blob did not arrive")
            self._rest = memoryview(piece) if piece else None
        if self._rest is None:
            return 0
        count = min(len(room), len(self._rest))
        room[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
