"""`run`: the daemon as a process."""

from __future__ import annotations

import resource
from collections.abc import Callable

import click
import msgspec

from campaignd import events
from campaignd.cli.serving import serve
from campaignd.cli.settings import Settings, pass_settings
from campaignd.config import Config, Http
from campaignd.config import Daemon as DaemonSection
from campaignd.daemon import Daemon, tune_collector
from campaignd.errors import ConfigError


@click.command()
@click.option("--name", metavar="NAME", help="Instead of `name` in [daemon].")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Instead of `listen` in [http]; an empty one turns the HTTP server off.",
)
@pass_settings
def run(settings: Settings, name: str | None, listen: str | None) -> int:
    """Runs the daemon that sends, in the foreground.

    SIGTERM ends what is in flight and gives everything back within `drain_timeout`; a second one
    stops at once. SIGHUP re-reads [limits], the relays and the DKIM keys. While MySQL or Redis
    are away, also at the start, it waits. Exit status: 0 after a clean stop, 3 if not everything
    could be given back, 1 for a mistake in the configuration, 70 after a bug.
    """

    def configuration() -> Config:
        return overridden(settings.load(), name, listen)

    config = configuration()
    events.setup()
    _allow_many_sessions()
    tune_collector()
    return serve(_work(config, configuration))


def overridden(config: Config, name: str | None, listen: str | None) -> Config:
    """The configuration of one instance among several on a host. Raises ConfigError."""
    daemon, http = config.daemon, config.http
    try:
        if name is not None:
            daemon = msgspec.convert({**msgspec.to_builtins(daemon), "name": name}, DaemonSection)
        if listen is not None:
            http = Http(listen=listen)
            _ = http.address
    except msgspec.ValidationError:
        raise ConfigError(
            f"--name {name}: use at most 64 letters, digits and any of . _ @ -"
        ) from None
    except ValueError:
        raise ConfigError(f"--listen {listen}: must look like 127.0.0.1:9464") from None
    return msgspec.structs.replace(config, daemon=daemon, http=http)


async def _work(config: Config, reload: Callable[[], Config]) -> bool:
    return await Daemon(config, reload).run()


def _allow_many_sessions() -> None:
    """Raises the soft limit of open files to the hard one: every session needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
