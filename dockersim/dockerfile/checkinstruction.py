"""The checks that need one instruction and nothing around it; each yields what it finds as (rule, message)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dockersim.dockerfile import rules
from dockersim.dockerfile.gotext import clean_path, quote
from dockersim.dockerfile.ignore import IgnoreRules
from dockersim.dockerfile.instructions import Add, Arg, Copy, Env, From, Instruction, Label, Maintainer
from dockersim.dockerfile.node import Node
from dockersim.dockerfile.rules import Rule

Found = Iterator[tuple[Rule, str]]

_SECRET: Final = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET: Final = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_REMOTE: Final = ("http://", "https://", "git://", "git@", "ssh://")


def as_it_is_read(instruction: Instruction) -> Found:
    """Check what can be said while the instructions are read, in every stage."""
    if isinstance(instruction, From) and instruction.name:
        yield from _description(instruction, "FROM", (instruction.name,))
    elif isinstance(instruction, Arg):
        yield from _description(instruction, "ARG", tuple(one.name for one in instruction.declarations))
    elif isinstance(instruction, Maintainer):
        yield rules.MAINTAINER_DEPRECATED, "Maintainer instruction is deprecated in favor of using label"


def casing_of_from(node: Node) -> Found:
    """Check a FROM before anyone knows whether it is right."""
    if node.name != "FROM" or len(node.words) < 3:
        return
    keyword, as_, name = node.keyword, node.words[1], node.words[2]
    if len(node.words) == 3 and name != name.lower():
        yield rules.STAGE_NAME_CASING, f"Stage name '{name}' should be lowercase"
    wanted = as_.lower() if keyword == keyword.lower() else as_.upper() if keyword == keyword.upper() else as_
    if as_ != wanted:
        yield rules.FROM_AS_CASING, f"'{as_}' and '{keyword}' keywords' casing do not match"


def _description(instruction: Instruction, keyword: str, names: tuple[str, ...]) -> Found:
    if instruction.comments and instruction.comments[-1].split(" ")[0] not in names:
        example = names[0] if len(names) == 1 else "<arg_key>"
        message = f"Comment for {keyword} should follow the format: `# {example} <description>`"
        yield rules.INVALID_DEFINITION_DESCRIPTION, message


def legacy_format(instruction: Env | Label) -> Found:
    """Find pairs without a ``=``."""
    keyword = instruction.keyword
    for pair in instruction.pairs:
        if pair.old_form:
            message = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
            yield rules.LEGACY_KEY_VALUE_FORMAT, message


def secret(keyword: str, name: str) -> Found:
    """Find a name that a secret would have."""
    if _SECRET.search(name) and not _NO_SECRET.search(name):
        message = f"Do not use ARG or ENV instructions for sensitive data ({keyword} {quote(name)})"
        yield rules.SECRETS_USED_IN_ARG_OR_ENV, message


def ports(words: list[str]) -> Found:
    """Find EXPOSE words with a protocol in capitals, or with an address or host port."""
    for word in words:
        *others, container = word.split(":")
        protocol = container.partition("/")[2]
        if protocol != protocol.lower():
            yield rules.EXPOSE_PROTO_CASING, f"Defined protocol '{word}' in EXPOSE instruction should be lowercase"
        if any(others):
            problem = "EXPOSE instruction should not define an IP address or host-port mapping"
            yield rules.EXPOSE_INVALID_FORMAT, f"{problem}, found '{word}'"


def ignored_sources(instruction: Add | Copy, sources: list[str], ignore: IgnoreRules) -> Found:
    """Find sources that the ignore rules leave out; with a ``!`` among the rules nothing can be said."""
    if not ignore.rules or any(rule.exception for rule in ignore.rules):
        return
    verb = "Add" if isinstance(instruction, Add) else "Copy"
    for source in sources:
        if isinstance(instruction, Add) and source.startswith(_REMOTE):
            continue
        path = clean_path(source)
        root = path in (".", "/")
        everything = any(rule.text in ("*", "**", "**/*") for rule in ignore.rules)
        if everything if root else ignore.decide(path).excluded:
            yield rules.COPY_IGNORED_FILE, f"Attempting to {verb} file {quote(path)} that is excluded by .dockerignore"
