"""``.dockerignore``: which files of the build context are left out, and which line says so.

The last matching line wins; a line with ``!`` takes files back in; a pattern that matches a directory matches
all that is in it. The real thing is moby/patternmatcher, with MatchesOrParentMatches for the answer.

>>> rules = IgnoreRules.parse("*.log\\n!keep.log\\n")
>>> rules.decide("old.log")
Decision(excluded=True, pattern='*.log', line=1)
>>> rules.decide("keep.log")
Decision(excluded=False, pattern='!keep.log', line=2)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from dockersim.dockerfile.directives import BYTE_ORDER_MARK
from dockersim.dockerfile.gotext import SPACE, clean_path
from dockersim.dockerfile.ignorepattern import IgnorePattern
from dockersim.errors import DockerfileError
from dockersim.source import At


class Decision(Struct, frozen=True):
    """Whether a path is left out; ``pattern`` and ``line`` of the rule that decided, empty and 0 if none did."""

    excluded: bool
    pattern: str = ""
    line: int = 0


class Rule(Struct, frozen=True):
    """One line of the file; ``exception`` says it began with ``!``."""

    pattern: IgnorePattern
    exception: bool
    line: int

    @property
    def text(self) -> str:
        """The rule, cleaned up."""
        return f"{'!' if self.exception else ''}{self.pattern.text}"


_TAKEN: Final = Decision(excluded=False)


class IgnoreRules(Struct, frozen=True):
    """The rules of one ignore file, or of the ``--exclude`` flags of one COPY, in order."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str, *, file: str = ".dockerignore") -> IgnoreRules:
        """Read an ignore file; DockerfileError where a pattern is malformed."""
        return cls.numbered(read_patterns(text), file=file)

    @classmethod
    def numbered(cls, patterns: Iterable[tuple[int, str]], *, file: str = ".dockerignore") -> IgnoreRules:
        """Take patterns with their lines, such as those of ``lines``; DockerfileError where one is malformed."""
        rules = [_rule(pattern, line, file) for line, pattern in patterns]
        return cls(tuple(rule for rule in rules if rule))

    @classmethod
    def of(cls, patterns: Iterable[str], *, at: At | None = None) -> IgnoreRules:
        """Take patterns as they are, such as the values of ``COPY --exclude``; each counts as a line."""
        try:
            rules = [_rule(pattern, line, "--exclude") for line, pattern in enumerate(patterns, 1)]
        except DockerfileError as error:
            raise DockerfileError(error.message, at=at, hint=error.hint) from None
        return cls(tuple(rule for rule in rules if rule))

    @property
    def lines(self) -> tuple[tuple[int, str], ...]:
        """Every rule with its line: what ``numbered`` takes."""
        return tuple((rule.line, rule.text) for rule in self.rules)

    def decide(self, path: str) -> Decision:
        """Say whether ``path``, relative to the context, is left out, and by which rule."""
        if not self.rules:
            return _TAKEN
        path = clean_path(path)
        if path == ".":
            return _TAKEN  # nobody may leave out everything, the context itself included
        rule = self._deciding(path)
        return Decision(not rule.exception, rule.text, rule.line) if rule else _TAKEN

    def may_prune(self, directory: str) -> bool:
        """Say whether a walk need not enter ``directory``: it is left out, and no ``!`` can reach below it."""
        directory = clean_path(directory)
        rule = None if directory == "." else self._deciding(directory)
        if rule is None or rule.exception:
            return False
        names = directory.split("/")
        later = self.rules[self.rules.index(rule) + 1 :]
        return not any(other.exception and other.pattern.may_match_below(names) for other in later)

    def _deciding(self, path: str) -> Rule | None:
        """Find the last rule that changes the answer; a rule that would only repeat it is not even tried."""
        deciding: Rule | None = None
        excluded = False
        for rule in self.rules:
            if rule.exception is excluded and rule.pattern.covers(path):
                excluded, deciding = not excluded, rule
        return deciding


NO_RULES: Final = IgnoreRules()


def read_patterns(text: str) -> list[tuple[int, str]]:
    """List (line, pattern) of an ignore file: no comments or empty lines, paths cleaned, no leading slash."""
    found = []
    for line, row in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n"), 1):
        if row.startswith("#") or not (pattern := row.strip(SPACE)):
            continue
        exception = pattern.startswith("!")
        pattern = pattern[1:].strip(SPACE) if exception else pattern
        if pattern:
            pattern = clean_path(pattern)
        if len(pattern) > 1 and pattern.startswith("/"):
            pattern = pattern[1:]
        found.append((line, f"!{pattern}" if exception else pattern))
    return found


def _rule(text: str, line: int, file: str) -> Rule | None:
    text = text.strip(SPACE)
    if not text:
        return None
    text = clean_path(text)
    exception = text.startswith("!")
    try:
        if text == "!":
            raise DockerfileError('illegal exclusion pattern: "!"', hint='write what to keep behind the "!"')
        return Rule(IgnorePattern.parse(text[1:] if exception else text), exception, line)
    except DockerfileError as error:
        raise DockerfileError(error.message, at=At(file, line), hint=error.hint) from None
