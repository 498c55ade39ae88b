"""A repository of a registry under test, as a client sees it, and the ways in which it can fall short."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

Headers = dict[str, str] | list[tuple[str, str]]
Body = bytes | Iterator[bytes] | None


class Violated(Exception):
    """The registry does not do what a rule demands."""


class Unsupported(Exception):
    """The registry lacks what a rule is about, and says so in a way that the spec allows."""


def must(condition: object, what: str) -> None:
    """Raise Violated unless the condition holds; ``what`` says what is wrong then."""
    if not condition:
        raise Violated(what)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """Name bytes by their digest."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@dataclass(frozen=True)
class Repository:
    """The repository ``name`` at the registry that ``http`` talks to."""

    http: httpx.Client
    name: str

    def send(
        self,
        method: str,
        where: str,
        *allowed: int,
        headers: Headers | None = None,
        body: Body = None,
        **query: str,
    ) -> httpx.Response:
        """Send one request, to a path within the repository or to a Location; the status must be an allowed one."""
        url = httpx.URL(where if where.startswith(("/", "http")) else f"/v2/{self.name}/{where}")
        answer = self.http.request(method, url.copy_merge_params(query), headers=headers, content=body)
        if answer.status_code not in allowed:
            said = f"{answer.status_code} {answer.text[:200].strip()}".strip()
            path = answer.request.url.raw_path.decode()[:120]
            raise Violated(f"{method} {path}: {said} instead of {' or '.join(map(str, allowed))}")
        return answer


def location(answer: httpx.Response) -> str:
    """Return the Location of an answer, which must be there."""
    found = answer.headers.get("location", "")
    must(found, f"{answer.request.method} answered {answer.status_code} without a Location")
    return str(found)


def names_digest(answer: httpx.Response, digest: str) -> None:
    """Docker-Content-Digest, if it is sent, must be the digest that was asked for."""
    named = answer.headers.get("docker-content-digest", digest)
    must(named == digest, f"Docker-Content-Digest is {named} instead of {digest}")


def has_header(answer: httpx.Response, name: str, value: str) -> None:
    """Check one header of an answer."""
    found = answer.headers.get(name)
    must(found == value, f"{name} is {found!r} instead of {value!r}")
