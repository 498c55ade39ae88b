"""How images travel: the OCI distribution protocol, as a client, as a server, and as a log to learn from.

A registry is a small thing: blobs by digest, and names for some of them. Push sends what the other side lacks,
pull fetches what is lacking here, and digests make both safe to repeat and to check. The real things are
containerd's and docker's clients, and ``distribution/distribution`` as the server; the document is the OCI
distribution-spec 1.1.

    wire, purpose   every request as an event, and what it is for, in words
    client/         any registry: tokens, push, pull
    server/         the practice registry, which plays Docker Hub on 127.0.0.1 without an account
    events          what happens during push and pull

The law: no credential in any log or error; nothing stored or used whose digest was not checked; no blob whole in
memory. Neither httpx nor starlette is imported before a request is made or served.

>>> from dockersim.oci import parse_reference
>>> endpoint_for(parse_reference("alice/app"), Settings(practice="127.0.0.1:5001")).title
'the practice registry (127.0.0.1:5001)'
"""

from __future__ import annotations

from dockersim.registry.client.connection import RegistryClient
from dockersim.registry.client.credentials import CredentialFile, Credentials
from dockersim.registry.client.docker_config import DockerConfig
from dockersim.registry.client.endpoint import Endpoint, Settings, endpoint_for, endpoint_of, mirrors_of
from dockersim.registry.client.pull import pull
from dockersim.registry.client.push import push
from dockersim.registry.client.refusals import Interrupted, NotInRegistry, TooManyRequests, Unreachable
from dockersim.registry.client.tokens import Granted
from dockersim.registry.events import (
    ConfigSent,
    LayerExists,
    LayerMounted,
    LayerPreparing,
    LayerPulled,
    LayerPushed,
    ManifestFetched,
    ManifestPut,
    Progress,
    PullEvent,
    PushEvent,
)
from dockersim.registry.server.service import Address, ensure_running, running, serve, stop
from dockersim.registry.wire import FileLog, MemoryLog, WireEvent, WireLog, explain

__all__ = [
    "Address",
    "ConfigSent",
    "CredentialFile",
    "Credentials",
    "DockerConfig",
    "Endpoint",
    "FileLog",
    "Granted",
    "Interrupted",
    "LayerExists",
    "LayerMounted",
    "LayerPreparing",
    "LayerPulled",
    "LayerPushed",
    "ManifestFetched",
    "ManifestPut",
    "MemoryLog",
    "NotInRegistry",
    "Progress",
    "PullEvent",
    "PushEvent",
    "RegistryClient",
    "Settings",
    "TooManyRequests",
    "Unreachable",
    "WireEvent",
    "WireLog",
    "endpoint_for",
    "endpoint_of",
    "ensure_running",
    "explain",
    "mirrors_of",
    "pull",
    "push",
    "running",
    "serve",
    "stop",
]
