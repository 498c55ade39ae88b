r"""Text of strangers, made safe to show: file names, labels, what a registry says.

A terminal obeys what it is shown: escape sequences move the cursor, hide lines, or type for the learner, and marks of
writing direction make a name look like another one.

>>> printable("\x1b[2Jinvoice\u202egpj.exe")
'\\x1b[2Jinvoice\\u202egpj.exe'
>>> printable_lines("one\n\ttwo\x07")
'one\n\ttwo\\x07'
"""

from __future__ import annotations

import json


def printable(text: str) -> str:
    """Write a text so that a terminal shows it, on one line, and obeys nothing in it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def printable_json(text: str) -> str:
    r"""Write a JSON text likewise: what a terminal would obey can only stand in its strings, and is escaped there.

    >>> printable_json('["\x9b31m", "café"]')
    '["\\u009b31m", "café"]'
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text)


def shortened(text: str, most: int = 1000) -> str:
    """Leave out the middle of a text that is too long for anybody to read: a path may have 4,000 letters."""
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 4 :]}"


def printable_lines(text: str) -> str:
    """Write a text of several lines likewise; its line ends and tabs are kept."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
