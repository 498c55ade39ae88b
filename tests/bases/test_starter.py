"""Does a starter image run by itself, and is it the same bytes each time?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dockersim.bases import CATALOGUE, STAND_IN_LABEL, Provenance, base_named, make
from dockersim.bases.pieces import EPOCH, layer_order
from dockersim.content import ContentStore, LayerStore
from dockersim.filesystem import Entry, Kind
from dockersim.oci import ImageConfig
from tests.bases.conftest import ENVIRONMENT, Starter, lay_out, make_starter

USER = "1000"


def chroot(root: Path, *command: str, **environment: str) -> str:
    """Run a command in ``root`` with no network at all."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    return output(["unshare", "--net", "--mount", "chroot", str(root), "/usr/bin/env", "-i"], command, environment)


def output(wrapper: list[str], command: tuple[str, ...], environment: dict[str, str]) -> str:
    variables = [f"{name}={value}" for name, value in (ENVIRONMENT | environment).items()]
    done = subprocess.run([*wrapper, *variables, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param("echo hello | sed s/hello/bye/ | grep b", "bye\n", id="shell, sed, grep"),
        pytest.param("mkdir -p /tmp/a/b && cd /tmp/a/b && pwd", "/tmp/a/b\n", id="coreutils"),
        pytest.param("cd /etc && tar -cz os-release | tar -tz", "os-release\n", id="tar and gzip"),
        pytest.param(
            "find /etc -name pip.conf | xargs wc -l | awk '{print $2}'", "/etc/pip.conf\n", id="find, xargs, awk"
        ),
        pytest.param("bash -c 'echo $BASH' ", "/bin/bash\n", id="bash"),
        pytest.param("id -un; id -un 65534", "root\nnobody\n", id="names of users"),
        pytest.param("useradd -m ada && id -u ada && ls -d /home/ada", "1000\n/home/ada\n", id="useradd"),
        pytest.param(". /etc/os-release; echo $NAME", "dockersim starter\n", id="says what it is"),
        pytest.param("TERM=xterm python3 -c 'import curses; curses.setupterm(); print(1)'", "1\n", id="terminals"),
        pytest.param("stat -c %a /tmp /root", "1777\n700\n", id="modes"),
    ],
)
def test_the_shell_works_inside(starter: Starter, command: str, expected: str) -> None:
    assert chroot(starter.root, "sh", "-c", command) in (expected, expected.replace("/bin/bash", "/usr/bin/bash"))


@pytest.mark.parametrize("name", ["python3", "python"])
def test_python_works_inside(starter: Starter, name: str) -> None:
    modules = "bz2, ctypes, decimal, hashlib, json, lzma, readline, sqlite3, ssl, threading, urllib.request, uuid, zlib"
    program = (
        f"import {modules}; import sys\n"
        "thread = threading.Thread(target=print, args=('from a thread',)); thread.start(); thread.join()\n"
        "print(sys.version_info.minor, len(ssl.create_default_context().get_ca_certs()) > 100)\n"
    )
    said = chroot(starter.root, name, "-c", program)
    assert said == f"from a thread\n{sys.version_info.minor} True\n"


