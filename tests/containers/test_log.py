"""The log of a container, written and read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockersim.containers.log import LogWriter, read_log


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "log.json")


def texts(path: str, **options: object) -> list[str]:
    return [line.text for line in read_log(path, **options)]  # type: ignore[arg-type]


def test_form_is_dockers(path: str) -> None:
    LogWriter(path).add("stdout", b"hello\n")
    row = json.loads(Path(path).read_text())
    assert list(row) == ["log", "stream", "time"]
    assert row["log"] == "hello\n"
    assert row["stream"] == "stdout"
    assert len(row["time"]) == len("2026-11-23T11:11:12.816766067Z")


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 100])
def test_lines_are_whole_however_they_come(path: str, cut: int) -> None:
    writer, data = LogWriter(path), "one\ntwö\n\nthree".encode()
    for at in range(0, len(data), cut):
        writer.add("stdout", data[at : at + cut])
    assert texts(path) == ["one\n", "twö\n", "\n"]
    writer.add("stdout", b"")
    assert texts(path) == ["one\n", "twö\n", "\n", "three"]


def test_streams_do_not_mix(path: str) -> None:
    writer = LogWriter(path)
    for stream, data in (("stdout", b"o"), ("stderr", b"e\n"), ("stdout", b"ut\n")):
        writer.add(stream, data)  # type: ignore[arg-type]
    assert [(line.stream, line.text) for line in read_log(path)] == [("stderr", "e\n"), ("stdout", "out\n")]


def test_very_long_line_is_cut(path: str) -> None:
    LogWriter(path).add("stdout", b"x" * 40000 + b"\n")
    assert [len(text) for text in texts(path)] == [16384, 16384, 40001 - 2 * 16384]


def test_what_is_no_text(path: str) -> None:
    LogWriter(path).add("stdout", b"\xff\xfe\0\n")
    assert texts(path) == ["\ufffd\ufffd\0\n"]


def test_tail(path: str) -> None:
    LogWriter(path).add("stdout", b"1\n2\n3\n")
    assert texts(path, tail=2) == ["2\n", "3\n"]
    assert texts(path, tail=0) == []
    assert texts(path, tail=9) == ["1\n", "2\n", "3\n"]


def test_no_log_yet(path: str) -> None:
    assert texts(path) == []


def test_follow_to_the_end(path: str) -> None:
    writer = LogWriter(path)
    writer.add("stdout", b"1\n")
    answers = iter([True, True, False])

    def lives() -> bool:
        alive = next(answers)
        writer.add("stdout", b"more\n")
        return alive

    assert texts(path, lives=lives) == ["1\n", "more\n", "more\n", "more\n"]
