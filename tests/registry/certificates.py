"""An authority of a class, and its certificates."""

from __future__ import annotations

from pathlib import Path

from tests.peers import run


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority, and a certificate of it for 127.0.0.1; return authority, certificate and key."""
    ca, key, request, certificate = (folder / name for name in ("ca.pem", "key.pem", "request.pem", "cert.pem"))
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    made = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    run("openssl", "req", "-x509", *made, "-keyout", folder / "ca.key", "-out", ca, "-subj", "/CN=A class's authority")
    run("openssl", "req", *made[:3], "-keyout", key, "-out", request, "-subj", "/CN=registry")
    run("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", folder / "ca.key", "-CAcreateserial",
        "-days", "2", "-extfile", extensions, "-out", certificate)  # fmt: skip
    return ca, certificate, key
