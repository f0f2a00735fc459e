"""`sink`: the sandbox's SMTP server, for people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click
import msgspec
import uvloop

from campaignd.errors import UsageError
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from campaignd.sandbox.sink import Sink
from campaignd.sandbox.sinkserver import Settings, allow_many_sessions, build, serve

_WHOM = "SHARE|PREFIX*"


@click.command()
@click.option(
    "--host", metavar="HOST", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    default=2525,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--log", metavar="FILE", type=click.Path(), help="JSON Lines of what it took.")
@click.option("--reject", metavar=_WHOM, multiple=True, help="Answer 550 to these recipients.")
@click.option("--defer", metavar=_WHOM, multiple=True, help="Answer 451 to these recipients.")
@click.option("--defer-once", metavar=_WHOM, multiple=True, help="Answer 451, the first time.")
@click.option("--drop", metavar=_WHOM, multiple=True, help="Hang up instead of the final reply.")
@click.option("--swallow", metavar=_WHOM, multiple=True, help="Take the message, then hang up.")
@click.option(
    "--at",
    type=click.Choice(["rcpt", "final-dot"]),
    default="rcpt",
    show_default=True,
    help="Where --reject and --defer are answered.",
)
@click.option(
    "--delay", metavar="SECONDS", type=float, default=0.0, help="Seconds before the final reply."
)
@click.option("--max-sessions", metavar="N", type=int, help="Answer 421 to further connections.")
@click.option(
    "--messages-per-session", metavar="N", type=int, help="Answer 421 to further messages."
)
@click.option("--no-pipelining", is_flag=True, help="Do not offer PIPELINING.")
@click.option("--no-8bitmime", "no_eight_bit", is_flag=True, help="Do not offer 8BITMIME.")
@click.option("--no-smtputf8", is_flag=True, help="Do not offer SMTPUTF8.")
@click.option("--tls", metavar="FILE", type=click.Path(), help="PEM file with chain and key.")
@click.option("--implicit-tls", is_flag=True, help="TLS from the start instead of STARTTLS.")
@click.option("--username", metavar="NAME", help="Insist on AUTH, with this name.")
@click.option("--password-file", metavar="FILE", type=click.Path(), help="Its password.")
@click.option(
    "--keep", metavar="N", type=int, default=0, help="Keep the first so many messages whole."
)
@click.option("--keep-folder", metavar="FOLDER", type=click.Path(), help="Where to keep them.")
def sink(
    host: str,
    port: int,
    log: str | None,
    reject: tuple[str, ...],
    defer: tuple[str, ...],
    defer_once: tuple[str, ...],
    drop: tuple[str, ...],
    swallow: tuple[str, ...],
    at: Literal["rcpt", "final-dot"],
    delay: float,
    max_sessions: int | None,
    messages_per_session: int | None,
    no_pipelining: bool,
    no_eight_bit: bool,
    no_smtputf8: bool,
    tls: str | None,
    implicit_tls: bool,
    username: str | None,
    password_file: str | None,
    keep: int,
    keep_folder: str | None,
) -> None:
    """Runs an SMTP server that takes mail and delivers none, until it is interrupted.

    Some recipients can fare worse: a SHARE of all addresses such as 5%, always the same ones, or
    those that begin with a PREFIX*.
    """
    if (username is None) != (password_file is None):
        raise click.UsageError("--username and --password-file belong together")
    if implicit_tls and tls is None:
        raise click.UsageError("--implicit-tls needs --tls FILE")
    if bool(keep) != (keep_folder is not None):
        raise click.UsageError("--keep and --keep-folder belong together")
    rules = [
        *(Rule.parse(Fate.REJECT, whom) for whom in reject),
        *(Rule.parse(Fate.DEFER, whom) for whom in defer),
        *(Rule.parse(Fate.DEFER, whom, once=True) for whom in defer_once),
        *(Rule.parse(Fate.DROP, whom) for whom in drop),
        *(Rule.parse(Fate.SWALLOW, whom) for whom in swallow),
    ]
    policy = _policy(
        rules=rules,
        at=at,
        delay=delay,
        max_sessions=max_sessions,
        messages_per_session=messages_per_session,
        pipelining=not no_pipelining,
        eight_bit_mime=not no_eight_bit,
        smtputf8=not no_smtputf8,
    )
    if keep_folder is not None:
        _make(Path(keep_folder))
    settings = Settings(
        policy=policy,
        host=host,
        port=port,
        log=log,
        certificate=tls,
        implicit_tls=implicit_tls,
        username=username,
        password_file=None if password_file is None else str(Path(password_file).absolute()),
        keep=keep,
        keep_folder=keep_folder,
    )
    allow_many_sessions()
    counters = uvloop.run(serve(build(settings), _announce))
    for name, value in msgspec.structs.asdict(counters).items():
        click.echo(f"{name.replace('_', ' '):<24}{value:>12,}")


def _policy(**settings: object) -> SinkPolicy:
    """Checked as if it came from a file. Raises UsageError."""
    try:
        return msgspec.convert(msgspec.to_builtins(settings), SinkPolicy)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"sink: {error}") from None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--keep-folder {folder}: {error.strerror}") from None


def _announce(sink: Sink) -> None:
    click.echo(f"listening on {sink.host}:{sink.port}; Ctrl-C ends it")
    sys.stdout.flush()
