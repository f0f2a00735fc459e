"""The one exception tree. Three kinds, told apart by what a person does about them.

`UsageError`: a user's mistake; its text is one line that says what to change.
`Outage`: something outside is away (MySQL, Redis, a relay); waiting mends it.
Everything else is a bug and keeps its traceback.
"""


class CampaigndError(Exception):
    """Root of what campaignd raises on purpose; never raised itself."""


class UsageError(CampaigndError):
    """A user's mistake. The message is one line and says what to change."""


class ConfigError(UsageError):
    """The configuration file, or a secret that it names, cannot be used."""


class CampaignError(UsageError):
    """A campaign file or its audience cannot be used."""


class TemplateError(CampaignError):
    """A template does not compile or render; names file, line and field."""


class TransitionError(UsageError):
    """A command that the campaign's present state does not allow."""


class SandboxError(UsageError):
    """A private server cannot be started here; says what to install, or shows its log's end."""


class RowError(CampaigndError):
    """One recipient cannot be used or composed; it is rejected with this reason.

    Never fails a campaign.
    """


class Outage(CampaigndError):
    """Something outside is away for now; the daemon waits, the CLI says so and ends."""


class StoreOutage(Outage):
    """MySQL is unreachable, refuses writes, or lost the connection.

    `ambiguous` is true when a commit was under way, so that it may or may not have happened.
    """

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class LeaseOutage(Outage):
    """Redis is unreachable or does not answer within its deadline."""


class RelayOutage(Outage):
    """A relay does not accept connections, or not with the security that was asked for."""


def connection_was_closed(error: RuntimeError) -> bool:
    """Whether this is how uvloop, or aiomysql on top of it, says that a transport was closed
    before something was done with it. asyncio's own transports raise nothing or ConnectionError."""
    text = str(error)
    return "the handler is closed" in text or "does not expose socket instance" in text
