"""How images travel: the OCI distribution protocol, as a client, as a server, and as a log to learn from.

A registry is a small thing: blobs by digest, and names for some of them. Push sends what the other side lacks,
pull fetches what is lacking here, and digests make both safe to repeat and to check. The real things are
containerd's and docker's clients, and ``distribution/distribution`` as the server; the document is the OCI
distribution-spec 1.1.

    wire, purpose   every request as an event, and what it is for, in words
    client/         any registry: tokens, push, pull
    server/         the practice registry, which plays Docker Hub on 127.0.0.1 without an account
    page/           its page: what it holds, and every request as it comes
    plans, upkeep   what a delete or a garbage collection frees, and having it done
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
from dockersim.registry.client.indexes import pull_index, push_index
from dockersim.registry.client.pull import pull
from dockersim.registry.client.push import push
from dockersim.registry.client.refusals import Interrupted, NotInRegistry, TooManyRequests, Unreachable
from dockersim.registry.client.tokens import Granted
from dockersim.registry.client.warnings import Warnings
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
from dockersim.registry.plans import Collection, Removal
from dockersim.registry.server.service import Address, ensure_running, running, serve, stop
from dockersim.registry.upkeep import Collected, collect, page_key, plan_collection, plan_removal, remove
from dockersim.registry.wire import FileLog, MemoryLog, WireEvent, WireLog, explain

__all__ = [
    "Address",
    "Collected",
    "Collection",
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
    "Removal",
    "Settings",
    "TooManyRequests",
    "Unreachable",
    "Warnings",
    "WireEvent",
    "WireLog",
    "collect",
    "endpoint_for",
    "endpoint_of",
    "ensure_running",
    "explain",
    "mirrors_of",
    "page_key",
    "plan_collection",
    "plan_removal",
    "pull",
    "pull_index",
    "push",
    "push_index",
    "remove",
    "running",
    "serve",
    "stop",
]
