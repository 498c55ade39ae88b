"""Where FROM gets its image: from a store, from a registry, from this machine, or from a stand-in.

An image is just files, and so this package can make some. The *starter* images are collected from the
learner's own machine: its shell, its Python, the loader and every shared library they need (``elf``,
``libraries``), put into two layers that are the same bytes each time (``pieces``, ``starter``). pip works in
them without a network, with wheels made from installed packages (``wheels``). The *stand-in* for
ubuntu:latest is a Debian bootstrapped by mmdebstrap (``debian``), and says so. ``resolution`` asks who has an
image, in which order, and what it means when nobody does.

The real thing: base images on Docker Hub are made so too, debian by debuerreotype, others from a tar with
``FROM scratch`` and ``ADD``; containerd's ``core/remotes`` resolves names. The law of the package: what is
made here never passes for something else. Its labels, its os-release and the step that uses it say what it
is.

>>> from dockersim.oci import parse_reference
>>> [base.name for base in CATALOGUE]
['dockersim/starter:shell', 'dockersim/starter:python', 'ubuntu:latest', 'debian:bookworm']
>>> class Empty:
...     name = "the local store"
...     def find(self, reference): return None
>>> resolve(parse_reference("no/such"), [Empty()])
Traceback (most recent call last):
dockersim.errors.ImageNotFound: no/such:latest cannot be had: the local store has no such image
"""

from __future__ import annotations

from dockersim.bases.catalogue import (
    CATALOGUE,
    Base,
    MadeBase,
    Provenance,
    advice,
    base_named,
    find_base,
    make,
)
from dockersim.bases.resolution import (
    CONNECT_SECONDS,
    STAND_IN_LABEL,
    AskedOnce,
    ImageSource,
    Resolution,
    UnreachableNow,
    UnreachableRegistries,
    registry_title,
    resolve,
    stand_in_note,
)

__all__ = [
    "CATALOGUE",
    "CONNECT_SECONDS",
    "STAND_IN_LABEL",
    "AskedOnce",
    "Base",
    "ImageSource",
    "MadeBase",
    "Provenance",
    "Resolution",
    "UnreachableNow",
    "UnreachableRegistries",
    "advice",
    "base_named",
    "find_base",
    "make",
    "registry_title",
    "resolve",
    "stand_in_note",
]
