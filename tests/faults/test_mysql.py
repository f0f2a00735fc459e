"""MySQL is killed, frozen, full, slow, refuses, or takes a commit whose answer is lost."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pymysql
import pytest

from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.mariadb import MariaDB
from tests.faults.scenario import running, survives
from tests.faults.stage import SENDER, Stage
from tests.faults.wire import Direction


def trouble(stage: Stage, number: int) -> bool:
    """Whether a daemon has logged this error number of MySQL."""
    return any(
        f"({number})" in str(event.fields["error"])
        for host in stage.hosts
        for event in host.events("mysql-trouble")
    )


def wait_trouble(stage: Stage, number: int) -> None:
    stage.wait(lambda: trouble(stage, number), f"error {number} is logged")


@contextmanager
def administrator(stage: Stage, variable: str, value: str) -> Iterator[None]:
    """A global variable of the server, changed for a while."""
    old = stage.query(f"SELECT @@global.{variable}")[0][0]
    stage.query(f"SET GLOBAL {variable} = {value}")
    try:
        yield
    finally:
        stage.query(f"SET GLOBAL {variable} = {old}")


def kill_and_restart(stage: Stage) -> None:
    stage.box.mariadb.kill()
    stage.box.mariadb.start()


def stop_and_restart(stage: Stage) -> None:
    stage.box.mariadb.restart()


def freeze(stage: Stage) -> None:
    """For longer than a lease."""
    stage.box.mariadb.freeze()
    time.sleep(2 * stage.ttl)  # the fault itself lasts so long
    stage.box.mariadb.thaw()


def read_only(stage: Stage) -> None:
    with administrator(stage, "read_only", "1"):
        wait_trouble(stage, 1290)


def gone_away(stage: Stage) -> None:
    for _ in range(5):
        for host in stage.hosts:
            host.mysql.cut()
        time.sleep(0.1)  # a rhythm of cuts, not a wait for anything


def connections_killed(stage: Stage) -> None:
    for _ in range(5):
        for (connection,) in stage.query(
            "SELECT id FROM information_schema.processlist WHERE user = %s", SENDER
        ):
            with suppress(pymysql.err.MySQLError):  # it may have ended by itself
                stage.query(f"KILL {connection}")


def too_many_connections(stage: Stage) -> None:
    with ExitStack() as stack:
        stack.enter_context(administrator(stage, "max_connections", "10"))
        hogs = 0
        for host in stage.hosts:
            host.mysql.cut()
        with suppress(pymysql.err.OperationalError):
            while hogs < 20:
                stack.enter_context(_sender(stage))
                hogs += 1
        for host in stage.hosts:
            host.mysql.cut()
        wait_trouble(stage, 1040)


def lock_wait(stage: Stage) -> None:
    with stage.ledger.connect() as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM shards FOR UPDATE")
        wait_trouble(stage, 1205)


def deadlock(stage: Stage) -> None:
    """Takes rows in the other order, and is the harder one to roll back, until it happens."""
    deadline = time.monotonic() + 20
    while not trouble(stage, 1213) and time.monotonic() < deadline:
        with (
            stage.ledger.connect() as connection,
            connection.cursor() as cursor,
            suppress(pymysql.err.OperationalError),
        ):
            cursor.execute("START TRANSACTION")
            cursor.execute(
                "INSERT INTO suppressions (account, suppression_key, reason, created_at)"
                " SELECT 'other', UNHEX(MD5(seq)), 1, NOW(3)"
                " FROM seq_1_to_3000"
            )
            for campaign, shard in stage.query(
                "SELECT campaign_id, shard FROM shards WHERE finished = 0 ORDER BY 1 DESC, 2 DESC"
            ):
                cursor.execute(
                    "UPDATE shards SET size = size + 0 WHERE campaign_id = %s AND shard = %s",
                    (campaign, shard),
                )
                time.sleep(0.03)  # so that a daemon gets in between
            connection.rollback()
    assert trouble(stage, 1213)


@contextmanager
def full_disk(stage: Stage) -> Iterator[None]:
    """The file of the ledger cannot grow, nor any other beyond its size."""
    pid = stage.box.mariadb.pid
    ledger = stage.box.mariadb.folder / stage.database / "ledger.ibd"
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (ledger.stat().st_size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize(
    "fault",
    [
        kill_and_restart,
        stop_and_restart,
        freeze,
        read_only,
        gone_away,
        connections_killed,
        too_many_connections,
        lock_wait,
        deadlock,
    ],
    ids=lambda fault: fault.__name__,
)
def test_mysql(box: Sandbox, fault: Callable[[Stage], None]) -> None:
    """One daemon, which is nobody's successor: no trouble of MySQL makes a duplicate."""
    result = survives(box, fault, rate=600)
    assert result.resend.maybe_duplicates == 0
    assert result.keep.outcomes == {"accepted": result.keep.recipients}


