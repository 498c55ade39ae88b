"""Passwords in addresses, as people really write them."""

from __future__ import annotations

import pytest

from dockersim.dockerfile.passwords import without_password, without_written_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:SECRET@host/x.git", "https://xxxxx@host/x.git"),
        ("https://SECRET@host", "https://xxxxx@host"),
        ("https://me:SECRET@SECRET@host/x.git", "https://xxxxx@host/x.git"),
        ("https://me:it'sSECRET@host/x.git", "https://xxxxx@host/x.git"),
        ("http://me:a SECRET@host/x", "http://xxxxx@host/x"),
        ("HTTP://me:SECRET@host/x.git", "HTTP://xxxxx@host/x.git"),
        ("from 'https://a:SECRET@b/c' to 'https://d:SECRET@e/f'", "from 'https://xxxxx@b/c' to 'https://xxxxx@e/f'"),
    ],
)
def test_nothing_before_the_host_is_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://host/@scope/x",
        "http://host/x?mail=me@host",
        "ssh://git@host/x.git",
        "git@host:x.git",
        "url = https://host\nmail = me@host",
    ],
)
def test_what_holds_no_password_stays_as_it_is(text: str) -> None:
    assert without_password(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ADD https://me:SECRET@host/x /", "ADD https://xxxxx@host/x /"),
        ('ADD ["https://SECRET@host/x", "/a@b/"]', 'ADD ["https://xxxxx@host/x", "/a@b/"]'),
        ("RUN git clone HTTPS://me:SECRET@SECRET@host/x", "RUN git clone HTTPS://xxxxx@host/x"),
        ("ENV A=http://host B=me@host", "ENV A=http://host B=me@host"),
        ('RUN ["curl", "http://host", "me@host"]', 'RUN ["curl", "http://host", "me@host"]'),
        ("RUN curl http://host \\\n  me@host", "RUN curl http://host \\\n  me@host"),
        ("ADD https://${TOKEN}@host/x /", "ADD https://${TOKEN}@host/x /"),
        ("ADD https://${USER}:$TOKEN@host/x /", "ADD https://${USER}:$TOKEN@host/x /"),
        ("ADD https://git:$TOKEN@host/x /", "ADD https://git:$TOKEN@host/x /"),
        ("LABEL a=https://${USER}:SECRET@host/x", "LABEL a=https://xxxxx@host/x"),
        ("http://me:SEC$RET@host/x", "http://xxxxx@host/x"),
        ("""http://me:SEC"RE'T`\\@host/x""", "http://xxxxx@host/x"),
        ('RUN ["curl","http://host","me@host"]', 'RUN ["curl","http://host","me@host"]'),
        ("RUN npm install http://host/@scope/x", "RUN npm install http://host/@scope/x"),
    ],
)
def test_a_dockerfile_stays_what_it_is_but_for_passwords(text: str, shown: str) -> None:
    assert without_written_passwords(text) == shown
