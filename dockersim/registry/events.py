"""What happens during a push or a pull, as values; views turn them into docker's lines.

``diff_id`` is what docker shows while pushing (the layer as built), ``digest`` while pulling (the layer as sent).
Sizes are in bytes as sent over the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockersim.digest import DiffID, Digest


@dataclass(frozen=True, slots=True)
class LayerPreparing:
    """A layer takes its turn; ``size`` is 0 until it is known. Docker: ``Preparing``, ``Pulling fs layer``."""

    diff_id: DiffID
    digest: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class LayerExists:
    """The other side has the layer: nothing is sent. Docker: ``Layer already exists``, ``Already exists``."""

    diff_id: DiffID
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class LayerMounted:
    """The registry took the layer over from ``source``. Docker: ``Mounted from library/ubuntu``."""

    diff_id: DiffID
    digest: Digest
    size: int
    source: str


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` bytes of a layer are across."""

    diff_id: DiffID
    digest: Digest
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class LayerPushed:
    """The registry has the layer and has checked it. Docker: ``Pushed``."""

    diff_id: DiffID
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class LayerPulled:
    """The layer is here, checked and unpacked. Docker: ``Pull complete``."""

    diff_id: DiffID
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class ConfigSent:
    """The image's config is across; its digest is the image id. ``existed``: it was there before."""

    digest: Digest
    size: int
    existed: bool


@dataclass(frozen=True, slots=True)
class ManifestPut:
    """The name stands for the image now. Docker: ``latest: digest: sha256:... size: 528``."""

    tag: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class ManifestFetched:
    """What the name stands for: an image, or an index of several. Docker: ``Digest: sha256:...``."""

    name: str
    digest: Digest
    size: int
    media_type: str


PushEvent = LayerPreparing | LayerExists | LayerMounted | Progress | LayerPushed | ConfigSent | ManifestPut
PullEvent = ManifestFetched | LayerPreparing | LayerExists | Progress | LayerPulled
