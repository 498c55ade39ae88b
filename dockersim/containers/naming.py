"""Names and ids of containers: random ones, and which ones are allowed.

docker's are ``adjective_surname`` (moby, ``internal/namesgenerator``); ours are people who made computing what it is.

>>> valid_name("web-1"), valid_name("-web")
(True, False)
"""

from __future__ import annotations

import re
import secrets
from typing import Final

_ALLOWED: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

_ADJECTIVES: Final = (
    "agile", "amber", "bold", "brave", "breezy", "bright", "calm", "candid", "cheerful", "clever", "cosy", "curious",
    "daring", "deft", "eager", "early", "fair", "fluent", "fond", "fresh", "gentle", "glad", "golden", "graceful",
    "handy", "hearty", "honest", "hopeful", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "lucky",
    "mellow", "merry", "mindful", "modest", "neat", "nimble", "noble", "patient", "plucky", "polite", "proud", "quick",
    "quiet", "radiant", "ready", "serene", "sharp", "silent", "smart", "snug", "steady", "sunny", "swift", "tidy",
    "tranquil", "upbeat", "vivid", "warm", "wise", "witty", "young", "zesty",
)  # fmt: skip
_SURNAMES: Final = (
    "allen", "babbage", "backus", "bartik", "berners", "boole", "borg", "brooks", "cerf", "church", "clarke", "codd",
    "conway", "curry", "dahl", "dijkstra", "easley", "engelbart", "estrin", "floyd", "goldberg", "gray", "hamilton",
    "hamming", "hoare", "holberton", "hopper", "huffman", "iverson", "johnson", "kahn", "kay", "keller", "kernighan",
    "kilburn", "knuth", "lamarr", "lamport", "liskov", "lovelace", "mccarthy", "mcilroy", "milner", "minsky", "naur",
    "neumann", "nygaard", "perlis", "perlman", "postel", "ritchie", "sammet", "shannon", "shaw", "stallman",
    "strachey", "sutherland", "thompson", "turing", "vaughan", "wilkes", "wirth", "zuse",
)  # fmt: skip


def new_id() -> str:
    """Make the id of a container: 64 hexadecimal digits, by chance."""
    return secrets.token_hex(32)


def random_name() -> str:
    """Make up a name such as ``gentle_hopper``."""
    return f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_SURNAMES)}"


def valid_name(name: str) -> bool:
    """Say whether docker would take ``name``."""
    return bool(_ALLOWED.fullmatch(name))
