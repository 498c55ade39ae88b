"""The build checks of one build: run with its arguments, its target, and the variables of its base images."""

from __future__ import annotations

from collections.abc import Mapping

from dockersim.dockerfile import CheckReport, IgnoreRules, check_report
from dockersim.errors import InvalidReference
from dockersim.oci import parse_reference
from dockersim.solver.plan import BuildOptions, Plan


def check_build(text: str, file: str, options: BuildOptions, plan: Plan | None, ignore: IgnoreRules) -> CheckReport:
    """Check a Dockerfile as a build with ``options`` does: the stages that its target needs.

    Without a plan, which a mistake in the Dockerfile prevents, nothing is known of base images.
    """
    known = _environments(plan) if plan else {}
    return check_report(
        text,
        build_args=dict(options.build_args),
        target=options.target,
        ignore=ignore,
        platform=options.platform,
        environment_of=lambda name: known.get(_in_full(name), {}),
        file=file,
    )


def _environments(plan: Plan) -> dict[str, Mapping[str, str]]:
    """Give the variables of every base image, by its name in full."""
    begun = [stage for stage in plan.stages if stage.steps]
    return {stage.base: _variables(stage.steps[0].config_before.config.env) for stage in begun}


def _variables(env: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in env)}


def _in_full(name: str) -> str:
    try:
        return parse_reference(name).canonical()
    except InvalidReference:
        return name
