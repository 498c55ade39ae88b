"""``docker rmi``: which names go, and when the image goes with them.

A plan is made of what is there, and says what is to be done; the store then does it. The rules are moby's
(``daemon/images/image_delete.go``):

- by name: that name goes, and the image with it if it was the last one. With the last tag of a repository go the
  names by digest in that repository, which the learner never typed;
- by id: all names go, but only if they are all in one repository and at most one of them is a tag, or by force.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from dockersim.digest import EMPTY_CHAIN, chain_id, short
from dockersim.errors import ImageError
from dockersim.images.image import Image
from dockersim.oci import Reference


class Untagged(Struct, frozen=True):
    """A name was taken away."""

    name: Reference

    def __str__(self) -> str:
        return f"Untagged: {self.name.familiar()}"


class Deleted(Struct, frozen=True):
    """An image (its id) or a layer of it (its chain id) is no longer part of any image."""

    id: str

    def __str__(self) -> str:
        return f"Deleted: {self.id}"


Removal = Untagged | Deleted


def plan_removal(image: Image, name: Reference | None, others: Iterable[Image], *, force: bool) -> list[Removal]:
    """Tell what ``docker rmi`` does to ``image``; ``name`` is None if it was asked for by id.

    ``others`` are all other images: layers that they share stay. Raises ImageError in docker's words.
    """
    names = [*image.names, *image.digests]
    going = names if name is None else _with_digests(name, names)
    if name is None and not force and not is_one_reference(image):
        raise ImageError(
            f"conflict: unable to delete {short(image.id)} (must be forced) - "
            "image is referenced in multiple repositories",
            hint="remove it by name, or with --force",
        )
    plan: list[Removal] = [Untagged(reference) for reference in going]
    if len(going) == len(names):
        plan.append(Deleted(image.id))
        plan.extend(Deleted(chain) for chain in _own_chains(image, others))
    return plan


def _with_digests(name: Reference, names: Sequence[Reference]) -> list[Reference]:
    rest = [other for other in names if other.name == name.name and other != name]
    if name.digest or any(not other.digest for other in rest):
        return [name]
    return [name, *rest]


def is_one_reference(image: Image) -> bool:
    """Say whether an image is known in one repository only, by one tag at most; its digests there count with it."""
    return len(image.names) <= 1 and len({name.name for name in (*image.names, *image.digests)}) <= 1


def _own_chains(image: Image, others: Iterable[Image]) -> list[str]:
    """Return the chain ids of the layers that no other image has, topmost first."""
    shared = {chain for other in others for chain in _chains(other)}
    return [chain for chain in reversed(_chains(image)) if chain not in shared]


def _chains(image: Image) -> list[str]:
    chain = EMPTY_CHAIN
    return [chain := chain_id([diff_id], parent=chain) for diff_id in image.config.diff_ids]
