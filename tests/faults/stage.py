"""Servers, a receiver, and daemons as processes with a proxy at every wire: where faults happen.

`Stage` is built anew for each test on servers that the tests of this folder share. Campaigns are
written straight into the tables, so that nothing here depends on the enqueuing under test.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import redis

from campaignd.compose.spec import CampaignSpec, encode_spec
from campaignd.config import Config, Daemon, Http, Lease, Limits, MySQL, Redis, Relay, Timeouts
from campaignd.model import SHARD_SIZE, RetryPolicy, UnknownPolicy
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.policy import SinkPolicy
from campaignd.sandbox.sinklog import Accepted
from campaignd.sandbox.sinkprocess import SinkProcess
from campaignd.store import schema
from campaignd.store.db import Database
from tests.faults.checker import Ledger, Verdict
from tests.faults.host import Host

TTL: Final = 2.0
"""Seconds of a lease: short, so that a takeover does not take long."""

PATIENCE: Final = 40.0
"""Seconds that a condition may take to come true, on a busy machine."""

POLL: Final = 0.02
SENDER: Final = "sender"
"""The daemons' account in MySQL: with no more rights than they need, so that the server's
read-only mode and limits hold for it."""

_RETRY: Final = RetryPolicy(first=1.0, factor=1.0, longest=1.0, expire=3600.0)
_numbers: Final = itertools.count(1)


class Stage:
    """A database of its own, a receiver, and `hosts` daemons; none is started yet.

    A context manager. `relays` are further relays beside the proxied receiver, which is left out
    with `proxied=False`.
    """

    def __init__(
        self,
        box: Sandbox,
        *,
        hosts: int = 1,
        policy: SinkPolicy | None = None,
        ttl: float = TTL,
        rate: float | None = None,
        connections: int = 20,
        relays: Sequence[Relay] = (),
        proxied: bool = True,
        timeouts: Timeouts | None = None,
        drain_timeout: float = 5.0,
        tls: str = "none",
        certificate: Path | None = None,
        launcher: Sequence[str] | None = None,
        slots: int = 16,
    ) -> None:
        self.box = box
        self.number = next(_numbers)
        self.database = f"faults_{self.number}"
        self.folder = box.folder / self.database
        self.folder.mkdir()
        self.sink = SinkProcess(
            policy,
            log=self.folder / "taken.jsonl",
            certificate=certificate,
            supervisor=box.supervisor,
        )
        self.ttl = ttl
        self._rate = rate
        self._slots = slots
        self._drain_timeout = drain_timeout
        self._relay = Relay(
            name="receiver",
            host="127.0.0.1",
            tls=tls,  # type: ignore[arg-type]
            tls_ca_file=None if certificate is None else str(certificate),
            connections=connections,
            timeouts=timeouts or Timeouts(connect=2, final_dot=4, mail=4, rcpt=4, data=4, body=4),
        )
        self._relays = list(relays)
        self._proxied = proxied
        self.hosts = [Host(self, f"host-{n}", launcher) for n in range(1, hosts + 1)]
        self.host = self.hosts[0]
        self.ledger = Ledger(str(box.mariadb.socket), self.database)
        self._stack = ExitStack()
        self._counted = self._counted_octets = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            redis.Redis.from_url(self.box.redis.url).flushall()  # leases of other databases
            self._prepare_database()
            stack.callback(self.box.drop_database, self.database)
            stack.enter_context(self.sink)
            for host in self.hosts:
                for wire in host.wires:
                    stack.enter_context(wire)
                stack.callback(host.kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def settings(self, host: Host) -> Config:
        """The configuration of one host."""
        own = msgspec.structs.replace(self._relay, port=host.relay.port)
        return Config(
            mysql=MySQL(url=f"mysql://{SENDER}@127.0.0.1:{host.mysql.port}/{self.database}"),
            redis=Redis(url=f"redis://127.0.0.1:{host.redis.port}/0"),
            daemon=Daemon(
                name=host.name, drain_timeout=self._drain_timeout, max_shards=self._slots
            ),
            lease=Lease(ttl=self.ttl),
            relay=([own] if self._proxied else []) + self._relays,
            limits=Limits(messages_per_second=self._rate),
            http=Http(listen=f"127.0.0.1:{host.http}"),
        )

    def start(self, *hosts: Host) -> None:
        """Starts daemons, all by default, side by side."""
        chosen = hosts or tuple(self.hosts)
        for host in chosen:
            host.launch()
        for host in chosen:
            host.wait_ready()

    def campaign(
        self,
        recipients: int,
        *,
        unknown: UnknownPolicy = UnknownPolicy.RESEND,
        retry: RetryPolicy = _RETRY,
        shard_size: int = SHARD_SIZE,
        addresses: Sequence[str] = (),
    ) -> int:
        """A running campaign; its recipients have addresses that no other has, or `addresses`."""
        with self.ledger.connect() as connection, connection.cursor() as cursor:
            spec = encode_spec(_spec(unknown, retry)).decode()
            cursor.execute(
                "INSERT INTO campaigns (account, name, state, spec, fields, total, created_at,"
                " started_at) VALUES ('acme', 'test', 'loading', %s, '[\"name\"]', %s,"
                " UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))",
                (spec, len(addresses) or recipients),
            )
            campaign = int(cursor.lastrowid)
            domain = f"c{campaign}.example"
            count = len(addresses) or recipients
            cursor.execute(
                "INSERT INTO recipients SELECT %s, (seq - 1) DIV %s, (seq - 1) MOD %s + 1,"
                " CONCAT('u', seq, '@', %s), UNHEX(MD5(CONCAT('u', seq, '@', %s))),"
                " CONCAT('[\"Name ', seq, '\"]') FROM seq_1_to_" + str(count),
                (campaign, shard_size, shard_size, domain, domain),
            )
            for seq, address in enumerate(addresses):
                cursor.execute(
                    "UPDATE recipients SET address = %s, address_key = UNHEX(MD5(%s))"
                    " WHERE campaign_id = %s AND shard = %s AND seq = %s",
                    (address, address, campaign, seq // shard_size, seq % shard_size + 1),
                )
            cursor.execute(
                "INSERT INTO shards (campaign_id, shard, size, due_at) SELECT campaign_id, shard,"
                " COUNT(*), UTC_TIMESTAMP(3) FROM recipients WHERE campaign_id = %s GROUP BY shard",
                (campaign,),
            )
            cursor.execute("UPDATE campaigns SET state = 'running' WHERE id = %s", (campaign,))
        return campaign

    # what is going on

    def taken(self, campaign: int | None = None) -> Iterator[Accepted]:
        """What the receiver took, of one campaign or of all."""
        suffix = "" if campaign is None else f"@c{campaign}.example"
        if self.sink.accepted_log.exists():
            yield from (one for one in self.sink.accepted() if one.recipient.endswith(suffix))

    def sent(self) -> int:
        """How many messages the receiver has taken."""
        if self.sink.accepted_log.exists():
            with self.sink.accepted_log.open("rb") as log:
                log.seek(self._counted_octets)
                new = log.read()
            self._counted_octets += len(new)
            self._counted += new.count(b"\n")
        return self._counted

    def busiest(self) -> Host:
        """The host with the most recipients in its hands; waits until one has any."""
        statement = (
            "SELECT owner, SUM(claimed - done) AS held FROM shards WHERE finished = 0 AND clean = 0"
            " AND claimed > done GROUP BY owner ORDER BY held DESC"
        )
        self.wait(lambda: self.query(statement), "a host that is busy")
        owners = [row[0] for row in self.query(statement)] or [self.host.name]
        return next(host for host in self.hosts if host.name == owners[0])

    def held_by(self, host: Host) -> int:
        """Unfinished shards that MySQL says are this host's."""
        statement = "SELECT COUNT(*) FROM shards WHERE owner = %s AND finished = 0 AND clean = 0"
        return int(self.query(statement, host.name)[0][0])

    def other(self, host: Host) -> Host:
        """One of the others."""
        return next(other for other in self.hosts if other is not host)

    def state(self, campaign: int) -> str:
        return str(self.query("SELECT state FROM campaigns WHERE id = %s", campaign)[0][0])

    def finished(self, *campaigns: int) -> bool:
        return all(self.state(campaign) == "finished" for campaign in campaigns)

    def query(self, statement: str, *args: object) -> Sequence[tuple[Any, ...]]:
        """A statement on the database, past every proxy."""
        with self.ledger.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, args)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def judge(self, campaign: int) -> Verdict:
        """What became of a campaign's recipients."""
        return self.ledger.judge(campaign, self.taken(campaign))

    def wait(self, condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
        """Waits for a condition. Raises AssertionError with the state of everything."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within:g} s: {what}\n{self.describe()}")
            time.sleep(POLL)

    def wait_sent(self, count: int) -> None:
        self.wait(lambda: self.sent() >= count, f"{count} messages sent")

    def wait_finished(self, *campaigns: int, within: float = PATIENCE) -> None:
        self.wait(lambda: self.finished(*campaigns), f"{campaigns} finished", within)

    def describe(self) -> str:
        """For a person who looks at a failed test."""
        lines = [f"{self.sent()} messages taken"]
        rows = self.query("SELECT * FROM shards WHERE finished = 0 LIMIT 8")
        lines += [f"shard {row}" for row in rows]
        lines.append(f"retries {self.query('SELECT COUNT(*), MIN(due_at) FROM retries')}")
        for host in self.hosts:
            lines += [f"{host.name}: {line}" for line in host.log_tail(12)]
        return "\n".join(lines)

    def _prepare_database(self) -> None:
        self.box.create_database(self.database)
        with self.ledger.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER IF NOT EXISTS {SENDER}@localhost")
            cursor.execute(
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self.database}.* TO {SENDER}@localhost"
            )
        migrate(self.box, self.database)


def migrate(box: Sandbox, database: str) -> None:
    """The schema, as `campaignd migrate` makes it."""

    async def main() -> None:
        target = Config(mysql=MySQL(url=box.mariadb.url(database))).mysql_target()
        async with Database(target, connections=1) as db:
            await schema.migrate(db)

    asyncio.run(main())


def _spec(unknown: UnknownPolicy, retry: RetryPolicy) -> CampaignSpec:
    return CampaignSpec(
        name="Faults",
        account="acme",
        sender="Acme <news@acme.example>",
        envelope_sender="bounce@acme.example",
        subject="Hello {{ name }}",
        text="Hello {{ name }}, this is a test of what happens when things go wrong.\n" * 4,
        unknown=unknown,
        retry=retry,
    )
