"""The registry client: asks any registry, and keeps what it asked.

    endpoint       which registry a name means, and how it is reached; the stand-in for the practice registry, mirrors
    credentials    auth.json, in docker's form; docker_config: docker's own, and its credential helpers
    challenge      reading WWW-Authenticate; tokens: what it asks for, fetched and kept by scope
    exchange       one request and its answer: redirects, the wire log; discretion: what must not be logged
    refusals       what a registry's no means, in one line; ratelimit: when to ask again, in words
    warnings       what a registry says beside its answers
    patience       what is asked again, and after how long
    connection     the requests of the spec, one method each; uploads: one blob, piece by piece
    abreast        several layers at once, as one generator of events
    push, pull     whole images; platforms: which one of an index

The real thing is containerd's ``core/remotes/docker`` and docker's ``distribution`` package.
"""
