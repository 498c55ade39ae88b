"""The file of the registry's users: our own lines, and those that ``htpasswd -B`` writes for distribution."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import httpx
import pytest

from dockersim.registry.server.users import Login, Users
from tests.peers import needs, run
from tests.registry.servers import docker_registry

ALICE = "alice:$2y$05$/xvNvAnByMifMLRMZwNceef6PxvCot4wdhvkhXFmLZRKozQh0qUaa"
"""By ``htpasswd -nbB alice wonderland``, of Apache 2.4.71."""

SALT_AND_HASH = ALICE.rpartition("$")[2]
LONG = "x" * 71 + "yz" + "w" * 7


def bcrypt_line(name: str, password: str, mark: str) -> str:
    hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    return f"{name}:{hashed.replace('$2b$', f'${mark}$')}"


LINES = {
    "2y": ALICE,
    "2a": bcrypt_line("carol", "wonderland", "2a"),
    "2b": bcrypt_line("dave", "wonderland", "2b"),
    "longer than bcrypt looks": bcrypt_line("erin", LONG, "2y"),
}
LOGINS = {
    "right": (("alice", "wonderland"), 200),
    "right again": (("alice", "wonderland"), 200),
    "wrong": (("alice", "wonderlanD"), 401),
    "empty": (("alice", ""), 401),
    "2a": (("carol", "wonderland"), 200),
    "2b": (("dave", "wonderland"), 200),
    "long": (("erin", LONG), 200),
    "only 72 bytes count": (("erin", LONG[:72]), 200),
    "but these do": (("erin", LONG[:71]), 401),
    "a stranger": (("mallory", "wonderland"), 401),
}


@pytest.fixture
def docker_alike(root: Path, tmp_path: Path, http: httpx.Client) -> Iterator[list[httpx.Client]]:
    """Debian's docker-registry and ours, with the same file of users."""
    file = tmp_path / "htpasswd"
    file.write_text("# a class\n" + "\n".join(LINES.values()) + "\n\n")
    (root / "htpasswd").write_text(file.read_text())
    more = f"auth: {{htpasswd: {{realm: a class, path: {file}}}}}\n"
    with docker_registry(tmp_path, more) as url, httpx.Client(base_url=url, trust_env=False) as theirs:
        yield [theirs, http]


@needs("docker-registry")
def test_a_file_of_distribution_lets_the_same_people_in(docker_alike: list[httpx.Client]) -> None:
    for client in docker_alike:
        # Ours would register the stranger, who comes from this machine.
        asked = {who: LOGINS[who] for who in LOGINS if who != "a stranger" or client is not docker_alike[1]}
        answers = {who: client.get("/v2/", auth=credentials).status_code for who, (credentials, _) in asked.items()}
        assert answers == {who: status for who, (_, status) in asked.items()}


@needs("htpasswd")
def test_lines_that_htpasswd_writes_let_in(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(run("htpasswd", "-nbB", "alice", "wonderland"))
    users = Users(tmp_path / "users")
    assert users.login("alice", "wonderland", may_register=False) is Login.ACCEPTED
    assert users.login("alice", "looking glass", may_register=False) is Login.REFUSED


@pytest.mark.parametrize(
    "scrambled",
    [
        "$2y$16$" + SALT_AND_HASH,
        "$2y$31$" + SALT_AND_HASH,
        "$2y$03$" + SALT_AND_HASH,
        "$2y$99$" + SALT_AND_HASH,
        "$2x$05$" + SALT_AND_HASH,
        "$2y$05$" + SALT_AND_HASH[:-1],
        "$2y$05$" + SALT_AND_HASH + "a",
        "$2y$05$" + "é" * 53,
        "$2y$٠٥$" + SALT_AND_HASH,
        "$apr1$xV3bTUs7$1Xk0AOb.dPDJ7M6fgT7bb0",
        "wonderland",
        "",
    ],
    ids=lambda line: line[:10] or "nothing",
)
def test_other_lines_let_no_one_in_and_cost_nothing(tmp_path: Path, scrambled: str) -> None:
    (tmp_path / "users").write_text(f"alice:{scrambled}\n", encoding="utf-8")
    began = time.thread_time()
    assert Users(tmp_path / "users").login("alice", "wonderland", may_register=True) is Login.REFUSED
    assert time.thread_time() - began < 0.5


def test_a_right_password_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users").write_text(ALICE)
    users, asked = Users(tmp_path / "users"), []
    really = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda *given: asked.append(given) or really(*given))
    for password in ("wrong", "wonderland", "wonderland", "wrong"):
        assert users.login("alice", password, may_register=False) is not (
            Login.ACCEPTED if password == "wrong" else Login.REFUSED
        )
    assert len(asked) == 3


def test_who_registers_leaves_the_lines_of_others_as_they_are(tmp_path: Path) -> None:
    latin = "jörg:$2y$05$".encode("latin-1") + SALT_AND_HASH.encode()
    (tmp_path / "users").write_bytes(ALICE.encode() + b"\n" + latin + b"\n")
    users = Users(tmp_path / "users")
    assert users.login("bob", "builder", may_register=True) is Login.REGISTERED
    assert users.login("alice", "wonderland", may_register=False) is Login.ACCEPTED
    kept = (tmp_path / "users").read_bytes().splitlines()
    assert ALICE.encode() in kept and latin in kept


def test_a_new_user_takes_nothing_out_of_a_teachers_file(tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    text = f"# the class of 2026\n\n{ALICE}"
    file.write_text(text)
    assert Users(file).login("bob", "builder", may_register=True) is Login.REGISTERED
    assert file.read_text().startswith(f"{text}\nbob:$scrypt$")
    assert Users(file).login("alice", "wonderland", may_register=True) is Login.ACCEPTED
