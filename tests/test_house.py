"""The house rules that no single package can test: layers, bans, names, docstrings that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import dockersim

ROOT = Path(__file__).resolve().parent.parent
NO_NAMES = {"utils", "helpers", "common", "manager", "base", "misc"}


def _modules() -> list[str]:
    return sorted(
        name for _, name, _ in pkgutil.walk_packages(dockersim.__path__, "dockersim.") if not name.endswith("__main__")
    )


def test_layers_and_bans_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_contract_finds_a_forbidden_import(tmp_path: Path) -> None:
    """The contract itself must be able to fail."""
    config = (ROOT / "pyproject.toml").read_text().replace('"shutil", "socket"', '"shutil", "socket", "json"')
    assert '"json"' in config
    (tmp_path / "pyproject.toml").write_text(config)
    program = Path(sys.executable).with_name("lint-imports")
    arguments = [program, "--config", str(tmp_path / "pyproject.toml"), "--no-cache"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "json" in done.stdout


@pytest.mark.parametrize("name", _modules())
def test_docstrings_are_there_and_true(name: str) -> None:
    if ".sandbox.inside" in name:
        # The runner's modules import each other by their file names, so here they can only be read.
        path = ROOT / (name.replace(".", "/") + ".py")
        tree = ast.parse((path if path.exists() else path.with_suffix("") / "__init__.py").read_text())
        assert ast.get_docstring(tree), f"{name} has no docstring"
        return
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    assert name.rpartition(".")[2] not in NO_NAMES
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_no_module_is_longer_than_400_lines() -> None:
    long = {path.name: lines for path in (ROOT / "dockersim").rglob("*.py")
            if (lines := len(path.read_text().splitlines())) > 400}  # fmt: skip
    assert long == {}
