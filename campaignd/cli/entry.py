"""The entry point: finds the command, and turns errors into one line and an exit status.

Exit statuses: 0 done, 1 a mistake or an outage (one line says which), 2 wrong usage, 130
interrupted. A bug keeps its traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from campaignd import __version__
from campaignd.cli.failures import expected
from campaignd.cli.settings import Settings

FAILED: Final = 1
INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""


class Entry(NamedTuple):
    """Where a command is defined, and what it does in a few words."""

    module: str
    summary: str


COMMANDS: Final = {
    "demo": Entry("demo", "Sends 20,000 messages between private servers; needs no set-up."),
    "check": Entry("check", "Says what of the set-up works and what does not."),
    "migrate": Entry("migrate", "Creates or upgrades the tables in MySQL."),
    "run": Entry("run", "Runs the daemon that sends."),
    "web": Entry("web", "Serves unsubscribe links and providers' webhooks."),
    "receive": Entry("receive", "Takes bounces, complaints and unsubscribes by mail."),
    "preview": Entry("preview", "Prints the message that one recipient would get."),
    "send-test": Entry("preview", "Sends one message to an address of yours."),
    "lint": Entry("lint", "Says what mailbox providers would object to."),
    "enqueue": Entry("enqueue", "Freezes an audience and starts its campaign."),
    "status": Entry("status", "Shows campaigns: counts, rate, and why they are not faster."),
    "outcomes": Entry("outcomes", "Prints what became of each attempt."),
    "suppress": Entry("suppress", "Keeps lists of addresses that are not written to."),
    "start": Entry("control", "Starts a draft or scheduled campaign now."),
    "pause": Entry("control", "Stops sending within a second; can be resumed."),
    "resume": Entry("control", "Goes on with a paused campaign."),
    "cancel": Entry("control", "Ends a campaign for good."),
    "purge": Entry("purge", "Deletes campaigns that ended long ago."),
    "dns": Entry("dns", "Prints the DNS records that a domain needs, and looks for them."),
    "sink": Entry("sink", "Runs an SMTP server that takes mail and delivers none."),
}


class LazyGroup(click.Group):
    """Imports a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The module `cli.X` defines the command `a-b` as `a_b`."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"campaignd.cli.{entry.module}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: `--help` imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="campaignd", message="%(prog)s %(version)s")
@click.option(
    "--config",
    metavar="FILE",
    help="Configuration; else $CAMPAIGND_CONFIG, ./config.toml, /etc/campaignd/config.toml.",
)
@click.pass_context
def campaignd(ctx: click.Context, config: str | None) -> None:
    """Sends email campaigns: recipients in MySQL, through SMTP relays, every outcome recorded."""
    ctx.obj = Settings(config)


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    try:
        status = campaignd.main(args=args, prog_name="campaignd", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return FAILED
    except Exception as error:
        lines = expected(error)
        if not lines:
            raise
        for line in lines:
            click.echo(f"error: {line}", err=True)
        return FAILED
    return status if isinstance(status, int) else 0


def _silence_stdout() -> None:
    """The reader has gone (`| head`): the interpreter's own last flush must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