def test_disk_full() -> None:
    """Servers of its own, whose other files stay smaller than the ledger."""
    with Sandbox(buffer_pool_mib=64, mariadb_options=("--innodb-log-file-size=8M",)) as box:
        run_without_signals_for_full_files(box.mariadb)
        with running(box, recipients=3_000, rate=1_200) as pair:
            stage = pair.stage
            fill(stage, 60_000)
            with full_disk(stage):
                with pytest.raises(pymysql.err.OperationalError, match="full"):
                    while True:  # what is free within the file
                        fill(stage, 200)
                stage.wait(lambda: trouble(stage, 1114), "it is full")
            pair.judge()


def fill(stage: Stage, rows: int) -> None:
    """Half a kilobyte each into the ledger, for no campaign."""
    stage.query(
        "INSERT INTO ledger SELECT 9, 0, seq + (SELECT COALESCE(MAX(seq), 0) FROM ledger"
        " WHERE campaign_id = 9), 1, 2, 0, 250, '', NOW(3), '', '', REPEAT('x', 500)"
        f" FROM seq_1_to_{rows}"
    )


def run_without_signals_for_full_files(server: MariaDB) -> None:
    """A limit on the size of files stands for a full disk; by default it kills (SIGXFSZ)."""
    command = server.command()
    server.stop()
    ignoring = ["/bin/sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh", *command]
    server.command = lambda: ignoring  # type: ignore[method-assign]
    server.start()


@pytest.mark.parametrize(
    "statement", ["COMMIT", "SET claimed", "SET claimed_epoch", "SET epoch", "SET clean"]
)
def test_answer_lost(box: Sandbox, statement: str) -> None:
    """What was done is done; the daemon, which cannot know, does it again to no effect."""
    with running(box, recipients=900, rate=900) as pair:
        host = pair.stage.host
        trap = host.mysql.drop_answer(statement.encode(), times=3)
        pair.stage.wait(lambda: trap.sprung == 3 or pair.stage.finished(*pair.ids), "it is lost")
        pair.judge()


def test_slow(box: Sandbox) -> None:
    """Two seconds a statement make it slow, and nothing worse."""
    with running(box, recipients=300, after=100, ttl=10, connections=5) as pair:
        stage = pair.stage
        stage.host.mysql.delay(2.0, Direction.DOWN)
        # More than may be claimed at once; a new connection alone takes ten seconds.
        stage.wait(lambda: stage.sent() >= 600, "600 messages sent", within=100)
        stage.host.mysql.heal()
        result = pair.judge()
        assert result.resend.maybe_duplicates == 0


def test_cut_off_from_one_host(box: Sandbox) -> None:
    """Its results are true whenever they come (R4)."""
    with running(box, hosts=2, rate=300) as pair:
        stage = pair.stage
        lonely = stage.busiest()
        lonely.mysql.blackhole()
        lonely.redis.refuse()
        other = stage.other(lonely)
        stage.wait(lambda: other.events("ambiguous-resolved"), "a takeover")
        lonely.heal()
        pair.judge()


@contextmanager
def _sender(stage: Stage) -> Iterator[pymysql.Connection[Any]]:
    connection = pymysql.connect(unix_socket=str(stage.box.mariadb.socket), user=SENDER)
    try:
        yield connection
    finally:
        connection.close()
