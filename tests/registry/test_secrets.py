"""No password, token or signature in anything that is written, printed or logged, whatever goes wrong."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from image import Store
from stranger import Hub, Stranger, hub, stranger
from test_tokens import fill, pull_app

from dockersim.digest import sha256
from dockersim.errors import AccessDenied, DockersimError
from dockersim.oci import Descriptor, media_types, parse_reference
from dockersim.registry import Credentials, MemoryLog, RegistryClient, Settings, endpoint_of, explain, push
from dockersim.registry.client.discretion import bare_address
from dockersim.registry.client.endpoint import read_address

PASSWORD = "w0nder/land+?&"
LAYER = b"a layer"
FOREIGN = min(media_types.FOREIGN_LAYERS)
ALICE = Credentials("alice", PASSWORD)
SECRETS = (
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
    ALICE.basic().removeprefix("Basic "),
    "w0nder%2Fland",
    "s1gnatur3",
    "t0ken-",
    "1dentity",
    "us3rinfo",
)


@contextmanager
def everything_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[MemoryLog]:
    """Listen to all that is said, at the level of DEBUG, and look for secrets in it."""
    log = MemoryLog()
    caplog.set_level(logging.DEBUG)
    yield log
    captured = capfd.readouterr()
    told = [captured.out, captured.err, caplog.text, *(event.to_json() + explain(event) for event in log.events)]
    assert caplog.records, "httpx should have logged something"
    _check("\n".join(told))


def _check(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


def _tell(error: BaseException) -> str:
    return f"{error!s} {error!r} " + "".join(traceback.format_exception_only(type(error), error))


def _client(address: str, log: MemoryLog, who: Credentials | None = ALICE) -> RegistryClient:
    return RegistryClient(endpoint_of(address, Settings()), who, log, pause=lambda seconds: None)


def test_nothing_is_told_of_a_login_and_a_pull_that_go_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with everything_told(caplog, capfd) as log, hub() as registry:
        registry.logins["alice"] = PASSWORD
        fill(registry, tmp_path / "made")
        for who in (ALICE, Credentials("", "", registry.identity_token)):
            with _client(registry.address, log, who) as client:
                client.login()
                pull_app(client, tmp_path / (who.username or "token"))
        assert registry.SIGNATURE in registry.seen_by_store[0]["path"]
        assert "s1gnatur3" not in repr(who) and "1dentity" not in repr(who)


def _redirect(to: str) -> Callable[[Stranger], None]:
    return lambda ask: ask.say(307, Location=to)


def _token_of(hub: Hub) -> Callable[[Stranger], None]:
    realm = f'Bearer realm="http://us3rinfo:x@{hub.auth}/token?t=t0ken-0",service="x"'
    return lambda ask: ask.say(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}', WWW_Authenticate=realm)


GONE = "http://us3rinfo:s1gnatur3@127.0.0.1:9/x?X-Amz-Signature=s1gnatur3#t0ken-"

FAILING: dict[str, Callable[[Hub], Callable[[Stranger], None]]] = {
    "a redirect to nowhere": lambda hub: _redirect(GONE),
    "a redirect to no address": lambda hub: _redirect("http://[s1gnatur3/?X-Amz-Signature=s1gnatur3"),
    "a redirect to another scheme": lambda hub: _redirect("ftp://us3rinfo:x@x/?X-Amz-Signature=s1gnatur3"),
    "a redirect to a bad port": lambda hub: _redirect("http://us3rinfo:x@x:99999/?sig=s1gnatur3"),
    "redirects in circles": lambda hub: _redirect("/v2/?sig=s1gnatur3"),
    "a wrong password": _token_of,
    "a token server without TLS": lambda hub: (
        lambda ask: ask.say(401, WWW_Authenticate='Bearer realm="http://us3rinfo:x@tokens.example/t?s=s1gnatur3"')
    ),
    "an answer that breaks off": lambda hub: lambda ask: ask.say(200, b"x", Content_Length="9"),
    "trouble": lambda hub: lambda ask: ask.say(500),
    "no": lambda hub: lambda ask: ask.say(403),
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=FAILING)
def test_nothing_is_told_when_something_fails(
    failing: Callable[[Hub], Callable[[Stranger], None]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    store = Store(tmp_path)
    manifest = store.image({"a": b"1"})
    with everything_told(caplog, capfd) as log, hub() as peer, stranger(failing(peer)) as (address, _):
        name = parse_reference(f"{address}/alice/app")
        with _client(address, log) as client:
            for work in (
                client.login,
                lambda: client.fetch_manifest("alice/app", "latest"),
                lambda: client.tags("alice/app"),
                lambda: list(push(client, name, manifest, store.content, store.layers)),
            ):
                try:
                    work()
                except DockersimError as error:
                    _check(_tell(error))


@pytest.mark.parametrize(
    "written", [f"alice:{PASSWORD}@ghcr.io", f"https://alice:{PASSWORD}@ghcr.io/x", "a:s1gnatur3@"]
)
def test_an_address_with_a_password_is_refused_without_showing_it(written: str) -> None:
    with pytest.raises(DockersimError) as caught:
        read_address(written)
    _check(_tell(caught.value))


@pytest.mark.parametrize("way", ["a foreign layer", "a redirect"])
def test_another_host_cannot_send_the_password_to_a_token_server_of_its_own(tmp_path: Path, way: str) -> None:
    """CVE-2020-15157."""

    def thief(ask: Stranger) -> None:
        if ask.path.startswith("/token"):
            ask.say(200, b'{"token": "x"}')
        else:
            ask.say(401, WWW_Authenticate=f'Bearer realm="http://{elsewhere}/token",service="x"')

    def registry(ask: Stranger) -> None:
        if way == "a redirect":
            ask.say(307, Location=f"http://{elsewhere}/layer")
        else:
            ask.say(200, LAYER)

    store = Store(tmp_path)
    with stranger(thief) as (elsewhere, stolen), stranger(registry) as (address, _), store.content.writer() as into:
        urls = (f"http://{elsewhere}/layer",) if way == "a foreign layer" else ()
        blob = Descriptor(FOREIGN, sha256(LAYER), len(LAYER), urls)
        with _client(address, MemoryLog()) as client, nullcontext() if urls else pytest.raises(AccessDenied):
            for _ in client.fetch_blob("alice/app", blob, into):
                pass
    assert [ask["path"] for ask in stolen] == ["/layer"] and "authorization" not in stolen[0]
    assert store.content.has(blob.digest) == bool(urls)


def test_an_address_is_bared() -> None:
    assert bare_address("https://us3rinfo:x@h:1/p?q=s1gnatur3#t0ken-") == "https://h:1/p"
    assert bare_address("http://[") == ""
