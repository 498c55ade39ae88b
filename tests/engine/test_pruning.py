"""Pruning the build cache: what goes, what stays, and what is in use."""

from __future__ import annotations

import os
from pathlib import Path

from dockersim import Engine
from dockersim.engine.keeping import hold, remove_unused
from dockersim.engine.pruning import prune_cache, sweep
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


def test_a_directory_that_somebody_holds_stays(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file").write_text("four")
    (tmp_path / "link").symlink_to("/etc")
    holders = [hold(tmp_path / "cache"), hold(tmp_path / "cache")]
    for descriptor in holders:
        assert remove_unused(tmp_path) == {}
        os.close(descriptor)
    assert remove_unused(tmp_path) == {"cache": 4}
    assert not (tmp_path / "cache").exists() and Path("/etc").is_dir()
    assert remove_unused(tmp_path / "nothing") == {}
