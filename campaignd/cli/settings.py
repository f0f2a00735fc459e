"""What was said before the command, and options that several commands have."""

from __future__ import annotations

import os

import click

from campaignd.config import Config, find, load
from campaignd.errors import ConfigError


class Settings:
    """The configuration is read when a command needs it."""

    def __init__(self, config: str | None) -> None:
        self._explicit = config

    def load(self) -> Config:
        """Raises ConfigError."""
        return load(find(self._explicit))

    def load_if_any(self) -> Config | None:
        """None if there is no configuration and none was named. Raises ConfigError."""
        if not (self._explicit or os.environ.get("CAMPAIGND_CONFIG")):
            try:
                find(None)
            except ConfigError:
                return None
        return self.load()


pass_settings = click.make_pass_decorator(Settings)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

campaign_argument = click.argument("campaign", metavar="ID", type=click.IntRange(1, 2**63 - 1))
