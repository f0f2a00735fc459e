"""`web`: the endpoint for unsubscribes and webhooks as a process."""

from __future__ import annotations

import click
import msgspec

from campaignd import events
from campaignd.cli.serving import serve
from campaignd.cli.settings import Settings, pass_settings
from campaignd.config import Config, Http
from campaignd.errors import ConfigError
from campaignd.web.service import WebService


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Instead of `listen` in [web].")
@click.option(
    "--listen-http",
    metavar="HOST:PORT",
    help="Instead of `listen` in [http]; an empty one turns that server off.",
)
@pass_settings
def web(settings: Settings, listen: str | None, listen_http: str | None) -> int:
    """Serves unsubscribe links and providers' webhooks, in the foreground.

    It belongs behind a reverse proxy that speaks TLS. /healthz, /readyz and /metrics are served
    apart from it, as [http] says. SIGTERM answers what is under way and ends. While MySQL is away,
    also at the start, pages are shown, and what would have to be recorded is answered 503. Exit
    status: 0 after a stop, 1 for a mistake in the configuration, 70 after a bug.
    """
    service = WebService(_overridden(settings.load(), listen, listen_http))
    events.setup()
    return serve(_work(service))


async def _work(service: WebService) -> bool:
    await service.run()
    return True


def _overridden(config: Config, listen: str | None, listen_http: str | None) -> Config:
    public = config.web if listen is None else msgspec.structs.replace(config.web, listen=listen)
    internal = config.http if listen_http is None else Http(listen=listen_http)
    for option, section in (("--listen", public), ("--listen-http", internal)):
        try:
            _ = section.address
        except ValueError:
            raise ConfigError(f"{option} {section.listen}: must look like 127.0.0.1:8025") from None
    return msgspec.structs.replace(config, web=public, http=internal)
