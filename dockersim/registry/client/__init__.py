"""The registry client: asks any registry, and keeps what it asked.

    endpoint     which registry a name means, and how it is reached
    credentials  auth.json, in docker's form
    challenge    reading WWW-Authenticate
    refusals     what a registry's no means, in one line
    exchange     one request and its answer: tokens, redirects, the wire log
    connection   the requests of the spec, one method each
    transfer     push and pull of whole images, as generators of events

The real thing is containerd's ``core/remotes/docker`` and docker's ``distribution`` package.
"""
