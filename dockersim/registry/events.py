"""What happens during a push or a pull, as values; views turn them into docker's lines.

``diff_id`` is what docker shows while pushing (the layer as built), ``digest`` while pulling (the layer as sent).
Sizes are in bytes as sent over the wire.
"""

from __future__ import annotations

from msgspec import Struct

from dockersim.digest import DiffID, Digest


class LayerPreparing(Struct, frozen=True):
    """A layer takes its turn; ``size`` is 0 until it is known. Docker: ``Preparing``, ``Pulling fs layer``.

    ``here`` says of a pull that the layer need not be fetched.
    """

    diff_id: DiffID
    digest: str = ""
    size: int = 0
    here: bool = False


class LayerExists(Struct, frozen=True):
    """The other side has the layer: nothing is sent. Docker: ``Layer already exists``, ``Already exists``."""

    diff_id: DiffID
    digest: Digest
    size: int


class LayerMounted(Struct, frozen=True):
    """The registry took the layer over from ``source``. Docker: ``Mounted from library/ubuntu``."""

    diff_id: DiffID
    digest: Digest
    size: int
    source: str


class Progress(Struct, frozen=True):
    """``done`` of ``total`` bytes of a layer are across; of one that is only being compressed ``digest`` is ""."""

    diff_id: DiffID
    digest: str
    done: int
    total: int


class LayerPushed(Struct, frozen=True):
    """The registry has the layer and has checked it. Docker: ``Pushed``."""

    diff_id: DiffID
    digest: Digest
    size: int


class LayerPulled(Struct, frozen=True):
    """The layer is here, checked and unpacked. Docker: ``Pull complete``."""

    diff_id: DiffID
    digest: Digest
    size: int


class ConfigSent(Struct, frozen=True):
    """The image's config is across; its digest is the image id. ``existed``: it was there before."""

    digest: Digest
    size: int
    existed: bool


class ManifestPut(Struct, frozen=True):
    """The name stands for the image now. Docker: ``latest: digest: sha256:... size: 528``."""

    tag: str
    digest: Digest
    size: int


class ManifestFetched(Struct, frozen=True):
    """What the name stands for: an image, or an index of several. Docker: ``Digest: sha256:...``."""

    name: str
    digest: Digest
    size: int
    media_type: str


PushEvent = LayerPreparing | LayerExists | LayerMounted | Progress | LayerPushed | ConfigSent | ManifestPut
PullEvent = ManifestFetched | LayerPreparing | LayerExists | Progress | LayerPulled
