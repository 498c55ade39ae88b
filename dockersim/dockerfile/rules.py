"""The build checks as data: their names, what they say, and how a Dockerfile turns them on and off.

BuildKit: frontend/dockerfile/linter. The messages are BuildKit's, so that they can be searched for; behind the URL of
a rule is a page with examples.

>>> CheckOptions.parse("skip=JSONArgsRecommended;error=true").skips(JSON_ARGS_RECOMMENDED)
True
>>> STAGE_NAME_CASING.url
'https://docs.docker.com/go/dockerfile/rule/stage-name-casing/'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from dockersim.dockerfile.directives import read_directives
from dockersim.dockerfile.gotext import SPACE, parse_bool, quote
from dockersim.errors import DockerfileError
from dockersim.source import At

_PAGE: Final = "https://docs.docker.com/go/dockerfile/rule/"


class Rule(Struct, frozen=True):
    """One check; an ``experimental`` one runs only when it is asked for."""

    name: str
    description: str
    experimental: bool = False
    has_page: bool = True

    @property
    def url(self) -> str:
        """The page that explains it; empty if there is none."""
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*", self.name)
        return f"{_PAGE}{'-'.join(words).lower()}/" if self.has_page else ""


class Finding(Struct, frozen=True):
    """What a check found: the rule's name, a message, the lines of the instruction, and where to read on.

    ``url`` is empty where there is no page; ``last_line`` is 0 where ``line`` is the only one.
    """

    rule: str
    message: str
    line: int
    url: str
    description: str
    last_line: int = 0


class CheckOptions(Struct, frozen=True):
    """Which checks run, and whether a finding fails the build: ``# check=skip=A,B;experimental=all;error=true``."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False

    @classmethod
    def parse(cls, text: str) -> CheckOptions:
        """Read the value of the directive; DockerfileError has no place yet."""
        options = cls()
        for part in text.strip(SPACE).split(";", 2) if text.strip(SPACE) else ():
            key, equals, value = part.partition("=")
            key, value = key.strip(SPACE), value.strip(SPACE)
            names = frozenset(name.strip(SPACE) for name in value.split(","))
            if equals and key == "skip":
                options = replace(options, skip_all=True) if value == "all" else replace(options, skip=names)
            elif equals and key == "experimental" and value == "all":
                options = replace(options, experimental_all=True)
            elif equals and key == "experimental":
                options = replace(options, experimental=names)
            elif equals and key == "error":
                options = replace(options, error=_truth(part, value))
            else:
                raise DockerfileError(f"invalid check option {quote(key if equals else part)}")
        return options

    def skips(self, rule: Rule) -> bool:
        """Say whether a rule does not run."""
        if rule.experimental:
            return not (self.experimental_all or rule.name in self.experimental)
        return self.skip_all or rule.name in self.skip

    def with_comments(self, comments: Iterable[str]) -> CheckOptions:
        """Add what the comments right above one instruction say: ``# check=skip=...``."""
        for comment in comments:
            found = read_directives(comment, comment="")
            if found and found[0].name == "check":
                try:
                    more = CheckOptions.parse(found[0].reference)
                except DockerfileError:
                    return self
                return CheckOptions(
                    self.skip | more.skip,
                    self.skip_all or more.skip_all,
                    self.experimental | more.experimental,
                    self.experimental_all or more.experimental_all,
                    self.error,
                )
        return self


class Findings(list[Finding]):
    """What was found so far, under the options of the Dockerfile and of the comments above an instruction."""

    def __init__(self, options: CheckOptions) -> None:
        super().__init__()
        self.options = options

    def add(self, rule: Rule, message: str, at: At, comments: Iterable[str] = ()) -> None:
        """Note a finding, unless its rule does not run here."""
        if not self.options.with_comments(comments).skips(rule):
            last_line = at.last_line if at.last_line > at.line else 0
            self.append(Finding(rule.name, message, at.line, rule.url, rule.description, last_line))


def _truth(part: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        problem = f"strconv.ParseBool: parsing {quote(value)}: invalid syntax"
        raise DockerfileError(f"failed to parse check option {quote(part)}: {problem}") from None


STAGE_NAME_CASING: Final = Rule("StageNameCasing", "Stage names should be lowercase")
FROM_AS_CASING: Final = Rule("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword")
NO_EMPTY_CONTINUATION: Final = Rule(
    "NoEmptyContinuation", "Empty continuation lines will become errors in a future release"
)
CONSISTENT_INSTRUCTION_CASING: Final = Rule(
    "ConsistentInstructionCasing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
)
DUPLICATE_STAGE_NAME: Final = Rule("DuplicateStageName", "Stage names should be unique")
RESERVED_STAGE_NAME: Final = Rule("ReservedStageName", "Reserved words should not be used as stage names")
JSON_ARGS_RECOMMENDED: Final = Rule(
    "JSONArgsRecommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
)
MAINTAINER_DEPRECATED: Final = Rule(
    "MaintainerDeprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
)
UNDEFINED_ARG_IN_FROM: Final = Rule("UndefinedArgInFrom", "FROM command must use declared ARGs")
WORKDIR_RELATIVE_PATH: Final = Rule(
    "WorkdirRelativePath",
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
    "image changes",
)
UNDEFINED_VAR: Final = Rule("UndefinedVar", "Variables should be defined before their use")
MULTIPLE_INSTRUCTIONS_DISALLOWED: Final = Rule(
    "MultipleInstructionsDisallowed",
    "Multiple instructions of the same type should not be used in the same stage",
)
LEGACY_KEY_VALUE_FORMAT: Final = Rule(
    "LegacyKeyValueFormat", "Legacy key/value format with whitespace separator should not be used"
)
INVALID_BASE_IMAGE_PLATFORM: Final = Rule(
    "InvalidBaseImagePlatform", "Base image platform does not match expected target platform", has_page=False
)
REDUNDANT_TARGET_PLATFORM: Final = Rule(
    "RedundantTargetPlatform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
)
SECRETS_USED_IN_ARG_OR_ENV: Final = Rule(
    "SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands"
)
INVALID_DEFAULT_ARG_IN_FROM: Final = Rule(
    "InvalidDefaultArgInFrom", "Default value for global ARG results in an empty or invalid base image name"
)
FROM_PLATFORM_FLAG_CONST_DISALLOWED: Final = Rule(
    "FromPlatformFlagConstDisallowed", "FROM --platform flag should not use a constant value"
)
COPY_IGNORED_FILE: Final = Rule("CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore")
INVALID_DEFINITION_DESCRIPTION: Final = Rule(
    "InvalidDefinitionDescription",
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
    "intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    experimental=True,
)
EXPOSE_PROTO_CASING: Final = Rule("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase")
EXPOSE_INVALID_FORMAT: Final = Rule(
    "ExposeInvalidFormat",
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future "
    "release",
)

#: Every rule there is.
RULES: Final = tuple(value for value in list(globals().values()) if isinstance(value, Rule))
