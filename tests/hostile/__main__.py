"""``python -m tests.hostile``: every attack through every way in, as this user, and if that is root as another one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from dockersim.snapshots.disk import delete
from tests.hostile import matrix
from tests.hostile.sizes import measure, sizes

NOBODY = 65534


def main() -> int:
    """Try, print the table, and return 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--full", action="store_true", help="try what needs size at its real size too: ten minutes")
    parser.add_argument("--quiet", action="store_true", help="print the counts only, and what is wrong")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        # First, while this process is small: Linux counts what it has used as used by its children, too.
        wrong = _sizes(folder / "sizes") if options.full else 0
        counts = _table(folder / "own", quiet=options.quiet)
        if os.geteuid() == 0:
            counts += _as_nobody(folder / "nobody")
        wrong += counts["wrong"]
    finally:
        delete(str(folder))
    return 1 if wrong else 0


def _table(folder: Path, *, quiet: bool) -> Counter[str]:
    folder.mkdir()
    counts: Counter[str] = Counter()
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    for tried in matrix.everything(folder):
        counts["cases"] += 1
        counts["refused" if tried.refused else "harmless"] += 1
        counts["wrong"] += bool(tried.wrong)
        counts["outside"] += bool(tried.touched)
        if tried.wrong or not (quiet or tried.attack.startswith("trace in")):
            what = f"refused: {tried.ended.said[:90]}" if tried.refused else "harmless"
            print(f"{tried.way:13} {tried.attack:52} {f'WRONG: {tried.wrong}' if tried.wrong else what}", flush=True)
    outside = "yes" if not counts["outside"] else f"NO, {counts['outside']} times"
    print(f"as {who}: {counts['cases']} cases tried, {counts['refused']} refused, {counts['harmless']} harmless, "
          f"{counts['wrong']} not as they should be; nothing written outside: {outside}", flush=True)  # fmt: skip
    return counts


def _as_nobody(folder: Path) -> Counter[str]:
    """Do the same once more in a child that is an ordinary user; only what is wrong is printed, and the counts."""
    folder.mkdir()
    os.chmod(folder, 0o777)
    os.chmod(folder.parent, 0o755)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        counts = _table(folder / "own", quiet=True)
        os.write(writing, json.dumps(counts).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        counts = Counter(json.loads(told.read() or b'{"wrong": 1}'))
    os.waitpid(child, 0)
    return counts


def _sizes(folder: Path) -> int:
    wrong = 0
    for number, size in enumerate(sizes()):
        home = folder / str(number)
        home.mkdir(parents=True)
        found = measure(size, home)
        bad = found.code != 1 or size.says not in found.said or found.memory > size.memory or found.left > 1 << 20
        wrong += bad
        print(f"{'WRONG ' if bad else ''}{' '.join(size.words):10} {size.name:30} {found.seconds:5.0f} s "
              f"{found.memory >> 20:5} MiB  exit code {found.code}: {found.said[:110]}", flush=True)  # fmt: skip
        delete(str(home))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
