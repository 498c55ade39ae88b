"""The base images that dockersim can make itself, by name."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from dockersim.bases.resolution import STAND_IN_LABEL, TITLE_LABEL
from dockersim.errors import ImageError, ImageNotFound
from dockersim.oci import ContainerConfig, History, ImageConfig, Reference, parse_reference

if TYPE_CHECKING:
    from dockersim.bases.debian import Progress
    from dockersim.content import LayerStore
    from dockersim.digest import DiffID

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What docker sets where an image says nothing (containerd, ``oci/spec.go``), and what ubuntu and debian say."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
"""What uname(2) calls a machine, and what Go and so every image config calls it."""


class Provenance(Enum):
    """Where an image comes from. The values are the words shown to a learner."""

    MACHINE = "made from this machine"
    STAND_IN = "stand-in"


class Recipe(Enum):
    """How an image is made."""

    SHELL = "shell"
    PYTHON = "python"
    BOOKWORM = "bookworm"


class Base(Struct, frozen=True):
    """An image that can be made here."""

    name: str
    description: str
    provenance: Provenance
    recipe: Recipe

    @property
    def reference(self) -> Reference:
        """The name in full."""
        return parse_reference(self.name)


class MadeBase(Struct, frozen=True):
    """A base whose layers are in the store, lowest first; its config is the caller's to store and to name."""

    config: ImageConfig
    diff_ids: tuple[DiffID, ...]


CATALOGUE: tuple[Base, ...] = (
    Base(
        "dockersim/starter:shell",
        "the shell and the small programs of this machine",
        Provenance.MACHINE,
        Recipe.SHELL,
    ),
    Base(
        "dockersim/starter:python",
        "the same with this Python and pip, which installs Flask without a network",
        Provenance.MACHINE,
        Recipe.PYTHON,
    ),
    Base("ubuntu:latest", "Debian bookworm from Debian's packages", Provenance.STAND_IN, Recipe.BOOKWORM),
    Base("debian:bookworm", "Debian bookworm from Debian's packages", Provenance.STAND_IN, Recipe.BOOKWORM),
)

_ALWAYS = "FROM dockersim/starter:python"
STAND_IN = "Debian bookworm by mmdebstrap, not the image from Docker Hub"


def find_base(reference: Reference) -> Base | None:
    """Return the base of that name, or None.

    >>> find_base(parse_reference("ubuntu")).provenance.value
    'stand-in'
    """
    wanted = reference.with_default_tag().canonical()
    return next((base for base in CATALOGUE if base.reference.canonical() == wanted), None)


def advice(reference: Reference) -> str:
    """Say what to do when nobody has ``reference``: the hint of ``resolve``.

    >>> advice(parse_reference("ubuntu"))
    "run 'dockersim base add ubuntu:latest' to make a Debian stand-in, or use 'FROM dockersim/starter:python'"
    """
    base = find_base(reference)
    if base is not None and base.provenance is Provenance.STAND_IN:
        return f"run 'dockersim base add {base.name}' to make a Debian stand-in, or use '{_ALWAYS}'"
    return f"check the name, or use '{_ALWAYS}', which is made from this machine"


def base_named(name: str) -> Base:
    """Return the base that a learner asks for by name; raise ImageNotFound with the names there are."""
    base = find_base(parse_reference(name))
    if base is None:
        raise ImageNotFound(
            f"no base image {name} can be made here",
            hint=f"there are {', '.join(base.name for base in CATALOGUE)}",
        )
    return base


def make(base: Base, layers: LayerStore, progress: Progress) -> MadeBase:
    """Make the layers of ``base`` in ``layers``, and its config. Repeatable: a starter gives equal digests.

    ``progress`` is called with one line for each thing that is done. Raises ImageError where this machine cannot.
    """
    if sys.platform != "linux":
        raise ImageError(
            f"{base.name} is made of Linux programs, and this is {sys.platform}",
            hint="use WSL2 on Windows, a Linux machine or Binder, or pull an image from a registry",
        )
    # Making a base reads packages' metadata and starts processes; a build from a stored one needs neither.
    if base.recipe is Recipe.BOOKWORM:
        from dockersim.bases.standin import make_layer

        diff_id, created = make_layer("bookworm", layers, progress)
        return _config(base, created, ((diff_id, f"# {STAND_IN}"),), ("bash",), (DEFAULT_PATH,))
    from dockersim.bases.starter import CREATED, make_layers

    made = make_layers(layers, progress, python=base.recipe is Recipe.PYTHON)
    env = (DEFAULT_PATH, "PYTHONDONTWRITEBYTECODE=1") if base.recipe is Recipe.PYTHON else (DEFAULT_PATH,)
    command = ("python3",) if base.recipe is Recipe.PYTHON else made.shell
    return _config(base, CREATED, made.layers, command, env)


def _config(
    base: Base,
    created: str,
    layers: tuple[tuple[DiffID, str], ...],
    command: tuple[str, ...],
    env: tuple[str, ...],
) -> MadeBase:
    labels = {
        TITLE_LABEL: base.name,
        "org.opencontainers.image.description": base.description,
    }
    if base.provenance is Provenance.STAND_IN:
        labels[STAND_IN_LABEL] = STAND_IN
    diff_ids = tuple(diff_id for diff_id, _ in layers)
    history = [History(created, created_by, comment="dockersim") for _, created_by in layers]
    history += [History(created, f"ENV {pair}", comment="dockersim", empty_layer=True) for pair in env]
    quoted = ", ".join(f'"{word}"' for word in command)
    history.append(History(created, f"CMD [{quoted}]", comment="dockersim", empty_layer=True))
    config = ImageConfig(
        architecture=architecture(),
        config=ContainerConfig(env=env, cmd=command, labels=labels),
        diff_ids=diff_ids,
        history=tuple(history),
        created=created,
    )
    return MadeBase(config, diff_ids)


def architecture() -> str:
    """Return this machine's architecture by the name that images use."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)
