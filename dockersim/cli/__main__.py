"""``python -m dockersim.cli``: the same as ``dockersim``."""

from __future__ import annotations

from dockersim.cli.main import main

main(prog_name="dockersim")
