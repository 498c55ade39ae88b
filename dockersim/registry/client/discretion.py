"""What httpx and httpcore may log: nothing that opens a door.

A program that turns logging on sees httpx's line for every request. The address of a blob in a blob store carries its
signature in the query, and httpcore logs the header that names that address.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit


def keep_secrets_out_of_logs() -> None:
    """See to it that no query, no name and password in an address, and no header of an answer is logged. Repeatable."""
    logging.getLogger("httpx").addFilter(_without_query)
    logging.getLogger("httpcore.http11").addFilter(_without_headers)
    logging.getLogger("httpcore.connection").addFilter(_without_headers)


def bare_address(address: str) -> str:
    """Take out of an address what may be secret.

    >>> bare_address("https://alice:secret@blobs.example/x?X-Amz-Signature=abc")
    'https://blobs.example/x'
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _without_query(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(bare_address(str(one)) if "://" in str(one) else one for one in record.args)
    return True


def _without_headers(record: logging.LogRecord) -> bool:
    if isinstance(record.msg, str):
        record.msg = record.msg.partition(" return_value=")[0]
    return True
