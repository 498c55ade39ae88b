"""The build cache of another place: ``--cache-to`` carries it there, ``--cache-from`` brings it here.

What is carried is little: for each step the digest of its cache key and what it came to (``document``), and the layers
it made, as the blobs of an OCI image manifest in a directory or a repository (``places``). Whoever has the same
Dockerfile, base image and files makes the same keys, and so finds the steps there (``carrying``). The real thing is
BuildKit's cache/remotecache.

The law: nothing of it is trusted but the word that this key gave this layer. Every document is checked field by field,
every blob against its digest, every layer against its diff id; what does not hold is told in one line, and the build
goes on without it.
"""

from __future__ import annotations

from dockersim.engine.remotecache.carrying import RemoteCaches
from dockersim.engine.remotecache.options import CacheOption, Mode, read_exports, read_imports

__all__ = ["CacheOption", "Mode", "RemoteCaches", "read_exports", "read_imports"]
