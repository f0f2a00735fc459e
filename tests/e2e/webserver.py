"""`campaignd web` as a process, and the links that lead to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from campaignd.config import Links, Web
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import unused_port
from campaignd.tokens import Purpose, TokenKeys
from tests.e2e.site import COMMAND, PATIENCE, Site

KEY: Final = bytes(range(32))


def token(campaign: int, seq: int = 1, purpose: Purpose = Purpose.UNSUBSCRIBE) -> str:
    """What a message to a recipient of a campaign's first shard holds."""
    return TokenKeys([KEY]).signer(purpose, campaign)(0, seq).decode()


class WebProcess(Server):
    """A context manager."""

    name = "web"

    def __init__(self, site: Site, **settings: Any) -> None:
        super().__init__(site.box.supervisor)
        self.port, self.http_port = unused_port(), unused_port()
        self.log = site.folder / "web.log"
        keys = site.folder / "links.key"
        keys.write_text(KEY.hex())
        keys.chmod(0o600)
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = site.configure(
            "web.toml",
            **{
                "links": Links(url=self.url, key_files=[keys.name]),
                "web": Web(listen=f"127.0.0.1:{self.port}"),
                **settings,
            },
        )

    def __enter__(self) -> WebProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def command(self) -> Sequence[str]:
        internal = f"127.0.0.1:{self.http_port}"
        return [COMMAND, "--config", str(self.config), "web", "--listen-http", internal]

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def answers(self) -> bool:
        return '"serving"' in self.log.read_text()

    def link(self, campaign: int, seq: int = 1) -> str:
        return f"{self.url}/u/{token(campaign, seq)}"

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._child is not None
        self._child.signal(signal.SIGTERM)
        status = self._child.wait(PATIENCE)
        assert status is not None, self.log_tail()
        return status


def suppressed(site: Site) -> list[tuple[str, str]]:
    """Account and address of everything that is passed over."""
    rows = site.query("SELECT account, address FROM suppressions ORDER BY address")
    return [(str(account), str(address)) for account, address in rows]