def test_pip_installs_flask_without_a_network(starter: Starter, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    lay_out(starter.layers, starter.diff_ids, root)
    app = Path(__file__).parents[2] / "lessons" / "flask-app"
    shutil.copytree(app, root / "app")
    assert "Successfully installed" in chroot(root, "pip3", "install", "-r", "/app/requirements.txt")
    fetch = "from app import app; print(app.test_client().get('/').status)"
    assert chroot(root, "python3", "-c", fetch, PYTHONPATH="/app") == "200 OK\n"
    assert "flask" in chroot(root, "pip", "list").lower()
    # The standard library stays free of byte code, so that a RUN's layer holds what it installed and no
    # noise.
    assert chroot(root, "sh", "-c", "find / -xdev -name __pycache__ -not -path '*-packages/*'") == ""


@pytest.mark.parametrize("starter", ["this Python"], indirect=True)
def test_a_package_that_is_not_there_is_told_with_those_that_are(starter: Starter) -> None:
    said = chroot(starter.root, "sh", "-c", "pip3 install requests 2>&1 || true").splitlines()
    assert said[-1].startswith("pip asks no network in this image; it has blinker, click, flask, itsdangerous, ")
    assert said[-1].endswith("write ENV PIP_CONFIG_FILE=/dev/null into the Dockerfile.")


def test_pips_own_index_is_one_variable_away(starter: Starter) -> None:
    assert "no-index" in chroot(starter.root, "pip", "config", "list")
    assert "no-index" not in chroot(starter.root, "pip", "config", "list", PIP_CONFIG_FILE="/dev/null")


@pytest.mark.parametrize("starter", ["this Python"], indirect=True)
def test_it_works_under_proot_as_an_ordinary_user(starter: Starter) -> None:
    if shutil.which("proot") is None:
        pytest.skip("proot is not installed")
    prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
    root = Path(tempfile.mkdtemp(prefix="dockersim-test-"))
    try:
        if prefix:
            os.chown(root, int(USER), int(USER))
        lay_out(starter.layers, starter.diff_ids, root, *prefix)
        wrapper = [*prefix, "proot", "-0", "-r", str(root), "-w", "/", "/usr/bin/env", "-i"]
        assert "Successfully" in output(wrapper, ("pip3", "install", "flask"), {})
        assert output(wrapper, ("python3", "-c", "import flask, ssl; print('ok')"), {}) == "ok\n"
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("starter", ["this Python"], indirect=True)
def test_equal_machines_make_equal_digests(starter: Starter, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        layers = LayerStore(ContentStore(tmp_path / "here"))
        shell = make(base_named("dockersim/starter:shell"), layers, lambda line: None)
        python = make(base_named("dockersim/starter:python"), layers, lambda line: None)
    finally:
        os.umask(old)
    other = make_starter(sys.executable, tmp_path / "other", PYTHONHASHSEED="7", HOME="/", LC_ALL="C", TZ="Asia/Tokyo")
    assert python.diff_ids == other == starter.diff_ids
    assert python.diff_ids[:1] == shell.diff_ids, "the shell layer is the same in both"
    assert python.config.diff_ids == python.diff_ids


@pytest.mark.parametrize("name", [base.name for base in CATALOGUE if base.provenance is Provenance.MACHINE])
def test_the_config_says_what_the_image_is(name: str, tmp_path: Path) -> None:
    lines: list[str] = []
    made = make(base_named(name), LayerStore(ContentStore(tmp_path)), lines.append)
    config = ImageConfig.from_json(made.config.to_json())
    assert config == made.config
    assert [entry.empty_layer for entry in config.history].count(False) == len(made.diff_ids)
    assert config.config.labels["org.opencontainers.image.title"] == name
    assert STAND_IN_LABEL not in config.config.labels
    assert "of this machine" in config.history[0].created_by
    assert lines[0] == "collecting the shell and its programs"


def test_layers_are_in_order_and_nobodys(starter: Starter) -> None:
    for diff_id in starter.diff_ids:
        entries = [entry for entry in starter.layers.entries(diff_id) if isinstance(entry, Entry)]
        assert [entry.path for entry in entries] == sorted((entry.path for entry in entries), key=layer_order)
        assert {(entry.uid, entry.gid, entry.mtime_ns) for entry in entries} == {(0, 0, EPOCH * 10**9)}
        paths = {entry.path for entry in entries}
        assert all("" in {os.path.dirname(path)} or os.path.dirname(path) in paths for path in paths)


def test_nothing_of_the_learner_is_inside(starter: Starter) -> None:
    paths = [entry.path for diff_id in starter.diff_ids for entry in starter.layers.entries(diff_id)]
    names = {path.rpartition("/")[2] for path in paths}
    assert not names & {"EXTERNALLY-MANAGED", "__pycache__", "idlelib", "ensurepip", "idle_test", "direct_url.json"}
    assert not [path for path in paths if "pyenv" in path or path.startswith(("home/", "opt/"))]


def test_every_link_leads_somewhere(starter: Starter) -> None:
    tree = starter.layers.tree(starter.diff_ids)
    links = [
        (entry.path, entry.link)
        for diff_id in starter.diff_ids
        for entry in starter.layers.entries(diff_id)
        if isinstance(entry, Entry) and entry.kind is Kind.SYMLINK
    ]
    assert links
    assert tree is not None
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    broken = chroot(starter.root, "find", "/", "-xdev", "-xtype", "l")
    assert broken == ""
