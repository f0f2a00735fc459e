"""`campaignd receive` as a process of a site, and a mail client beside it."""

from __future__ import annotations

import secrets
import smtplib
from pathlib import Path
from typing import Any, Final

from campaignd.config import Bounces, Links, Receive
from campaignd.tokens import Purpose, RecipientId, load_token_keys
from tests.e2e.site import COMMAND, PATIENCE, Process, Site

DOMAIN: Final = "bounces.example.com"


class Receiving(Process):
    """One `campaignd receive` on any port. It ends with the site."""

    def __init__(self, site: Site, config: Path, *options: str) -> None:
        super().__init__(site, config, ())
        self.name = self.name.replace("host", "receive")
        self.log = site.folder / f"{self.name}.log"
        self._argv = [COMMAND, "--config", str(config), "receive", *options]
        site._processes.append(self)

    def answers(self) -> bool:
        """It listens."""
        return bool(self.events("receiving"))

    @property
    def listen(self) -> str:
        """HOST:PORT or a path."""
        return str(self.events("receiving")[-1]["listen"])

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    def client(self) -> smtplib.LMTP:
        client = smtplib.LMTP("127.0.0.1", self.port, timeout=PATIENCE)
        client.ehlo_or_helo_if_needed()
        return client


def configure(site: Site, **more: Any) -> None:
    """Gives the site a domain for bounces and a key."""
    key = site.folder / "links.key"
    key.touch(mode=0o600)
    key.write_text(secrets.token_hex(32))
    sections = {
        "links": Links(url="https://links.example.com", key_files=[str(key)]),
        "bounces": Bounces(domain=DOMAIN),
        "receive": Receive(listen="127.0.0.1:0"),
    }
    site.config = site.configure(**{**sections, **more})


def address(site: Site, purpose: Purpose, recipient: RecipientId) -> str:
    """As a message to this recipient has it."""
    keys = load_token_keys([site.folder / "links.key"])
    token = keys.signer(purpose, recipient.campaign)(recipient.shard, recipient.seq)
    return f"{purpose}-{token.decode()}@{DOMAIN}"
