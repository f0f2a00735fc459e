"""Connections to MySQL and their errors. Driver exceptions stop here.

A `Database` hands out transactions with a deadline. What goes wrong outside (server away, frozen,
read-only, full, deadlock) becomes `StoreOutage`; a mistake in our own SQL stays what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiomysql
import pymysql.err
from pymysql.constants import CLIENT

from campaignd.config import MySQLTarget
from campaignd.errors import StoreOutage, UsageError, connection_was_closed

Row = tuple[Any, ...]

SESSION: Final = (
    "SET time_zone = '+00:00',"
    " sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
    " group_concat_max_len = 67108864, innodb_lock_wait_timeout = 5"
)

STATEMENT_SECONDS: Final = 15.0
"""How long a statement may take before the server counts as away. Longer than an InnoDB lock
wait (5 s, set above), shorter than an operator's patience. It is for each statement, so that a
server that is slow makes us slow and not stuck."""

CONNECT_SECONDS: Final = 5.0

_READ_OCTETS: Final = 262_144
"""More than the driver's reader holds."""

LEAST_IDLE_SECONDS: Final = 20
"""Below this, connections would be made anew all the time on a host with little to do."""

_WEATHER: Final = frozenset(
    {
        1021,  # disk full
        1040,  # too many connections
        1053,  # server shutdown in progress
        1114,  # the table is full (also: disk full)
        1152, 1158, 1159, 1160, 1161,  # aborted connection, network errors
        1180,  # error during commit
        1184, 1203, 1226,  # aborted connection, user and resource limits on connections
        1205,  # lock wait timeout
        1213,  # deadlock
        1290,  # --read-only
        1317,  # query interrupted
        1836,  # read-only mode (MySQL)
        1927,  # connection was killed (MariaDB)
        2002, 2003, 2006, 2013, 2014,  # cannot connect, gone away, lost, out of sync
        3024, 1969,  # statement timeout
        4031,  # idle too long (MySQL 8)
    }
)  # fmt: skip

_SETUP: Final = frozenset({1044, 1045, 1049, 1130, 1146, 1251, 1275, 2059})
"""Access denied, no such database or table: a person has to change something."""

_DEFINITE: Final = frozenset({1205, 1213, 1290, 1836, 1040, 2002, 2003})
"""Errors after which nothing of the statement can have been committed."""


class Transaction:
    """What may be done on one connection. Valid inside its `async with` only."""

    __slots__ = ("_connection", "_progress")

    def __init__(self, connection: aiomysql.Connection, progress: _Progress) -> None:
        self._connection = connection
        self._progress = progress

    async def execute(self, statement: str | bytes, args: Sequence[object] | None = None) -> int:
        """Runs a statement, which is UTF-8 if it is bytes; returns the rows it matched
        (CLIENT_FOUND_ROWS), changed or not."""
        self._progress.goes_on()
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement, args)
            return int(cursor.rowcount)

    async def insert(self, statement: str, args: Sequence[object] | None = None) -> int:
        """Runs an INSERT; returns its AUTO_INCREMENT value."""
        self._progress.goes_on()
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement, args)
            return int(cursor.lastrowid)

    async def fetch(self, statement: str, args: Sequence[object] | None = None) -> Sequence[Row]:
        """All rows of a query that is known to be short."""
        self._progress.goes_on()
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement, args)
            rows: Sequence[Row] = await cursor.fetchall()
            return rows

    async def one(self, statement: str, args: Sequence[object] | None = None) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch(statement, args)
        return rows[0] if rows else None

    async def stream(
        self, statement: str, args: Sequence[object] | None = None
    ) -> AsyncIterator[Row]:
        """Rows from a server-side cursor. Read it to its end without waiting for anything else:
        MySQL closes a cursor whose reader stalls for `net_write_timeout` (60 s)."""
        self._progress.goes_on()
        async with self._connection.cursor(aiomysql.SSCursor) as cursor:
            await cursor.execute(statement, args)
            while (row := await cursor.fetchone()) is not None:
                yield row

    async def octets(self, statement: str) -> AsyncGenerator[bytes]:
        """A result as it comes, for `wire.RowSplitter`. To be closed, and with it the connection:
        the driver does not know where the result ended."""
        self._progress.goes_on()
        connection = self._connection
        cursor = await connection.cursor(aiomysql.SSCursor)
        try:
            await cursor.execute(statement)
            while data := await connection._reader.read(_READ_OCTETS):
                self._progress.goes_on()
                yield data
            raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
        finally:
            connection.close()

    async def columns(self, statement: str, args: Sequence[object] | None = None) -> list[str]:
        """The column names that a query yields."""
        self._progress.goes_on()
        async with self._connection.cursor() as cursor:
            await cursor.execute(statement, args)
            return [column[0] for column in cursor.description or ()]


