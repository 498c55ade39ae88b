"""One request for a page, on its way: what the handlers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from msgspec import Struct

from dockersim.registry import names
from dockersim.registry.page.feed import Feed
from dockersim.registry.page.home import Listing
from dockersim.registry.page.visitors import Visitors
from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.call import Call

LONGEST_FORM: Final = 16 * 1024
MOST_FIELDS: Final = 20


class Visit(Struct, frozen=True):
    """The call, the session that the browser brought or is given now, and what pages are made with."""

    call: Call
    session: str
    visitors: Visitors
    feed: Feed
    listing: Listing

    async def form(self) -> dict[str, str]:
        """Read the form; raise SIZE_INVALID or UNSUPPORTED for what is none of ours."""
        data = b""
        async for piece in self.call.request.stream():
            data += piece
            if len(data) > LONGEST_FORM:
                raise Problem(Code.SIZE_INVALID, "form too long", status=413)
        try:
            fields = parse_qs(data.decode("ascii"), max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise Problem(Code.UNSUPPORTED, "not a form", status=400) from error
        return {name: values[0] for name, values in fields.items()}


def image_named(fields: Mapping[str, str]) -> tuple[str, str]:
    """Check which repository, and which tag or digest, is asked for.

    Raises NAME_INVALID, DIGEST_INVALID or MANIFEST_UNKNOWN.
    """
    repository, name = names.repository(fields.get("repository", "")), fields.get("name", "")
    if names.looks_like_digest(name):
        return repository, names.digest(name)
    if not names.is_tag(name):
        raise Problem(Code.MANIFEST_UNKNOWN, "manifest unknown")
    return repository, name
