"""The sink's log of accepted messages: one line of JSON for each recipient.

A line is in the kernel before its message is acknowledged, so it survives the sink's death by
`kill -9`, and a checker can rely on it: what was acknowledged is logged.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from campaignd.errors import UsageError

_HEADER: Final = re.compile(
    rb"^(Message-ID|X-Campaignd-Attempt):[ \t]*(?:\r\n[ \t]+)?(\S*)", re.I | re.M
)


class Accepted(msgspec.Struct, frozen=True):
    """One message for one recipient, as the log has it."""

    recipient: str
    sender: str
    message_id: str
    """With its angle brackets; empty if the message had none."""
    attempt: int | None
    """The number in its X-Campaignd-Attempt header."""
    at: float
    """Unix time in seconds."""
    session: int
    """Counts the sink's connections from 1."""
    size: int
    """Octets of the content as transmitted, without the final dot."""


class LogWriter:
    """Appends to a log file; lines become visible at `flush`."""

    def __init__(self, path: Path | None) -> None:
        """Raises UsageError if the file cannot be written. Without a path it does nothing."""
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._file: int | None = None
        if path is not None:
            try:
                self._file = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
                )
            except OSError as error:
                raise UsageError(f"cannot write the log {path}: {error.strerror}") from None

    def add(self, accepted: Accepted) -> None:
        """Keeps one line for the next `flush`."""
        if self._file is not None:
            self._lines.append(self._encode(accepted))

    def flush(self) -> None:
        """Hands all lines to the kernel. Raises OSError, for example when the disk is full."""
        if self._lines and self._file is not None:
            data = b"\n".join(self._lines) + b"\n"
            self._lines.clear()
            while data:
                data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Flushes and closes."""
        if self._file is not None:
            self.flush()
            os.close(self._file)
            self._file = None


def read_log(path: Path) -> Iterator[Accepted]:
    """What a sink has acknowledged so far, in order; may be read while the sink runs.

    A last line that is not finished was not acknowledged and is left out.
    """
    decode = msgspec.json.Decoder(Accepted).decode
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield decode(line)


def headers(content: bytes) -> tuple[str, int | None]:
    """The Message-ID and the attempt number of a message, as `Accepted` has them."""
    message_id, attempt = "", None
    end = content.find(b"\r\n\r\n")
    for match in _HEADER.finditer(content, 0, len(content) if end < 0 else end):
        if match[1][:1] in b"Mm":
            message_id = as_text(match[2])
        elif match[2].isdigit():
            attempt = int(match[2][:18])
    return message_id, attempt


def as_text(octets: bytes) -> str:
    """An address or header for the log; what is not UTF-8 shows as `\\xNN`."""
    return octets.decode("utf-8", "backslashreplace")
