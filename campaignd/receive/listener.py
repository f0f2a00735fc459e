"""The socket that mail comes to: TCP, or a Unix socket that a mail server on this host reaches."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from campaignd.errors import UsageError


class Listener:
    """Binds at once, so that a taken address is a clear error. A context manager."""

    def __init__(self, address: tuple[str, int] | Path) -> None:
        """Raises UsageError if the address cannot be bound."""
        self._path = address if isinstance(address, Path) else None
        try:
            self.socket = _unix(address) if isinstance(address, Path) else _tcp(*address)
        except OSError as error:
            name = str(address) if isinstance(address, Path) else f"{address[0]}:{address[1]}"
            # A socket's own text repeats the address; a name that is not found has no number.
            known = error.errno is not None and error.errno > 0
            reason = os.strerror(error.errno or 0) if known else error.strerror
            raise UsageError(f"[receive] listen {name}: {reason}") from None

    @property
    def name(self) -> str:
        """HOST:PORT, or the path."""
        if self._path is not None:
            return str(self._path)
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        self.socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _unix(path: Path) -> socket.socket:
    """What a process that has died left there is replaced. Everybody who reaches the folder may
    connect, as with TCP on this host: a mail server is another user."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listening.bind(os.fspath(path))
        path.chmod(0o666)
        listening.listen(100)
    except BaseException:
        listening.close()
        raise
    return listening


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        return True
