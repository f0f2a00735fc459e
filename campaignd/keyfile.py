"""Files with keys: read, and refused when others than their owner can read them.

The contents are never part of an error.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from campaignd.errors import ConfigError

MAX_OCTETS: Final = 65_536


def read_key_file(path: Path) -> bytes:
    """The contents of a file that only its owner can read, or that systemd has put into
    `$CREDENTIALS_DIRECTORY` (there the modes vary with systemd's version).

    Raises ConfigError, one line that says what to change.
    """
    try:
        with open(path, "rb", opener=_opened) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"key file {path}: not a file")
            if status.st_mode & 0o077 and not _is_credential(path):
                raise ConfigError(
                    f"key file {path}: others than its owner have access to it: chmod 600 {path}"
                )
            data = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise ConfigError(f"key file {path}: {error.strerror}") from None
    if len(data) > MAX_OCTETS:
        raise ConfigError(f"key file {path}: larger than {MAX_OCTETS} octets: that is no key")
    if not data.strip():
        raise ConfigError(f"key file {path}: empty")
    return data


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would keep us waiting


def _is_credential(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.absolute().parent == Path(folder).absolute()
