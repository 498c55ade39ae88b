"""Options of a build in docker's words, read and checked: what buildx does before it asks BuildKit (build/opt.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from dockersim.dockerfile import parse
from dockersim.errors import BuildError, DockerfileError
from dockersim.solver import BuildOptions
from dockersim.solver.scope import global_scope

_EPOCH = "SOURCE_DATE_EPOCH"
_LATEST = 253_402_300_799
"""The last second of the year 9999; Go writes no later time into JSON."""
_HOST_GATEWAY = "host-gateway"
"""Docker's word for the machine that builds."""

# Deviation: With docker, `host-gateway` is the address of its bridge; here a RUN shares the host's network, and finds
# the host at 127.0.0.1.
_GATEWAY_ADDRESS = "127.0.0.1"


def read_hosts(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Read each ``HOST:IP`` or ``HOST=IP[,IP]`` of --add-host as pairs of name and address.

    An address is IPv4 or IPv6 (in brackets or not) or ``host-gateway``; names are in lower case, as BuildKit writes
    them. Raises BuildError.

    >>> read_hosts(["Db:10.0.0.2", "six=[::1]", "me:host-gateway"])
    (('db', '10.0.0.2'), ('six', '::1'), ('me', '127.0.0.1'))
    """
    return tuple(pair for word in words for pair in _host(word))


def read_filter(words: Sequence[str], *, no_cache: bool) -> tuple[str, ...]:
    """Read the stages of every --no-cache-filter. Raises BuildError if ``no_cache`` is asked for as well."""
    if words and no_cache:
        raise BuildError("--no-cache and --no-cache-filter cannot currently be used together", hint="leave one out")
    return tuple(",".join(words).split(",")) if words else ()


def read_network(word: str) -> str:
    """Read --network, "" for the default. Raises BuildError for a network of docker's, which builds have none of."""
    if word not in ("", "default", "none", "host"):
        raise BuildError(f'network mode "{word}" not supported by buildkit', hint="use default, none or host")
    return word or "default"


def read_epoch(word: str) -> int | None:
    """Read SOURCE_DATE_EPOCH, None if there is none. Raises BuildError for what is no time that an image can have.

    Deviation: in BuildKit it may also be `context`, or the name of a context or stage, whose time is then taken; here
    only a number counts.
    """
    if not word:
        return None
    if not (word.isascii() and word.isdigit()) or len(word) > len(str(_LATEST)) or int(word) > _LATEST:
        raise BuildError(f"invalid {_EPOCH}: {word}", hint="write the seconds since 1970")
    return int(word)


def with_epoch_of(text: str, options: BuildOptions) -> BuildOptions:
    """Take SOURCE_DATE_EPOCH from an ARG above the first FROM of a Dockerfile, unless the caller has given one."""
    if options.epoch is not None or _EPOCH not in text:
        return options
    try:
        value = global_scope(parse(text), options).values.get(_EPOCH, "")
    except DockerfileError:  # the build tells it, in its place
        return options
    return replace(options, epoch=read_epoch(value))


def _host(word: str) -> Iterator[tuple[str, str]]:
    name, separator, addresses = word.partition("=" if "=" in word else ":")
    if not separator or not name or not addresses or name.split() != [name]:
        raise _invalid_host(word)
    if addresses == _HOST_GATEWAY:
        yield name.lower(), _GATEWAY_ADDRESS
        return
    for address in addresses.split(","):
        yield name.lower(), _address(address, word)


def _address(text: str, word: str) -> str:
    """Check an address and spell it as Go does; a zone (``fe80::1%eth0``) is no part of one there."""
    import ipaddress  # most builds name no address

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise _invalid_host(word) from None
    if "%" in bare:
        raise _invalid_host(word)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _invalid_host(word: str) -> BuildError:
    return BuildError(f"invalid host {word}", hint="write it as --add-host HOST:IP")
