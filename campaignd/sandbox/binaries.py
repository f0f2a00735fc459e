"""Finds the programs that the sandbox starts, or says what to install.

Looks in PATH and in the folders of administration programs, which a normal user's PATH lacks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Final, NamedTuple

from campaignd.errors import SandboxError

EXTRA_FOLDERS: Final = ("/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/sbin")
_VERSION_TIMEOUT: Final = 10.0  # seconds; it takes milliseconds


class Binaries(NamedTuple):
    """Absolute paths."""

    mariadbd: str
    mariadb_install_db: str
    redis_server: str


_PACKAGES: Final = {
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "redis-server": "redis-server",
}


def search_path() -> str:
    """PATH, then EXTRA_FOLDERS."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *EXTRA_FOLDERS])


def find() -> Binaries:
    """Raises SandboxError, one line with the command that installs what is missing."""
    path = search_path()
    found = {name: shutil.which(name, path=path) for name in _PACKAGES}
    missing = [name for name, where in found.items() if where is None]
    if missing:
        packages = " ".join(sorted({_PACKAGES[name] for name in missing}))
        raise SandboxError(
            f"{', '.join(missing)} not found: install with `apt-get install {packages}`"
        )
    return Binaries(*(where or "" for where in found.values()))


def mariadb_version(mariadbd: str) -> str:
    """Such as `10.11.6-MariaDB-0+deb12u1`. Raises SandboxError if it cannot be run."""
    try:
        answer = subprocess.run(
            [mariadbd, "--no-defaults", "--version"],
            capture_output=True,
            check=True,
            timeout=_VERSION_TIMEOUT,
            text=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(f"{mariadbd} cannot be run: {error}") from None
    version = re.search(r"Ver (\S+)", answer)
    if version is None or "MariaDB" not in version[1]:
        raise SandboxError(f"{mariadbd} is not MariaDB: it says {answer.strip()[:100]!r}")
    return version[1]
