"""The targets of tests/fuzz.py, led by which lines were reached: ``python -m tests.fuzz_atheris TARGET [OPTION...]``.

Takes libFuzzer's options, such as ``-max_total_time=300``. Needs atheris, which is no dependency of the project:
install it into a virtual environment of its own, beside msgspec and pytest.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main(target: str, options: list[str]) -> None:
    """Fuzz one target, beginning with the recorded texts, until an option or a finding ends it."""
    import atheris

    with atheris.instrument_imports(include=["dockersim"]):
        from dockersim.errors import DockerfileError
        from tests.fuzz import TARGETS

    feed, seeds = TARGETS[target]

    def feed_bytes(data: bytes) -> None:
        try:
            feed(data.decode(errors="surrogateescape"))
        except DockerfileError:
            pass

    with tempfile.TemporaryDirectory() as corpus:
        for number, text in enumerate(seeds()):
            Path(corpus, str(number)).write_bytes(text.encode(errors="surrogateescape"))
        atheris.Setup([sys.argv[0], *options, corpus], feed_bytes)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
