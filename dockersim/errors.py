"""The errors a learner can meet, as one tree.

Every error says, in one line, where something went wrong, what, and what to do about it. The terminal and the
notebook print that line and no traceback; whatever is not in this tree is a bug of ours.

    DockersimError
    ├── DockerfileError       the text of a Dockerfile is wrong (syntax, unknown instruction, bad value)
    ├── ContextError          the build context, or a COPY source in it, is missing or out of bounds
    ├── BuildError            a step could not be done
    │   ├── RunFailed         a command in a RUN ended with another code than 0
    │   └── Cancelled         the learner pressed Ctrl-C or Stop
    ├── InvalidReference      an image name is not a name
    ├── ImageError            an image is missing, or is not for this machine
    │   └── ImageNotFound
    ├── ContentError          a blob, manifest or archive is not what it says it is
    ├── StoreError            the disk is full, the store is locked, a file is gone
    ├── RegistryError         a registry is down or says no
    │   └── AccessDenied      ... because of who asks
    ├── SandboxError          a program cannot be run on this machine as asked
    └── ContainerError        a container is missing, a name or a port is taken

>>> str(DockerfileError("unknown instruction: FORM", at=At("Dockerfile", 1), hint="did you mean FROM?"))
'Dockerfile:1: unknown instruction: FORM; did you mean FROM?'
"""

from __future__ import annotations

from dockersim.printable import printable, shortened
from dockersim.source import At


class DockersimError(Exception):
    """Root of all errors that are shown to a learner.

    ``at`` is the place in a Dockerfile, ``hint`` says what to do. ``str()`` joins them to one line, in which names that
    a stranger chose do no harm.
    """

    def __init__(self, message: str, *, at: At | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.at}: " if self.at else ""
        advice = f"; {self.hint}" if self.hint else ""
        return shortened(printable(f"{where}{self.message}{advice}"))


class DockerfileError(DockersimError):
    """The text of a Dockerfile is wrong."""


class ContextError(DockersimError):
    """The build context, or a source in it, is missing or out of bounds."""


class BuildError(DockersimError):
    """A step of a build could not be done."""


class RunFailed(BuildError):
    """A command ended with ``exit_code``, which is not 0."""

    def __init__(self, message: str, exit_code: int, *, at: At | None = None, hint: str = "") -> None:
        super().__init__(message, at=at, hint=hint)
        self.exit_code = exit_code


class Cancelled(BuildError):
    """The learner stopped the work; everything before it is kept."""


class InvalidReference(DockersimError):
    """A text is not an image name."""


class ImageError(DockersimError):
    """An image cannot be used."""


class ImageNotFound(ImageError):
    """No image of that name or id is here."""


class ContentError(DockersimError):
    """Bytes are not what their digest, media type or format promises."""


class StoreError(DockersimError):
    """The disk does not do what is asked of it."""


class RegistryError(DockersimError):
    """A registry cannot be reached, or refuses."""


class AccessDenied(RegistryError):
    """A registry refuses because of who asks."""


class SandboxError(DockersimError):
    """A program cannot be run on this machine as asked."""


class ContainerError(DockersimError):
    """A container, its name or its port is not to be had."""
