"""Tokens of the practice registry: what they were granted for is what they are good for, and nobody can make one."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from dockersim.registry.problems import Code, Problem
from dockersim.registry.server.access import TOKEN_SECONDS, Access, Caller, Grant, load_secret
from dockersim.registry.server.users import Users

ALICE, MALLORY = ("alice", "wonderland"), ("mallory", "m")
UPLOADS = "/v2/alice/app/blobs/uploads/"
MANIFEST = "/v2/alice/app/manifests/latest"


def token(http: httpx.Client, who: tuple[str, str] | None, *scopes: str) -> str:
    answer = http.get("/token", params={"scope": scopes}, auth=who)
    assert answer.status_code == 200
    return str(answer.json()["token"])


def claims(made: str) -> dict[str, Any]:
    part = made.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[no-any-return]


@pytest.fixture
def owned(http: httpx.Client) -> httpx.Client:
    """A registry where alice and mallory have registered."""
    for who in (ALICE, MALLORY):
        token(http, who)
    return http


@pytest.mark.parametrize(
    "who,asked,granted",
    [
        (ALICE, "pull", ["pull"]),
        (ALICE, "pull,push", ["pull", "push"]),
        (ALICE, "delete,pull,push", ["delete", "pull", "push"]),
        (ALICE, "*", ["*"]),
        (MALLORY, "pull,push", ["pull"]),
        (MALLORY, "push", []),
        (MALLORY, "*", ["pull"]),
        (None, "pull,push", ["pull"]),
    ],
)
def test_a_token_says_what_was_granted(
    owned: httpx.Client, who: tuple[str, str] | None, asked: str, granted: list[str]
) -> None:
    made = claims(token(owned, who, f"repository:alice/app:{asked}"))
    assert made["access"] == [{"type": "repository", "name": "alice/app", "actions": granted}]
    assert (made["sub"], made["exp"] - made["iat"]) == (who[0] if who else "", TOKEN_SECONDS)


@pytest.mark.parametrize(
    "scopes,status",
    [
        ([], 401),
        (["repository:alice/app:pull"], 401),
        (["repository:alice/other:pull,push"], 401),
        (["repository:alice/app:delete"], 401),
        (["repository:alice/app:pull,push"], 202),
        (["repository:alice/other:pull", "repository:alice/app:push"], 202),
        (["repository:alice/app:*"], 202),
    ],
)
def test_a_token_pushes_only_what_it_was_given_for(owned: httpx.Client, scopes: list[str], status: int) -> None:
    headers = {"Authorization": f"Bearer {token(owned, ALICE, *scopes)}"}
    answer = owned.post(UPLOADS, headers=headers)
    assert answer.status_code == status
    if status == 401:  # it says how to get one that is good
        assert 'scope="repository:alice/app:pull,push"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("action,status", [("pull", 401), ("delete", 404), ("pull,push", 404), ("*", 404)])
def test_deleting_is_a_right_of_its_own_which_who_pushes_has(owned: httpx.Client, action: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {token(owned, ALICE, f'repository:alice/app:{action}')}"}
    assert owned.delete(MANIFEST, headers=headers).status_code == status


def test_a_repository_may_be_called_as_an_upload_is(owned: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {token(owned, ALICE, 'repository:alice/uploads/app:delete')}"}
    assert owned.delete("/v2/alice/uploads/app/manifests/v1", headers=headers).status_code == 404


def test_basic_credentials_need_no_scope(owned: httpx.Client) -> None:
    assert owned.post(UPLOADS, auth=ALICE).status_code == 202
    assert owned.post(UPLOADS, auth=MALLORY).status_code == 403


def test_the_form_of_oauth2_asks_for_scopes_too(owned: httpx.Client) -> None:
    form = {"grant_type": "password", "username": "alice", "password": "wonderland",
            "scope": "repository:alice/app:push registry:catalog:*"}  # fmt: skip
    access = claims(owned.post("/token", data=form).json()["access_token"])["access"]
    assert [(one["name"], one["actions"]) for one in access] == [("alice/app", ["push"]), ("catalog", ["*"])]


def _encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


FORGED = {
    "no signature": lambda made: made.rpartition(".")[0] + ".",
    "the claims of another": lambda made: ".".join([made.split(".")[0], _encode({**claims(made), "sub": "alice"}),
                                                    made.split(".")[2]]),
    "alg none": lambda made: ".".join([_encode({"alg": "none", "typ": "JWT"}), made.split(".")[1], ""]),
    "another key": lambda made: _resigned(made, b"guess"),
    "no token": lambda made: "x",
    "dots": lambda made: "....",
    "letters": lambda made: made + "é",
}  # fmt: skip


def _resigned(made: str, key: bytes) -> str:
    signed = made.rpartition(".")[0]
    return f"{signed}.{base64.urlsafe_b64encode(hmac.digest(key, signed.encode(), 'sha256')).decode().rstrip('=')}"


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(owned: httpx.Client, forge: Any) -> None:
    made = forge(token(owned, MALLORY, "repository:alice/app:pull,push"))
    answer = owned.post(UPLOADS, headers={"Authorization": f"Bearer {made}".encode()})
    assert answer.status_code == 401


@pytest.mark.parametrize("claim", [{}, {"exp": "x"}, {"access": 7}, {"access": [{}]}, {"aud": "another"}, {"exp": 5}])
def test_even_with_our_key_only_our_claims_count(tmp_path: Path, claim: dict[str, object]) -> None:
    access = Access(Users(tmp_path / "users"), b"key", lambda: 1000.0)
    whole = {"aud": "dockersim practice registry", "exp": 2000, "sub": "alice", "access": []}
    document = {**whole, **claim} if claim else []
    signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(document)}"
    with pytest.raises(Problem) as caught:
        access.identify(f"Bearer {_resigned(f'{signed}.', b'key')}", local=True)
    assert caught.value.code is Code.UNAUTHORIZED


@pytest.mark.parametrize("left", [b"", b"short"])
def test_a_key_that_a_power_cut_has_emptied_signs_nothing(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(left)
    forged = Access(Users(tmp_path / "users"), left, lambda: 1000.0).issue("alice")
    with pytest.raises(Problem):
        Access(Users(tmp_path / "users"), load_secret(path), lambda: 1000.0).identify(f"Bearer {forged}", local=True)
    assert load_secret(path) == load_secret(path) == path.read_bytes()
    assert (len(path.read_bytes()), path.stat().st_mode & 0o777) == (32, 0o600)


def test_a_token_ends_when_its_time_is_over(tmp_path: Path) -> None:
    now = [1000.0]
    access = Access(Users(tmp_path / "users"), b"key", lambda: now[0])
    made = access.issue("alice", access.grant(Caller("alice", local=True), ["repository:alice/app:pull"]))
    found = access.identify(f"Bearer {made}", local=True)
    assert found == Caller("alice", True, True, (Grant("repository", "alice/app", frozenset({"pull"})),))
    now[0] += TOKEN_SECONDS + 1
    with pytest.raises(Problem):
        access.identify(f"Bearer {made}", local=True)


@pytest.mark.parametrize("scope", ["", "x", "repository", "repository:a", "repository:a:", ":a:pull", "::"])
def test_what_is_no_scope_grants_nothing(scope: str) -> None:
    assert Grant.parse(scope) is None
