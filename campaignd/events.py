"""What campaignd logs: one function per event, one event per line.

On a terminal `time level event key=value ...`, elsewhere JSON. An event that names a cause is
logged at most once in ten seconds for that cause; the others are counted in
`campaignd_log_lines_suppressed_total`. No address, message content or secret is ever logged.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final, TextIO

import orjson

from campaignd import metrics
from campaignd.errors import LeaseOutage

QUIET_SECONDS: Final = 10.0
"""Between two lines of the same cause."""

CAUSES: Final = 1_000
"""Causes remembered; more at once do not happen, and would only log a line too many."""

_log: Final = logging.getLogger("campaignd")
_log.addHandler(logging.NullHandler())  # silent until `setup`: commands answer by themselves
_last: Final[dict[str, tuple[float, int]]] = {}


class Formatter(logging.Formatter):
    """One line per event: JSON, or key=value for people."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        text = record.getMessage()
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        stamp = f"{at}.{int(record.msecs):03d}Z"
        level = record.levelname.lower()
        if self._as_json:
            line = {"at": stamp, "level": level, "event": text, **fields}
            return orjson.dumps(line, default=str).decode()
        pairs = " ".join(f"{key}={_plain(value)}" for key, value in fields.items())
        return f"{stamp} {level} {text} {pairs}".rstrip()


def setup(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Sends events to `stream` (standard error by default)."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter(as_json=not stream.isatty()))
    _log.handlers[:] = [handler]
    _log.setLevel(level)
    _log.propagate = False
    logging.raiseExceptions = False  # a full disk must not become an exception of ours


def started(host: str, version: str, relays: int) -> None:
    _info("started", host=host, version=version, relays=relays)


def serving(what: str, version: str, port: int) -> None:
    """Another process than the daemon takes requests."""
    _info("serving", what=what, version=version, port=port)


def waiting(reason: str) -> None:
    """The daemon cannot work yet, or any more, and waits."""
    _throttled(logging.WARNING, "waiting", reason, reason=reason)


def store_outage(doing: str, error: Exception, *, backlog: int | None = None) -> None:
    metrics.outages.labels("mysql").inc()
    extra = {} if backlog is None else {"backlog": backlog}
    _throttled(
        logging.WARNING, "mysql-trouble", f"mysql {error}", doing=doing, error=str(error), **extra
    )


def lease_outage(error: LeaseOutage | Exception) -> None:
    metrics.outages.labels("redis").inc()
    _throttled(logging.WARNING, "redis-trouble", f"redis {error}", error=str(error))


def relay_trouble(relay: str, error: str, retry_seconds: float) -> None:
    metrics.outages.labels("relay").inc()
    _throttled(
        logging.WARNING,
        "relay-trouble",
        f"relay {relay}",
        relay=relay,
        error=error,
        retry_seconds=round(retry_seconds, 1),
    )


def relay_recovered(relay: str) -> None:
    _throttled(logging.INFO, "relay-recovered", f"recovered {relay}", relay=relay)


def shard_taken(campaign: int, shard: int, epoch: int, *, clean: bool) -> None:
    metrics.takeovers.labels("yes" if clean else "no").inc()
    fields = {"campaign": campaign, "shard": shard, "epoch": epoch, "clean": clean}
    if clean:
        _emit(logging.DEBUG, "shard-taken", **fields)
    else:
        _throttled(logging.WARNING, "shard-taken", f"taken {campaign}/{shard}", **fields)


def shard_stopping(campaign: int, shard: int, reason: str) -> None:
    _emit(logging.DEBUG, "shard-stopping", campaign=campaign, shard=shard, reason=reason)


def fenced(campaign: int, shard: int, epoch: int) -> None:
    _throttled(
        logging.WARNING,
        "fenced",
        f"fenced {campaign}/{shard}",
        campaign=campaign,
        shard=shard,
        epoch=epoch,
    )


def resolved(campaign: int, shard: int, count: int) -> None:
    _emit(logging.WARNING, "ambiguous-resolved", campaign=campaign, shard=shard, count=count)


def campaigns_started(count: int) -> None:
    """The time of scheduled campaigns has come."""
    _info("campaigns-started", count=count)


def campaign_finished(campaign: int) -> None:
    _info("campaign-finished", campaign=campaign)


def campaign_paused(campaign: int, reason: str) -> None:
    """The daemon itself paused a campaign."""
    _emit(logging.ERROR, "campaign-paused", campaign=campaign, reason=reason)


def webhook_refused(webhook: str, reason: str) -> None:
    """A request was not the provider's, or not what it sends."""
    _throttled(
        logging.WARNING, "webhook-refused", f"{webhook} {reason}", webhook=webhook, reason=reason
    )


def webhook_trouble(webhook: str, error: Exception) -> None:
    """What proves a provider's requests is not to be had."""
    metrics.outages.labels("provider").inc()
    _throttled(
        logging.WARNING, "webhook-trouble", f"{webhook} {error}", webhook=webhook, error=str(error)
    )


def webhook_subscription(webhook: str, topic: str, *, confirmed: bool) -> None:
    """An SNS topic was subscribed, or somebody ended its subscription."""
    level = logging.INFO if confirmed else logging.WARNING
    _emit(level, "webhook-subscription", webhook=webhook, topic=topic, confirmed=confirmed)


def reloaded(relays: int, messages_per_second: float | None) -> None:
    _info("reloaded", relays=relays, messages_per_second=messages_per_second)


def reload_refused(error: str) -> None:
    _emit(logging.ERROR, "reload-refused", error=error)


def draining(reason: str, held: int, in_flight: int) -> None:
    _info("draining", reason=reason, held=held, in_flight=in_flight)


def drain_timeout(in_flight: int) -> None:
    _emit(logging.WARNING, "drain-timeout", in_flight=in_flight)


def stopped(clean: bool) -> None:
    _info("stopped", clean=clean)


def receiving(listen: str, protocol: str) -> None:
    _info("receiving", listen=listen, protocol=protocol)


def mail_received(kind: str, result: str, **fields: int) -> None:
    _emit(logging.DEBUG, "mail-received", kind=kind, result=result, **fields)


def crashed(error: BaseException) -> None:
    """A bug: always with its traceback."""
    _log.critical("crashed", exc_info=error, extra={"fields": {"error": repr(error)}})


def _info(event: str, **fields: Any) -> None:
    _emit(logging.INFO, event, **fields)


def _emit(level: int, event: str, **fields: Any) -> None:
    _log.log(level, event, extra={"fields": fields})


def _throttled(level: int, event: str, cause: str, **fields: Any) -> None:
    now = time.monotonic()
    last, left_out = _last.get(cause, (-QUIET_SECONDS, 0))
    if now - last < QUIET_SECONDS:
        _last[cause] = (last, left_out + 1)
        metrics.lines_suppressed.inc()
        return
    if len(_last) >= CAUSES:
        _last.clear()
    _last[cause] = (now, 0)
    if left_out:
        fields["left_out"] = left_out
    _emit(level, event, **fields)


def _plain(value: object) -> str:
    text = str(value)
    return orjson.dumps(text).decode() if not text or any(c in ' "=\n\r\t' for c in text) else text
