"""Asking only for what one has not (RFC 9110, section 13): the entity tag of all that is served is its digest.

A proxy that keeps what it has passed on asks so, and is spared the body.
"""

from __future__ import annotations

from dockersim.registry.server.call import Call


def entity_tag(digest: str) -> str:
    """Write the tag of what has this digest."""
    return f'"{digest}"'


def has_it(call: Call, digest: str) -> bool:
    """Tell whether the client has this already, and is answered 304.

    MUST (section 13.1.2): not with what If-None-Match names. Without quotes, too, as distribution takes it.
    """
    named = {tag.strip().removeprefix("W/") for tag in call.header("if-none-match").split(",")}
    return not named.isdisjoint({"*", digest, entity_tag(digest)})


def wants_range(call: Call, digest: str) -> bool:
    """Tell whether a Range counts. MUST (section 13.1.5): not where If-Range names something else."""
    return call.header("if-range").strip() in ("", entity_tag(digest))
