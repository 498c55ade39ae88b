"""Where FROM gets its image: the places that are asked, in the order of design section 6."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dockersim.bases import (
    AskedOnce,
    ImageSource,
    Provenance,
    UnreachableNow,
    UnreachableRegistries,
    advice,
    find_base,
    make,
    registry_title,
    resolve,
    stand_in_note,
)
from dockersim.digest import short
from dockersim.engine.store import Store
from dockersim.errors import DockersimError, ImageError, ImageNotFound
from dockersim.images import Image
from dockersim.oci import Reference, parse_reference
from dockersim.solver import ImageAwaited, ResolvedImage, ResolveImage
from dockersim.solver.contexts import LAYOUT

if TYPE_CHECKING:
    from dockersim.engine.shipping import Shipping
    from dockersim.images.layouts import Layout
    from dockersim.registry import PullEvent


Tell = Callable[[ImageAwaited], None]


class LocalStore:
    """The images that are here."""

    name = "the local store"

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, reference: Reference) -> Image | None:
        """Give the image of that name, if it is here."""
        try:
            return self._store.images.get(reference.canonical())
        except ImageNotFound:
            return None


class ThisMachine:
    """The starter images, made on the spot from the learner's own machine; stand-ins where these were agreed to."""

    name = "this machine"

    def __init__(self, store: Store, tell: Tell, *, stand_ins: bool) -> None:
        self._store = store
        self._tell = tell
        self._stand_ins = stand_ins

    def find(self, reference: Reference) -> Image | None:
        """Make the image, if it is one that can be made here and may be."""
        base = find_base(reference)
        if base is None or (base.provenance is Provenance.STAND_IN) is not self._stand_ins:
            return None
        name = reference.canonical()
        made = make(base, self._store.layers, lambda line: self._tell(ImageAwaited(name, line)))
        return self._store.images.put(made.config, made.diff_ids, [base.reference])


class Registry:
    """A registry that is pulled from: the practice registry, or the one that the name says."""

    def __init__(self, shipping: Callable[[], Shipping], tell: Tell, name: str, *, practice: bool) -> None:
        self.name = name
        self._tell = tell
        self._shipping = shipping
        self._practice = practice

    def find(self, reference: Reference) -> Image | None:
        """Pull the image, if the registry has it."""
        return self._shipping().find(reference, lambda event: self._pass_on(reference, event), practice=self._practice)

    def _pass_on(self, reference: Reference, event: PullEvent) -> None:
        if words := _words(event):
            self._tell(ImageAwaited(reference.canonical(), words))


class ImageFinder:
    """Answers the solver's ResolveImage. ``stand_ins`` says that the learner has agreed to stand-ins."""

    def __init__(
        self, store: Store, shipping: Callable[[], Shipping], *, stand_ins: bool, tell: Tell = lambda event: None
    ) -> None:
        self._store = store
        self._tell = tell
        self._stand_ins = stand_ins
        self._shipping = shipping
        self._unreachable = UnreachableNow()

    def find(self, request: ResolveImage) -> ResolvedImage:
        """Find the image, pulling or making it if need be. Raises ImageNotFound that says what to do."""
        if request.reference.startswith(LAYOUT):
            return self._from_layout(request, lambda layout: layout.load(self._store.images))
        reference = parse_reference(request.reference)
        unreachable = UnreachableRegistries(self._store.root / "unreachable.json", time.time)
        sources: list[ImageSource[Image]] = [
            LocalStore(self._store),
            ThisMachine(self._store, self._tell, stand_ins=False),
            # Another registry may play it, and be down: one try a build, as whoever sets it right builds again.
            AskedOnce(
                Registry(self._shipping, self._tell, "the practice registry", practice=True),
                "the practice registry",
                self._unreachable,
            ),
            AskedOnce(
                Registry(self._shipping, self._tell, registry_title(reference.registry), practice=False),
                reference.registry,
                unreachable,
            ),
        ]
        if self._stand_ins:
            sources.append(ThisMachine(self._store, self._tell, stand_ins=True))
        return self._ask(request, reference, sources)

    def find_here(self, request: ResolveImage) -> ResolvedImage:
        """Find the image in the local store only: what a prediction may do."""
        if request.reference.startswith(LAYOUT):
            return self._from_layout(request, lambda layout: self._store.images.get(layout.manifest().config.digest))
        return self._ask(request, parse_reference(request.reference), [LocalStore(self._store)])

    def _from_layout(self, request: ResolveImage, take: Callable[[Layout], Image]) -> ResolvedImage:
        """Take the image from an OCI image layout on disk."""
        from dockersim.images.layouts import Layout  # hardly any build has one

        try:
            image = take(Layout(request.reference.removeprefix(LAYOUT), request.platform))
        except DockersimError as error:
            error.at = error.at or request.at
            raise
        return ResolvedImage(image.config, image.config.diff_ids, image.layer_sizes, request.reference)

    def _ask(self, request: ResolveImage, reference: Reference, sources: Sequence[ImageSource[Image]]) -> ResolvedImage:
        try:
            found = resolve(reference, sources, hint=advice(reference))
        except DockersimError as error:
            error.at = error.at or request.at
            raise
        image = found.image
        if str(image.config.platform) != request.platform and image.config.architecture:
            raise ImageError(
                f"{reference.familiar()} is an image for {image.config.platform}, this build is for {request.platform}",
                at=request.at, hint="choose an image that is made for several platforms",
            )  # fmt: skip
        note = stand_in_note(image.config.config.labels)
        notes = (*found.notes, *([note] if note else []))
        return ResolvedImage(image.config, image.config.diff_ids, image.layer_sizes, found.answered_by, notes)


def _words(event: PullEvent) -> str:
    """Say what happens in a pull, in the words of ``docker pull``; nothing for each piece of a layer."""
    from dockersim.registry import LayerExists, LayerPreparing, ManifestFetched, Progress  # loaded by the pull

    match event:
        case ManifestFetched(name, digest):
            return f"{name}: {digest}"
        case LayerPreparing(_, digest, size, here):
            return "" if here else f"{short(digest)}: Pulling fs layer ({size} bytes)"
        case LayerExists(_, digest):
            return f"{short(digest)}: Already exists"
        case Progress():
            return ""
        case _:
            return f"{short(event.digest)}: Pull complete"
