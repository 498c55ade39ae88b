"""Dockerfiles: from text to instructions, and from words with variables to words without.

What BuildKit's frontend does before it looks at any file or image (frontend/dockerfile/parser, shell and
instructions in moby/buildkit), plus the ``.dockerignore`` rules (moby/patternmatcher). Read on in this order:

    directives, heredoc, arguments, parser   lines and words: what the text is
    flags, mounts, instructions, interpreter what the eighteen instructions were told
    ports                                    the words of EXPOSE
    gitreference                             which texts name a Git repository
    words, wildcard                          ``${NAME:-default}`` and its relatives
    ignore, ignorepattern, ignoremachine,    which paths a pattern means
    pattern
    rules, checking, check...                the build checks, which warn of what would build

The law of the package: every text either parses or raises a `DockerfileError` that says where, and nothing is
expanded before it is asked for; the values of variables are known only when a step is reached.

>>> dockerfile = parse("FROM busybox AS base\\nRUN echo $HOME\\n")
>>> print(dockerfile.dump(), end="")
(from "busybox" "AS" "base")
(run "echo $HOME")
>>> stage, = dockerfile.stages
>>> stage.name, stage.instructions[0].command
('base', ShellForm(text='echo $HOME'))
"""

from typing import TYPE_CHECKING

from dockersim.dockerfile.directives import Directive, detect_syntax
from dockersim.dockerfile.document import Dockerfile, Stage, parse, parse_instruction
from dockersim.dockerfile.flags import Switch
from dockersim.dockerfile.heredoc import Heredoc, chomp, parse_heredoc
from dockersim.dockerfile.ignore import NO_RULES, Decision, IgnoreRules
from dockersim.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Declaration,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    From,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Pair,
    Run,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from dockersim.dockerfile.mounts import Device, Mount, MountFlag, MountType, Sharing
from dockersim.dockerfile.node import Node
from dockersim.dockerfile.parser import ContinuationWarning
from dockersim.dockerfile.pattern import has_wildcard, match_pattern
from dockersim.dockerfile.ports import parse_ports
from dockersim.dockerfile.words import (
    HEREDOC_BODY,
    STEP_NAME,
    Expansion,
    ExpansionError,
    Lexing,
    expand,
    expand_word,
    expand_words,
)

if TYPE_CHECKING:
    from dockersim.dockerfile.checking import CheckReport, check, check_report
    from dockersim.dockerfile.gitreference import GitReference, parse_git_reference
    from dockersim.dockerfile.rules import Finding

__all__ = [
    "HEREDOC_BODY",
    "NO_RULES",
    "STEP_NAME",
    "Add",
    "Arg",
    "CheckReport",
    "Cmd",
    "Command",
    "ContinuationWarning",
    "Copy",
    "Decision",
    "Declaration",
    "Device",
    "Directive",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "ExecForm",
    "Expansion",
    "ExpansionError",
    "Expose",
    "Finding",
    "From",
    "GitReference",
    "Healthcheck",
    "Heredoc",
    "IgnoreRules",
    "Instruction",
    "Label",
    "Lexing",
    "Maintainer",
    "Mount",
    "MountFlag",
    "MountType",
    "Node",
    "OnBuild",
    "Pair",
    "Run",
    "Sharing",
    "Shell",
    "ShellForm",
    "Stage",
    "StopSignal",
    "Switch",
    "User",
    "Volume",
    "Workdir",
    "check",
    "check_report",
    "chomp",
    "detect_syntax",
    "expand",
    "expand_word",
    "expand_words",
    "has_wildcard",
    "match_pattern",
    "parse",
    "parse_git_reference",
    "parse_heredoc",
    "parse_instruction",
    "parse_ports",
]


_LATER = {
    "CheckReport": "checking",
    "Finding": "checking",
    "GitReference": "gitreference",
    "check": "checking",
    "check_report": "checking",
    "parse_git_reference": "gitreference",
}
"""What is loaded when it is first asked for: a build with every step cached does not need it."""


def __getattr__(name: str) -> object:
    """Load the build checks, or the reader of Git references, when they are first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
