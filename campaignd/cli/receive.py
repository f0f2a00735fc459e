"""`receive`: the server for mail that comes back, as a process."""

from __future__ import annotations

import click
import msgspec

from campaignd import events
from campaignd.cli.run import overridden
from campaignd.cli.serving import serve
from campaignd.cli.settings import Settings, pass_settings
from campaignd.config import Config
from campaignd.errors import ConfigError
from campaignd.receive.service import Service


@click.command()
@click.option("--listen", metavar="ADDRESS", help="Instead of `listen` in [receive].")
@click.option(
    "--listen-http",
    metavar="HOST:PORT",
    help="Instead of `listen` in [http]; an empty one turns the HTTP server off.",
)
@pass_settings
def receive(settings: Settings, listen: str | None, listen_http: str | None) -> int:
    """Takes bounces, complaints and unsubscribes by mail, in the foreground.

    It takes mail for the domain of [bounces] alone, and within it only for addresses that messages
    of ours have named, and for `mailboxes` of [receive]. What a message says is committed before
    it is answered; while MySQL is away, mail is put off. SIGTERM lets a message that is under way
    end. Exit status: 0 after a clean stop, 3 if a message was cut off, 1 for a mistake in the
    configuration, 70 after a bug.
    """
    config = overridden(settings.load(), None, listen_http)
    if listen is not None:
        config.receive = msgspec.structs.replace(config.receive, listen=listen)
        try:
            _ = config.receive.address
        except ValueError:
            raise ConfigError(
                f"--listen {listen}: must look like 127.0.0.1:8024, or be a path"
            ) from None
    events.setup()
    return serve(_work(config))


async def _work(config: Config) -> bool:
    return await Service(config).run()
