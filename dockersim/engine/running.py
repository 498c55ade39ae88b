"""RUN done: a snapshot is prepared, the command run in it, what it changed becomes a layer."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from dockersim.content import Layer, LayerStore
from dockersim.digest import DiffID
from dockersim.engine.files import Files
from dockersim.engine.lent import Host
from dockersim.engine.mounting import Mounted
from dockersim.engine.users import account
from dockersim.filesystem import Entry, Kind, LayerEntry
from dockersim.sandbox import Exit, OutputSink, ProcessSpec, Sandbox, check_can_run
from dockersim.snapshots.contract import SnapshotKey, Snapshotter
from dockersim.snapshots.ledger import Ledger
from dockersim.solver import RunOp

HOSTNAME = "buildkitsandbox"
"""What a RUN sees as its host's name, as in BuildKit (executor/oci)."""

_NO_MOUNTS = Mounted()


def process_of(op: RunOp, below: Files, host: Host, asked: Mounted = _NO_MOUNTS) -> ProcessSpec:
    """Describe the process of a RUN: who it is, its environment, where it runs, and the mounts it asked for."""
    who = account(below, op.user)
    environment = {**dict(host.environment), **dict(op.proxies), **dict(op.environment), **dict(asked.environment)}
    environment.setdefault("HOME", who.home)
    return ProcessSpec(
        op.argv,
        environment,
        op.directory,
        who.uid,
        who.gid,
        who.groups,
        op.hostname or HOSTNAME,
        "none" if op.network == "none" else "host",
        hosts=op.hosts,
        mounts=(*host.mounts, *asked.mounts),
    )


def run_in_snapshot(
    snapshots: Snapshotter,
    sandbox: Sandbox,
    layers: LayerStore,
    below: tuple[DiffID, ...],
    process: ProcessSpec,
    output: OutputSink,
    finish: Callable[[LayerEntry], LayerEntry],
) -> tuple[Exit, Layer]:
    """Run ``process`` on top of ``below``; return how it ended and the layer of what it changed.

    A command that failed has a layer too, so that the learner can look at what it left; it is not kept for later.
    Whatever stops this half-way, the snapshot is gone and no half layer is left.
    """
    key = SnapshotKey(f"run-{secrets.token_hex(8)}")
    try:
        ended = sandbox.run(snapshots.prepare(key, below), process, output)
        ledger = Ledger(process.uid, process.gid, ended.recorded)
        layer = _write(snapshots, key, ledger, layers, finish)
        if ended.code == 0:
            snapshots.commit(key, layer.diff_id)
        return ended, layer
    finally:
        snapshots.discard(key)


def try_out(
    snapshots: Snapshotter,
    sandbox: Sandbox,
    below: tuple[DiffID, ...],
    process: ProcessSpec,
    output: OutputSink,
) -> Exit:
    """Run ``process`` in a throw-away copy of ``below``; nothing of what it changes is kept."""
    check_can_run(sandbox.rung, process.argv)
    key = SnapshotKey(f"try-{secrets.token_hex(8)}")
    try:
        return sandbox.run(snapshots.prepare(key, below), process, output)
    finally:
        snapshots.discard(key)


def _write(
    snapshots: Snapshotter,
    key: SnapshotKey,
    ledger: Ledger,
    layers: LayerStore,
    finish: Callable[[LayerEntry], LayerEntry],
) -> Layer:
    with layers.new_layer() as new:
        for entry in snapshots.changes(key, ledger).entries:
            if isinstance(entry, Entry) and entry.kind is Kind.FILE:
                with snapshots.open_file(key, entry) as content:
                    new.add(finish(entry), content)
            else:
                new.add(finish(entry))
        return new.commit()
