"""One Dockerfile built on every rung that works here: the layers must not tell on which."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dockersim import Engine
from dockersim.engine import Step
from dockersim.filesystem import Entry, LayerEntry
from dockersim.sandbox import RungName, known_rungs
from dockersim.solver import Verdict
from tests.engine.conftest import MakeEngine

_TEXT = """
FROM busybox
ARG SOURCE_DATE_EPOCH
COPY --chown=5:6 --chmod=4750 app.py /data/app.py
RUN echo hello > /greeting && mkdir -p /srv/a && ln -s /greeting /srv/link && ln /greeting /srv/hard && chmod 711 /srv
RUN cat /etc/resolv.conf /etc/hosts > /dev/null && rm /greeting && echo x > /dev/new && echo y > /etc/motd
RUN echo nameserver 1 > /etc/resolv.conf; echo z > /etc/hosts; true
RUN --mount=target=/m --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t --mount=type=secret,id=tok \\
    cat /m/app.py /run/secrets/tok > /copied && echo x > /cache/x && echo y > /t/y
RUN --mount=type=cache,target=/cache cat /cache/x > /cached
WORKDIR /new/place
RUN true
"""
_NOT_OURS = ("null", "resolv.conf", "hosts", "hostname", "zz-dockersim", "secrets", "dockersim")
_EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}


@pytest.fixture(scope="module")
def rungs(tmp_path_factory: pytest.TempPathFactory) -> list[RungName]:
    found = [rung.name for rung in known_rungs(tmp_path_factory.mktemp("rungs")) if rung.works and rung.name != "none"]
    if len(found) < 2:
        pytest.skip(f"there is nothing to compare: {found} works here")
    return found


def _build(engine: Engine, context: Path, text: str = _TEXT, **arguments: str) -> tuple[Step, str]:
    """Build, and return the last step and the image's ID."""
    build = engine.build(context, text=text, build_args=arguments, secrets={"tok": b"a secret\n"})
    image = build.finish().image
    assert build.step is not None
    return build.step, image.image_id if image else ""


def _entries(engine: Engine, step: Step) -> list[LayerEntry]:
    """List the entries of all layers but the base's."""
    return [entry for layer in step.layers[1:] for entry in engine.store.layers.entries(layer)]


def _without_time(entry: LayerEntry) -> tuple[object, ...]:
    """All that an entry says but when, and where in its layer the content stands."""
    if not isinstance(entry, Entry):
        return (type(entry).__name__, entry.path)
    return (
        entry.path,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.link,
        entry.digest,
        entry.device,
    )


def test_layers_are_the_same_to_the_byte(rungs: list[RungName], make_engine: MakeEngine, context: Path) -> None:
    """With SOURCE_DATE_EPOCH no time is left by which two runs could differ."""
    tars, images = {}, {}
    for name in rungs:
        engine = make_engine(name, sandbox=name)
        step, images[name] = _build(engine, context, **_EPOCH)
        tars[name] = [hashlib.sha256(engine.store.layers.open_tar(layer).read()).hexdigest() for layer in step.layers]
    assert all(tars[name] == tars[rungs[0]] for name in rungs), tars
    assert len(set(images.values())) == 1, images


def test_entries_are_the_same_and_nothing_is_the_sandbox_s(
    rungs: list[RungName], make_engine: MakeEngine, context: Path
) -> None:
    """Without it, what a command wrote has the time when it did; all else is the same."""
    said = {}
    for name in rungs:
        engine = make_engine(name, sandbox=name)
        found = _entries(engine, _build(engine, context)[0])
        ours = [entry.path for entry in found if entry.path.rpartition("/")[2] in _NOT_OURS]
        assert ours == [], name
        below_dev = [
            entry.path for entry in found if entry.path.startswith(("dev/", "proc/", "sys/", "cache", "m/", "t/"))
        ]
        assert [path for path in below_dev if path not in ("cached",)] == [], name
        said[name] = [_without_time(entry) for entry in found]
    for name in rungs:
        assert said[name] == said[rungs[0]], name


def test_what_the_host_gives_is_in_no_layer_and_no_key(
    rungs: list[RungName], make_engine: MakeEngine, context: Path, tmp_path: Path
) -> None:
    """Proxies and certificates, as behind a company's proxy (``sandbox.passthrough``)."""
    bundle = tmp_path / "company.pem"
    bundle.write_text("the company's certificate\n")
    given = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost", "SSL_CERT_FILE": str(bundle),
             "REQUESTS_CA_BUNDLE": str(bundle), "PIP_CERT": str(bundle)}  # fmt: skip
    text = 'FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo "$https_proxy $NO_PROXY"; cat "$SSL_CERT_FILE" "$PIP_CERT"\n'
    images = set()
    for name in rungs:
        engine = make_engine(name, sandbox=name)
        engine.environment = given
        step, image = _build(engine, context, text, **_EPOCH)
        assert step.output == "http://proxy:3128 localhost\n" + "the company's certificate\n" * 2
        images.add(image)
        plain = Engine(engine.root, environment={}, sandbox=name)
        again, _ = _build(plain, context, text, **_EPOCH)
        assert again.cache.verdict is Verdict.HIT
    assert len(images) == 1