class Database:
    """A bounded pool of connections to one database.

    Every method raises StoreOutage for weather and UsageError for a set-up that a person has to
    mend (wrong password, no such database, schema not migrated).
    """

    def __init__(
        self, target: MySQLTarget, *, connections: int = 8, idle_seconds: int | None = None
    ) -> None:
        """After `idle_seconds` without a statement the server rolls back an open transaction: a
        host that is frozen in the middle of one keeps nobody waiting for its locks. MySQL knows
        no such limit but that of idle connections, which is then LEAST_IDLE_SECONDS or more.
        None leaves all that to the server (8 hours)."""
        self._target = target
        self._idle_seconds = idle_seconds
        self._connections = connections
        self._pool: aiomysql.Pool | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Database:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection, also those in use."""
        if self._pool is not None:
            self._pool.terminate()
            await self._pool.wait_closed()
            self._pool = None

    @asynccontextmanager
    async def transaction(
        self, *, timeout: float | None = STATEMENT_SECONDS
    ) -> AsyncIterator[Transaction]:
        """One transaction: committed when the block ends, rolled back when it raises.

        `timeout` is in seconds for each statement; None waits for ever (bulk loading). A
        StoreOutage from the commit itself is `ambiguous`: it may have happened.
        """
        async with self._session(timeout) as (connection, progress):
            await connection.begin()
            yield Transaction(connection, progress)
            progress.committing = True
            progress.goes_on()
            await connection.commit()

    @asynccontextmanager
    async def statement(
        self, *, timeout: float | None = STATEMENT_SECONDS
    ) -> AsyncIterator[Transaction]:
        """A connection on which each statement commits by itself: one round trip instead of
        three. An outage in it is `ambiguous`."""
        async with self._session(timeout) as (connection, progress):
            progress.committing = True
            yield Transaction(connection, progress)

    @asynccontextmanager
    async def _session(
        self, timeout: float | None
    ) -> AsyncIterator[tuple[aiomysql.Connection, _Progress]]:
        pool = await self._open()
        progress = _Progress(timeout)
        try:
            async with progress.deadline:
                cancellations = _cancellations()
                connection = await pool.acquire()
                try:
                    _heed(cancellations)
                    yield connection, progress
                except BaseException:
                    # What the server has seen of it is unsettled: only closing settles it.
                    connection.close()
                    raise
                finally:
                    pool.release(connection)
        except pymysql.err.MySQLError as error:
            raise translate(error, committing=progress.committing) from error
        except TimeoutError as error:
            raise StoreOutage(
                f"MySQL did not answer within {timeout:g} s", ambiguous=progress.committing
            ) from error
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise StoreOutage(f"MySQL: {error}", ambiguous=progress.committing) from error
        except RuntimeError as error:
            if not connection_was_closed(error):
                raise
            raise StoreOutage(
                "MySQL closed the connection", ambiguous=progress.committing
            ) from error

    async def _open(self) -> aiomysql.Pool:
        async with self._opening:
            if self._pool is None:
                target, idle = self._target, self._idle_seconds
                self._pool = await aiomysql.create_pool(
                    minsize=0,
                    maxsize=self._connections,
                    host=target.host,
                    port=target.port,
                    unix_socket=target.unix_socket,
                    user=target.user,
                    password=str(target.password),
                    db=target.database,
                    charset="utf8mb4",
                    autocommit=True,
                    client_flag=CLIENT.FOUND_ROWS,
                    init_command=SESSION if idle is None else SESSION + _idle_limits(idle),
                    # Younger than what the server closes, so that nobody is handed a dead one.
                    pool_recycle=-1 if idle is None else max(idle, LEAST_IDLE_SECONDS) / 2,
                    connect_timeout=CONNECT_SECONDS,
                    program_name="campaignd",
                )
            return self._pool


class _Progress:
    __slots__ = ("_seconds", "committing", "deadline")

    def __init__(self, seconds: float | None) -> None:
        self.committing = False
        self.deadline = asyncio.timeout(seconds)
        self._seconds = seconds

    def goes_on(self) -> None:
        """The next statement has its own time."""
        if self._seconds is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)


def _cancellations() -> int:
    """How often the present task was told to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _heed(before: int) -> None:
    """Up to Python 3.11 `asyncio.wait_for`, by which the driver connects, loses a cancellation that
    comes together with its result (https://github.com/python/cpython/issues/86296)."""
    if _cancellations() > before:
        raise asyncio.CancelledError


def _idle_limits(seconds: int) -> str:
    """To append to SESSION. The first comment is for MariaDB alone, which passes over the second:
    it is of no version that MariaDB ever had."""
    wait = max(seconds, LEAST_IDLE_SECONDS)
    return f" /*M! , idle_transaction_timeout = {seconds} */ /*!80000 , wait_timeout = {wait} */"


def translate(error: pymysql.err.MySQLError, *, committing: bool) -> Exception:
    """The exception that the rest of campaignd sees for a driver's error."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror and cause.strerror not in text:
        text = f"{text}: {cause.strerror}"
    if number in _SETUP:
        hint = "; run `campaignd migrate`" if number == 1146 else ""
        return UsageError(f"MySQL refuses ({number}): {text}{hint}")
    if number in _WEATHER or isinstance(error, pymysql.err.InterfaceError):
        ambiguous = committing and number not in _DEFINITE
        return StoreOutage(f"MySQL ({number}): {text}", ambiguous=ambiguous)
    bug: Exception = error
    return bug
