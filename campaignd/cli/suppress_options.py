"""Options that several commands of `suppress` have, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from campaignd.errors import UsageError
from campaignd.model import SuppressionReason
from campaignd.store.suppressions import GLOBAL, NOTE_CHARACTERS

FC = TypeVar("FC", bound=Callable[..., Any])

_ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""As campaign files have it."""


def list_options(command: FC) -> FC:
    """Whose list it is."""
    for option in (
        click.option("--global", "everywhere", is_flag=True, help="The list of all accounts."),
        click.option("--account", metavar="NAME", help="The list of this account."),
    ):
        command = option(command)
    return command


def why_options(default: SuppressionReason) -> Callable[[FC], FC]:
    """Why something is suppressed."""

    def decorate(command: FC) -> FC:
        command = click.option("--note", metavar="TEXT", default="", help="Kept with it.")(command)
        return click.option(
            "--reason",
            type=click.Choice([reason.label for reason in SuppressionReason]),
            default=default.label,
            show_default=True,
            help="Why. A stronger reason takes the place of a weaker one.",
        )(command)

    return decorate


def owner_of(account: str | None, everywhere: bool) -> str:
    """The account whose list it is. Raises UsageError."""
    if (account is None) != everywhere:
        raise click.UsageError("give either --account NAME or --global")
    if account is None:
        return GLOBAL
    if not _ACCOUNT.fullmatch(account):
        raise UsageError(f"--account {account!r}: not the name of an account")
    return account


def checked(note: str) -> str:
    """Raises UsageError for a note that cannot be stored."""
    if len(note) > NOTE_CHARACTERS or not note.isprintable():
        raise UsageError(f"--note: at most {NOTE_CHARACTERS} printable characters")
    return note
