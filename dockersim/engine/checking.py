"""``docker build --check``: the build checks, and what stops a build before anything runs.

BuildKit's lint plans the build to run its checks (dockerfile2llb, ``DockerfileLint``): without a target that of every
stage, also of those that nothing needs.
"""

from __future__ import annotations

from msgspec.structs import replace

from dockersim.dockerfile import CheckReport, check_report, parse
from dockersim.dockerfile.checking import EnvironmentOf
from dockersim.engine.opening import Opened
from dockersim.engine.xray import FindImage, plan_without_images
from dockersim.errors import DockerfileError
from dockersim.solver import BuildOptions


def check_opened(opened: Opened, options: BuildOptions, environment_of: EnvironmentOf, find: FindImage) -> CheckReport:
    """Check what was opened for a build: all stages, or those that the target needs.

    ``environment_of`` and ``find`` know the base images that are here. A mistake is part of the report.
    """
    report = check_report(
        opened.text, build_args=dict(options.build_args), target=options.target or None, platform=options.platform,
        ignore=opened.rules, environment_of=environment_of, file=opened.file,
    )  # fmt: skip
    try:
        whole = replace(options, every_stage=not options.target)
        plan_without_images(parse(opened.text, file=opened.file), whole, find)
    except DockerfileError as mistake:
        return replace(report, error=mistake)
    return report
