"""The first page: which images there are, what sharing saves, and the requests as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool

from dockersim.oci import media_types
from dockersim.registry.page.feed import Feed
from dockersim.registry.page.layout import code, counted, facts, paragraph, section, short, table
from dockersim.registry.page.log import log_section
from dockersim.registry.page.markup import Content, Markup, address, element, join, link
from dockersim.registry.server.inventory import Inventory, Stored
from dockersim.registry.server.repositories import RegistryStore
from dockersim.sizes import human_size


def home(listing: Markup, feed: Feed) -> Markup:
    """Write the content, of which ``listing`` is a part that was written already."""
    return join(listing, log_section(feed))


class Listing:
    """The part of the page that lists the repositories, kept until something changes.

    After a push every open page asks for it; it is written once for all of them.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._is_of: object = None
        self._written = Markup("")

    async def write(self, store: RegistryStore, registry: str) -> Markup:
        """Give the list as it is now; ``registry`` is what image names begin with here."""
        async with self._lock:
            now = store.state(), registry
            if self._is_of != now:
                self._written = await run_in_threadpool(lambda: repositories(Inventory.read(store), registry))
                self._is_of = now
            return self._written


def repositories(inventory: Inventory, registry: str) -> Markup:
    """Write the list."""
    names = inventory.repositories()
    if not names:
        first = paragraph("Nothing has been pushed yet. Build an image, give it a name with a user in front, push it, "
                          "and watch the requests below:")  # fmt: skip
        commands = "dockersim build -t alice/app .\ndockersim login -u alice\ndockersim push alice/app"
        return section("Repositories", first, element("pre", code(commands)), id_="repositories")
    return section(
        "Repositories",
        _sums(inventory),
        join(*(_repository(inventory, name) for name in names)),
        paragraph("By this registry's address an image's name begins with ", code(f"{registry}/"), "."),
        id_="repositories",
    )


def _sums(inventory: Inventory) -> Markup:
    images = [one for one in inventory.manifests.values() if not one.is_index]
    held, alone = inventory.on_disk(), inventory.if_nothing_were_shared()
    return facts(
        ("Images", counted(len(images), "manifest")),
        ("On the disk", human_size(held)),
        ("Saved by sharing", f"{human_size(alone - held)}: without it these would be {human_size(alone)}"),
    )


def _repository(inventory: Inventory, name: str) -> Markup:
    found = inventory.of(name)
    listed = {digest for one in found for digest in one.entry.manifests}
    rows = (row for one in found for row in _rows(inventory, one, listed))
    header = ("Tag", "Digest", "Kind", "Layers", "Size", "Only its own", "Delete")
    return join(element("h3", name), table(f"Images of {name}", header, rows))


def _rows(inventory: Inventory, stored: Stored, listed: set[str]) -> Iterator[tuple[Content, ...]]:
    total, own = inventory.weigh(stored)
    layers = stored.document.get("layers")
    count = str(len(layers)) if isinstance(layers, list) else ""
    common = (short(stored.digest), kind_of(stored), count, human_size(total), human_size(own))
    if not stored.tags:
        what = "part of an index" if stored.digest in listed else "no tag"
        shown = link(what, _to("image", stored, stored.digest))
        yield shown, *common, _delete(stored, stored.digest, stored.digest[:19])
    for tag in stored.tags:
        yield link(tag, _to("image", stored, tag)), *common, _delete(stored, tag, tag)


def kind_of(stored: Stored) -> str:
    """Say in a word or two what a manifest is of."""
    config = stored.document.get("config")
    # Whoever pushed it may have written a list there.
    of_image = isinstance(config, dict) and str(config.get("mediaType")) in media_types.CONFIGS
    if stored.is_index:
        kind = f"index of {counted(len(stored.entry.manifests), 'manifest')}"
    elif of_image:
        kind = "image"
    else:
        kind = "artifact"
    return f"{kind}, about another" if stored.entry.subject else kind


def _delete(stored: Stored, name: str, words: str) -> Markup:
    label = element("span", f" {stored.repository} {words}", class_="unseen")
    return link(join("Delete…", label), _to("delete", stored, name))


def _to(page: str, stored: Stored, name: str) -> str:
    return address(page, repository=stored.repository, name=name)
