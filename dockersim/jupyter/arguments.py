"""The line of ``%%dockerfile``, read as docker reads that of ``docker build``."""

from __future__ import annotations

import argparse
import shlex
from typing import NoReturn

from msgspec import Struct

from dockersim.errors import DockersimError


class DockerfileCell(Struct, frozen=True):
    """What a ``%%dockerfile`` line asks for. ``file`` is only the name that errors show."""

    context: str = "."
    tags: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    file: str | None = None
    target: str = ""
    no_cache: bool = False
    step: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the kernel."""
        raise DockersimError(f"%%dockerfile: {message}", hint="%%dockerfile --help lists the options")


def parse_cell(line: str) -> DockerfileCell | None:
    """Read the line; None if it only asked for help, which has then been printed. Raises DockersimError."""
    parser = _parser()
    try:
        found = parser.parse_args(shlex.split(line))
    except ValueError as error:
        raise DockersimError(f"%%dockerfile {line}: {error}", hint="close the quotes") from None
    if found.help:
        print(parser.format_help())
        return None
    pairs = tuple(_pair(text) for text in found.build_arg)
    return DockerfileCell(found.context, tuple(found.tag), pairs, found.file, found.target, found.no_cache, found.step)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise DockersimError(f"%%dockerfile: --build-arg {text}: it must be NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="%%dockerfile", description="Build the text of this cell.", add_help=False, allow_abbrev=False
    )
    parser.add_argument("context", nargs="?", default=".", metavar="PATH", help="the build context (default: .)")
    parser.add_argument("-t", "--tag", action="append", default=[], metavar="NAME", help="a name for the image")
    parser.add_argument("--step", action="store_true", help="show the build in a stepper, before its first step")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="set an ARG")
    parser.add_argument("-f", "--file", metavar="NAME", help="what to call this Dockerfile in errors")
    parser.add_argument("--target", default="", metavar="STAGE", help="the stage to build")
    parser.add_argument("--no-cache", action="store_true", help="run every step")
    parser.add_argument("-h", "--help", action="store_true", help="show this")
    return parser
