"""What the solver asks to be done, and what it is told.

The solver yields a ``Request`` and is sent its ``Outcome``. Whoever pumps it decides what "done" means: do it
(execute), only look (predict), or read what was noted (replay). Outcomes survive a trip through JSON, which is how a
trace holds a build that can be replayed where nothing can be run.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from msgspec import Struct

from dockersim.digest import DiffID
from dockersim.oci import ImageConfig
from dockersim.solver.key import CacheKey, Input
from dockersim.solver.plan import CopyOp, RunMount, RunOp, StepPlan, WorkdirOp
from dockersim.source import At

# ---------------------------------------------------------------- requests


class ResolveImage(Struct, frozen=True):
    """Find the image ``reference`` (canonical) for ``platform``. Answered with ResolvedImage."""

    reference: str
    platform: str
    at: At


class DigestInputs(Struct, frozen=True):
    """Name every file that ``op`` takes, or a mount shows. Answered with Inputs.

    ``layers`` are those of the source, lowest first.
    """

    op: CopyOp | RunMount
    layers: tuple[DiffID, ...]
    at: At


class LookUpCache(Struct, frozen=True):
    """Look for a step with this key. Answered with CacheAnswer."""

    key: CacheKey
    step: StepPlan


class Execute(Struct, frozen=True):
    """Do the step on top of ``layers`` (lowest first) and keep the result under ``key``. Answered with StepResult.

    ``source_layers`` are the layers of what it reads: of a COPY's source, or of the source of each mount of a RUN.
    """

    op: RunOp | CopyOp | WorkdirOp
    key: CacheKey
    step: StepPlan
    layers: tuple[DiffID, ...]
    source_layers: tuple[tuple[DiffID, ...], ...] = ()


class CommitImage(Struct, frozen=True):
    """Keep the image and give it its names. Answered with ImageCommitted."""

    config: ImageConfig
    layers: tuple[DiffID, ...]
    names: tuple[str, ...]


Request: TypeAlias = ResolveImage | DigestInputs | LookUpCache | Execute | CommitImage


# ---------------------------------------------------------------- outcomes


class ResolvedImage(Struct, frozen=True):
    """The image that was found, who had it, and what the learner should know about it (a stand-in, say)."""

    config: ImageConfig
    layers: tuple[DiffID, ...]
    sizes: tuple[int, ...]
    answered_by: str
    notes: tuple[str, ...] = ()


class Inputs(Struct, frozen=True):
    """The files, in a fixed order; None where they cannot be known before another stage has run (predict)."""

    files: tuple[Input, ...] | None


class StepResult(Struct, frozen=True):
    """What a step came to.

    ``layer`` is the layer it made, ``size`` that layer's tar in bytes, ``added`` the bytes of the files in it.
    ``exit_code`` is None unless a command ran; not 0 means that the step failed, ``layer`` then holds what the
    command had changed by then. ``output`` pairs stream and text. ``rung`` and ``deviations`` tell how it was run.
    ``created`` is when (RFC 3339). ``done`` is False where the driver only predicts.
    """

    layer: DiffID | None
    size: int = 0
    added: int = 0
    exit_code: int | None = None
    output: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    rung: str = ""
    deviations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    created: str = ""
    done: bool = True


class CacheAnswer(Struct, frozen=True):
    """``found`` is the kept result, or None; ``nearest`` is the earlier step that is most like the one looked for.

    ``lost`` says that the step was known but its layer is no longer there. ``origin`` names the imported cache that
    had it, "" for the cache of this root.
    """

    found: StepResult | None
    nearest: CacheKey | None = None
    lost: bool = False
    origin: str = ""


class ImageCommitted(Struct, frozen=True):
    """The image is kept: its id, the digest of its manifest, and its size in bytes."""

    image_id: str
    manifest: str
    size: int


Outcome: TypeAlias = ResolvedImage | Inputs | CacheAnswer | StepResult | ImageCommitted


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Write an outcome as JSON, with its kind as ``"outcome"``."""
    match outcome:
        case ResolvedImage(config, layers, sizes, answered_by, notes):
            return {
                "outcome": "image",
                "config": json.loads(config.to_json()),
                "layers": list(layers),
                "sizes": list(sizes),
                "answered_by": answered_by,
                "notes": list(notes),
            }
        case Inputs(files):
            return {"outcome": "inputs", "files": None if files is None else [file.row() for file in files]}
        case CacheAnswer(found, nearest, lost, origin):
            return {"outcome": "cache", "found": result_to_json(found) if found else None,
                    "nearest": nearest.to_json() if nearest else None, "lost": lost, "origin": origin}  # fmt: skip
        case StepResult():
            return {"outcome": "result", **result_to_json(outcome)}
        case ImageCommitted(image_id, manifest, size):
            return {"outcome": "committed", "image_id": image_id, "manifest": manifest, "size": size}


def outcome_from_json(fields: dict[str, Any]) -> Outcome:
    """Read what ``outcome_to_json`` wrote; KeyError or TypeError where it did not."""
    kind = fields["outcome"]
    if kind == "image":
        return ResolvedImage(ImageConfig.from_json(fields["config"]), tuple(fields["layers"]),
                             tuple(fields["sizes"]), fields["answered_by"], tuple(fields["notes"]))  # fmt: skip
    if kind == "inputs":
        files = fields["files"]
        return Inputs(None if files is None else tuple(Input(*row) for row in files))
    if kind == "cache":
        found, nearest = fields["found"], fields["nearest"]
        return CacheAnswer(
            result_from_json(found) if found else None,
            CacheKey.from_json(nearest) if nearest else None,
            fields["lost"],
            fields.get("origin", ""),
        )
    if kind == "committed":
        return ImageCommitted(fields["image_id"], fields["manifest"], fields["size"])
    return result_from_json(fields)


def result_to_json(result: StepResult) -> dict[str, Any]:
    """Write a step's result as JSON."""
    return {
        "layer": result.layer,
        "size": result.size,
        "added": result.added,
        "exit_code": result.exit_code,
        "output": [list(piece) for piece in result.output],
        "seconds": result.seconds,
        "rung": result.rung,
        "deviations": list(result.deviations),
        "notes": list(result.notes),
        "created": result.created,
        "done": result.done,
    }


def result_from_json(fields: dict[str, Any]) -> StepResult:
    """Read what ``result_to_json`` wrote."""
    return StepResult(
        fields["layer"],
        fields["size"],
        fields["added"],
        fields["exit_code"],
        tuple((stream, text) for stream, text in fields["output"]),
        fields["seconds"],
        fields["rung"],
        tuple(fields["deviations"]),
        tuple(fields["notes"]),
        fields["created"],
        fields["done"],
    )
