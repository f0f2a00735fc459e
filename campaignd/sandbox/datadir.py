"""MariaDB's data directory: prepared once per user and server version, then copied.

The copy that is kept lies in `$XDG_CACHE_HOME/campaignd` or `~/.cache/campaignd` and may be
deleted at any time. Where neither can be written, each sandbox prepares its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from campaignd.errors import SandboxError
from campaignd.sandbox.binaries import Binaries, mariadb_version, search_path
from campaignd.sandbox.server import tail
from campaignd.sandbox.supervisor import Supervisor, minimal_environment

_INSTALL_TIMEOUT: Final = 120.0  # seconds; one or two on an idle machine
_UNFINISHED: Final = ".unfinished-"
_UNFINISHED_AGE: Final = 3600.0  # seconds; copying takes less than one
_REVISION: Final = 1  # of the arguments below: a change makes older copies useless


def create(target: Path, binaries: Binaries, supervisor: Supervisor) -> None:
    """Makes `target`, which must not exist, a data directory with the system tables only.

    Raises SandboxError with the installer's last words if it fails.
    """
    version = mariadb_version(binaries.mariadbd)
    cache = _cache_folder()
    if cache is None:
        _install(target, binaries, supervisor)
        return
    kept = cache / f"mariadb-{version}-{_REVISION}"
    if not _copy(kept, target):
        _install(target, binaries, supervisor)
        _keep(target, kept)


def user_option() -> list[str]:
    """mariadbd refuses to run as root unless told to. What only we can reach needs no other."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _install(target: Path, binaries: Binaries, supervisor: Supervisor) -> None:
    log = supervisor.folder / "mariadb-install-db.log"
    environment = minimal_environment(supervisor.folder) | {"PATH": search_path()}
    child = supervisor.spawn(
        [
            binaries.mariadb_install_db,
            "--no-defaults",
            f"--datadir={target}",
            "--skip-test-db",  # no anonymous users either
            "--skip-name-resolve",
            "--auth-root-authentication-method=socket",
            "--innodb-log-file-size=8M",  # a small copy; the server makes it larger
            *user_option(),
        ],
        log,
        environment,
    )
    status = child.wait(_INSTALL_TIMEOUT)
    if status != 0:
        lines = tail(log, 30)
        raise SandboxError(
            f"{binaries.mariadb_install_db} ended with status {status}: {' | '.join(lines[-3:])}"
        )


def _copy(kept: Path, target: Path) -> bool:
    """Whether it was there, ours, and has been copied."""
    try:
        if kept.stat().st_uid == os.geteuid():
            shutil.copytree(kept, target)
            return True
    except OSError:  # not there, or deleted meanwhile
        shutil.rmtree(target, ignore_errors=True)
    return False


def _keep(prepared: Path, kept: Path) -> None:
    """Copies it to the cache in one visible step; does without if that cannot be written."""
    unfinished: str | None = None
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(kept.parent)
        unfinished = tempfile.mkdtemp(prefix=_UNFINISHED, dir=kept.parent)
        copy = shutil.copytree(prepared, Path(unfinished) / kept.name)
        os.sync()  # a cache that a power cut left half written would stay so
        copy.rename(kept)
    except OSError:
        pass
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Removes what a killed process has left half copied."""
    for folder in cache.glob(f"{_UNFINISHED}*"):
        if folder.stat().st_mtime < time.time() - _UNFINISHED_AGE:
            shutil.rmtree(folder, ignore_errors=True)


def _cache_folder() -> Path | None:
    """None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "campaignd"
    except RuntimeError:
        return None
