"""Pruning the build cache: what goes, what stays, and what is in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dockersim import Engine
from dockersim.cli.filters import unused_since
from dockersim.engine.cached import last_used, list_cache, measure_cache
from dockersim.engine.keeping import hold, remove_unused
from dockersim.engine.pruning import prune_cache, sweep
from dockersim.registry import LayerExists, LayerPulled, PullEvent, stop
from tests.engine.conftest import MakeEngine
from tests.engine.git_server import GitServer, needs_git

TEXT = """FROM busybox
RUN --mount=type=cache,target=/c echo 12345 > /c/f
ADD {url} /src
RUN echo made > /thing
"""


def _kept(engine: Engine, folder: str) -> list[str]:
    """Name the directories that are kept."""
    return sorted(path.name for path in (engine.root / folder).iterdir() if path.is_dir())


def _cached(engine: Engine, context: Path, text: str) -> list[bool | None]:
    return [step.cached for step in engine.plan(context, text=text)]


@needs_git
def test_pruning_takes_what_was_kept_and_leaves_the_steps_of_images(
    engine: Engine, context: Path, server: GitServer
) -> None:
    repository = server.repository("app")
    repository.commit(readme="one\n")
    text = TEXT.format(url=repository.url)
    engine.build(context, text=text).finish()
    (cache,), (checkout,) = _kept(engine, "cache-mounts"), _kept(engine, "repositories/checkouts")
    pruned = prune_cache(engine.store, everything=False)
    assert set(pruned.objects) == {cache, checkout}
    assert pruned.size == len("12345\n") + len("one\n")
    assert _kept(engine, "cache-mounts") == _kept(engine, "repositories/checkouts") == []
    assert prune_cache(engine.store, everything=False).objects == ()
    assert [step.cached for step in engine.build(context, text=text)] == [None, True, True, True]
    assert len(prune_cache(engine.store, everything=True).objects) == 3
    assert True not in _cached(engine, context, text)
    engine.build(context, text=text).finish()
    assert _kept(engine, "cache-mounts") == [cache] and _kept(engine, "repositories/checkouts") == [checkout]


def test_a_cache_hit_is_a_use(engine: Engine, context: Path) -> None:
    text = "FROM busybox\nRUN echo made > /thing\n"
    engine.build(context, text=text).finish()
    _age(engine)
    started = time.time()
    assert [step.cached for step in engine.build(context, text=text)] == [None, True]
    ((_, layer),) = engine.store.records.steps()
    assert layer is not None and last_used(engine.store, layer) >= started - 1  # the kernel's clock ticks slowly
    assert prune_cache(engine.store, everything=True, chosen=unused_since(started - 1)).objects == ()


def test_what_was_laid_out_of_a_layer_goes_with_it(engine: Engine, context: Path) -> None:
    built = engine.build(context, text="FROM busybox\nRUN echo made > /thing\nRUN cat /thing\n").finish()
    assert built.image is not None
    laid_out = list((engine.root / "snapshots").rglob("thing"))
    assert laid_out
    layers = engine.store.images.get(built.image.image_id).config.diff_ids[1:]
    prune_cache(engine.store, everything=True)
    engine.store.images.remove(built.image.image_id)
    for layer in layers:
        os.utime(engine.store.content.path(layer), (0, 0))  # the young ones stay
    assert set(layers) <= set(sweep(engine).blobs)
    assert not any(path.exists() for path in laid_out)


@needs_git
def test_what_a_build_reads_is_not_pruned(engine: Engine, context: Path, server: GitServer) -> None:
    repository = server.repository("app")
    repository.commit(readme="one\n")
    build = engine.build(repository.url, text="FROM scratch\nCOPY readme /\nCOPY readme /again\n")
    build.go_to(2)
    assert len(prune_cache(engine.store, everything=True).objects) == 1  # the step that was taken, not the files
    build.finish()
    assert len(_kept(engine, "repositories/checkouts")) == 1
    prune_cache(engine.store, everything=False)
    assert _kept(engine, "repositories/checkouts") == []


def test_of_what_was_not_used_for_longest_only_so_much_goes(engine: Engine, context: Path) -> None:
    def build(name: str) -> None:
        lines = (f"RUN echo {letter * 999} > /{name}{letter}" for letter in "abc")
        mount = "RUN --mount=type=cache,target=/c head -c 3000 /dev/zero > /c/f; head -c 500 /dev/zero > /d"
        engine.build(context, text="\n".join(["FROM busybox", *lines, mount]), tags=(name,)).finish()

    build("old")
    engine.store.images.remove("old")
    known = list(list_cache(engine.store))
    assert [size for _, size in measure_cache(engine.store, known)] == [1000, 1000, 1000, 500, 3000]
    for number, one in enumerate(known):
        told_by = f"{one.place}.used" if one.place else engine.store.content.path(one.layer or "")
        os.utime(told_by, (0, [50, 40, 30, 20, 35][number]))
    assert prune_cache(engine.store, everything=False, keep_bytes=6500).objects == ()
    assert prune_cache(engine.store, everything=False, keep_bytes=6100).objects == (known[3].id,)
    pruned = prune_cache(engine.store, everything=False, keep_bytes=2000)
    assert (pruned.objects, pruned.size) == ((known[2].id, known[4].id), 3000)
    build("new")  # what an image has as well does not count, and stays
    assert prune_cache(engine.store, everything=False, keep_bytes=1).objects == (known[1].id, known[0].id, known[4].id)
    assert len(prune_cache(engine.store, everything=True, keep_bytes=0).objects) == 4


def test_a_layer_that_several_steps_came_to_goes_with_the_last_of_them(engine: Engine, context: Path) -> None:
    for name in ("one", "two"):
        engine.build(context, text=f"FROM busybox\nRUN echo > /{name}\nCOPY app.py /", tags=(name,)).finish()
        engine.store.images.remove(name)
    (twice,) = {one.layer for one, size in measure_cache(engine.store, list_cache(engine.store)) if size == 0}
    for _, layer in engine.store.records.steps():
        os.utime(engine.store.content.path(layer or ""), (0, 40 if layer == twice else 50))
    size = sum(size for _, size in measure_cache(engine.store, list_cache(engine.store)))
    assert len(prune_cache(engine.store, everything=False, keep_bytes=size - 1).objects) == 2
    assert twice not in [layer for _, layer in engine.store.records.steps()]


def test_only_what_is_chosen_goes(engine: Engine, context: Path) -> None:
    started = time.time()
    text = "FROM busybox\nRUN --mount=type=cache,target=/c echo 12345 > /c/f; cp /c/f /g\n"
    engine.build(context, text=text).finish()
    step, directory = list_cache(engine.store)
    assert (step.kind, directory.kind) == ("regular", "exec.cachemount")
    assert step.used is not None and directory.used is not None
    assert min(step.used, directory.used) >= started - 1  # the kernel's clock ticks slowly
    note = engine.store.root / "downloads" / "one.json"
    note.parent.mkdir(exist_ok=True)
    note.write_text("{}")
    assert prune_cache(engine.store, everything=True, chosen=lambda one: False).objects == ()
    assert prune_cache(engine.store, everything=True, chosen=lambda one: one.place is not None).objects == (
        directory.id,
    )
    assert note.exists() and list(list_cache(engine.store)) == [step]
    assert prune_cache(engine.store, everything=True).objects == (step.id,)
    assert not note.exists()


def test_a_directory_that_somebody_holds_stays(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file").write_text("four")
    (tmp_path / "link").symlink_to("/etc")
    holders = [hold(tmp_path / "cache"), hold(tmp_path / "cache")]
    for descriptor in holders:
        assert remove_unused([tmp_path / "cache"]) == {}
        os.close(descriptor)
    assert remove_unused([tmp_path / "cache"]) == {"cache": 4}
    assert not (tmp_path / "cache").exists() and Path("/etc").is_dir()
    assert remove_unused([tmp_path / "nothing"]) == {}


def test_a_build_keeps_its_layers_however_long_somebody_stands_on_a_step(engine: Engine, context: Path) -> None:
    """The cache is pruned and swept in another terminal, long after the layers have ceased to be young."""
    text = "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\nRUN cat /one /two\n"
    engine.build(context, text="FROM busybox\nRUN echo one > /one\n", tags=("made",)).finish()
    build = engine.build(context, text=text)
    assert [build.go_to(number).cached for number in (2, 3)] == [True, False]
    assert prune_cache(engine.store, everything=True).objects
    engine.store.images.remove("made")
    lost = engine.store.content.put(b"lost")
    _age(engine)
    assert lost in sweep(engine).blobs, "nothing was swept, so nothing was spared"
    built = build.finish()
    assert built.image is not None
    for layer in engine.store.images.get(built.image.image_id).config.diff_ids:
        engine.store.content.verify(layer)
    prune_cache(engine.store, everything=True)
    engine.store.images.remove(built.image.image_id)
    _age(engine)
    sweep(engine)
    assert os.listdir(engine.root / "leases") == [], "the build has let go of what it held"


def test_a_pull_keeps_its_layers_however_long_it_takes(engine: Engine, make_engine: MakeEngine, context: Path) -> None:
    address = engine.shipping.practice_registry()
    other, swept, arrived = make_engine("other"), [], []
    text = "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n"
    try:
        built = engine.build(context, text=text, tags=("made",)).finish()
        assert built.image is not None
        config = built.image.image_id
        name = f"{address.registry}/made:latest"
        engine.store.images.tag("made", name)
        engine.shipping.push(name, lambda event: None)

        def look(event: PullEvent) -> None:
            if isinstance(event, LayerExists | LayerPulled):
                arrived.append(event.diff_id)
                swept.append(other.store.content.put(f"lost {len(swept)}".encode()))
                _age(other, swept[-1], *arrived, config)  # what comes meanwhile, in other threads, is still young
                assert swept[-1] in sweep(other).blobs

        other.store.images.remove("busybox")
        pulled = other.shipping.pull(name, look)
    finally:
        stop(engine.shipping.registry_root)
    assert set(arrived) == set(pulled.image.config.diff_ids) and len(swept) == 3
    for layer in pulled.image.config.diff_ids:
        other.store.content.verify(layer)


def _age(engine: Engine, *blobs: str) -> None:
    """Make blobs look old, all of them if none are named; what is not here is left out."""
    content = engine.store.content
    for blob in blobs or content.walk():
        if content.has(blob):
            os.utime(content.path(blob), (0, 0))
