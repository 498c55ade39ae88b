"""Which image of an index runs on a machine (containerd's ``platforms`` package).

>>> from dockersim.digest import sha256
>>> arm = Descriptor(media_types.MANIFEST, sha256(b""), 0, platform=Platform("arm64", "linux", "v8"))
>>> choose(Index((arm,)), Platform("arm64", "linux"), "app") is arm
True
"""

from __future__ import annotations

from dockersim.errors import ImageError
from dockersim.oci import Descriptor, Index, Platform, media_types

_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
"""What an architecture without a variant means (``database.go``)."""

_OLDER = {"arm": ("v8", "v7", "v6", "v5"), "amd64": ("v4", "v3", "v2", "v1")}
"""Variants that run what was made for those behind them (``compare.go``, ``platformVector``)."""


def choose(index: Index, platform: Platform, name: str) -> Descriptor:
    """Choose the manifest of an index that runs on ``platform`` best; raise ImageError if there is none.

    Attestations, which are of no platform, and what is no image are passed over. An entry that does not say for which
    platform it is comes last: its config will tell.
    """
    kinds = media_types.MANIFESTS | media_types.INDEXES
    images = [one for one in index.manifests if one.media_type in kinds and not one.artifact_type]
    for wanted in _from_best(platform):
        for one in images:
            if one.platform is not None and runs_on(one.platform, wanted):
                return one
    for one in images:
        if one.platform is None:
            return one
    offered = ", ".join(sorted({str(one.platform) for one in images if one.platform and one.platform.os != "unknown"}))
    raise ImageError(
        f"no matching manifest for {platform} in the manifest list of {name}",
        hint=f"it offers {offered}" if offered else "it offers no image at all",
    )


def check_platform(image: Platform, wanted: Platform, name: str) -> None:
    """Raise ImageError for an image of another platform than the one that is wanted, naming both."""
    if not any(runs_on(image, one) for one in _from_best(wanted)):
        raise ImageError(
            f"{name} is an image for {image}, not for {wanted}",
            hint="choose an image that is made for several platforms",
        )


def runs_on(image: Platform, machine: Platform) -> bool:
    """Tell whether an image is made for just this machine; an architecture without a variant means its usual one.

    >>> runs_on(Platform("arm64", "linux", "v8"), Platform("arm64", "linux"))
    True
    """
    return (image.os, image.architecture, _variant(image)) == (machine.os, machine.architecture, _variant(machine))


def _from_best(platform: Platform) -> list[Platform]:
    """List the platforms whose images run on ``platform``, from the newest variant down."""
    variants, own = _OLDER.get(platform.architecture, ()), _variant(platform)
    older = variants[variants.index(own) + 1 :] if own in variants else ()
    return [platform, *(Platform(platform.architecture, platform.os, variant) for variant in older)]


def _variant(platform: Platform) -> str:
    return platform.variant or _DEFAULT_VARIANT.get(platform.architecture, "")
