"""Wheels from RECORD: whole, the same each time, and a clear line when the record lies."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from dockersim.bases.wheels import closure, installed_files, wheel
from dockersim.errors import ImageError


def install(
    site: Path, name: str, record: str | None = None, tags: str = "Tag: py2-none-any\nTag: py3-none-any\n"
) -> Path:
    """Lay a package out as an installer does; ``record`` replaces the true RECORD."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / name / "__pycache__").mkdir(parents=True)
    files = {
        f"{name}/__init__.py": "answer = 42\n",
        f"{name}/__pycache__/__init__.cpython-311.pyc": "made on this machine",
        f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info.name}/WHEEL": f"Wheel-Version: 1.0\n{tags}",
        f"{info.name}/INSTALLER": "pip\n",
    }
    lines = []
    for path, text in files.items():
        (site / path).write_text(text)
        lines.append(f"{path},sha256={digest(text.encode())},{len(text)}")
    lines += [f"../../../bin/{name},sha256=abc,1", f"{info.name}/RECORD,,"]
    (info / "RECORD").write_text("\n".join(lines) + "\n" if record is None else record)
    return info


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def test_flask_brings_what_it_needs() -> None:
    names = closure("Flask")
    assert {"flask", "werkzeug", "jinja2", "click", "itsdangerous", "blinker", "markupsafe"} <= set(names)
    assert "asgiref" not in names, "an extra is nobody's need"
    assert "pip" not in names


@pytest.mark.parametrize("name", closure("flask"))
def test_a_rebuilt_wheel_is_whole_and_the_same_each_time(name: str) -> None:
    filename, data = wheel(name)
    assert (filename, data) == wheel(name)
    archive = zipfile.ZipFile(io.BytesIO(data))
    record = next(path for path in archive.namelist() if path.endswith(".dist-info/RECORD"))
    rows = {row[0]: row for row in csv.reader(archive.read(record).decode().splitlines())}
    assert set(rows) == set(archive.namelist())
    for path in archive.namelist():
        if path != record:
            content = archive.read(path)
            assert rows[path][1:] == [f"sha256={digest(content)}", str(len(content))]


def test_what_was_made_here_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "odd")
    monkeypatch.syspath_prepend(str(tmp_path))
    filename, _ = wheel("odd")
    assert filename == "odd-1.0-py2.py3-none-any.whl"
    paths = [file.path for file in installed_files("odd")]
    assert paths == ["odd-1.0.dist-info/METADATA", "odd-1.0.dist-info/WHEEL", "odd/__init__.py"]


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        pytest.param("odd/__init__.py\n", "line 1 of its RECORD is not path,hash,size", id="columns are missing"),
        pytest.param("a,sha256=x,1\n\n", "line 2 of its RECORD is not path,hash,size", id="an empty line"),
        pytest.param("odd/gone.py,sha256=x,1\n", "odd/gone.py: No such file", id="a file is gone"),
        pytest.param("odd/__init__.py,sha256=x,1\n", "is not what its RECORD says", id="a file was changed"),
        pytest.param("odd/__init__.py,,\n", "has no sha256 for odd/__init__.py", id="no hash"),
        pytest.param("odd/../../../etc/passwd,sha256=x,1\n", "which is outside of it", id="climbs out"),
        pytest.param("odd/a\x00b,sha256=x,1\n", "line 1 of its RECORD is not path,hash,size", id="a NUL in a path"),
        pytest.param("a" * 200_000, "cannot be read: field larger than field limit", id="a huge field"),
        pytest.param("", "does not say which wheel", id="empty"),
        pytest.param('\x00\xff,"\n', "", id="noise"),
    ],
)
def test_a_corrupt_record_is_one_clear_line(
    record: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "odd", record)
    (tmp_path / "a").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImageError) as caught:
        wheel("odd")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("odd==1.0 cannot be made a wheel again: ")
    assert complaint in str(caught.value)
    assert "pip install --force-reinstall --no-deps odd==1.0" in str(caught.value)


def test_a_record_that_is_no_text_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (install(tmp_path, "odd") / "RECORD").write_bytes(b"odd/\xff\xfe,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImageError, match="its RECORD cannot be read"):
        wheel("odd")


def test_a_package_of_the_systems_package_manager_has_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (install(tmp_path, "odd") / "RECORD").unlink()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImageError, match="has no RECORD of its files"):
        wheel("odd")


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ImageError, match="no-such-thing is not installed beside dockersim; pip install"):
        closure("no-such-thing")
