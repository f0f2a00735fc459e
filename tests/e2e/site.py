"""One installation of campaignd: a configuration, a sink, the command, and daemons as processes.

Nothing here imports what is under test beyond the configuration's types: it talks to the command
as a person or a script would.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pymysql

from campaignd.config import Daemon, Lease, Limits, Links, Relay
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.policy import SinkPolicy
from campaignd.sandbox.server import Server, tail
from campaignd.sandbox.sinkprocess import SinkProcess

COMMAND: Final = str(Path(sys.executable).with_name("campaignd"))
PATIENCE: Final = 45.0
"""Seconds for a condition to come true on a busy machine."""
POLL: Final = 0.02
TTL: Final = 1.5

CAMPAIGN: Final = """\
name = "Spring"
account = "acme"
from = "Acme <news@acme.example>"
subject = "Hi {{ name }}"
html = "text.html"
unknown = "%s"
[retry]
first = "1s"
longest = "1s"
"""

HTML: Final = (
    "<p>Dear {{ name }}, spring is here.</p>" * 8
    + '<p><a href="{{ unsubscribe_url }}">Leave</a></p>'
)

_names = itertools.count(1)


class Done(subprocess.CompletedProcess[str]):
    """What a command printed, and its status."""

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Process(Server):
    """One `campaignd run`."""

    def __init__(self, site: Site, config: Path, options: Sequence[str]) -> None:
        self.name = f"host-{next(_names)}"
        super().__init__(site.box.supervisor)
        self.log = site.folder / f"{self.name}.log"
        self._argv = [COMMAND, "--config", str(config), "run", "--name", self.name, *options]

    def command(self) -> Sequence[str]:
        return self._argv

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def answers(self) -> bool:
        """It has logged its start."""
        return bool(self.events("started"))

    def signal(self, number: signal.Signals) -> None:
        self._running().signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status."""
        assert self._child is not None
        status = self._child.wait(timeout)
        assert status is not None, f"still runs: {self.log_tail(5)}"
        return status

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its logged events of one kind."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event["event"] == name]


class Site:
    """A context manager: the sink runs inside, and every daemon ends with it."""

    def __init__(self, box: Sandbox, database: str, folder: Path) -> None:
        self.box = box
        self.folder = folder
        self._url = database
        self.database = urlsplit(database).path.lstrip("/")
        self._stack = ExitStack()
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        key = self.folder / "links.key"
        key.touch(0o600)
        key.write_text(secrets.token_hex(32))
        self.sink = self._stack.enter_context(
            SinkProcess(supervisor=self.box.supervisor, log=self.folder / "sink.jsonl")
        )
        self.config = self.configure()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
        self._stack.close()

    def resink(self, policy: SinkPolicy | None = None, *, keep: int = 0) -> None:
        """Another sink at the end of the configured relay."""
        log = self.folder / "sink.jsonl"
        self.sink = self._stack.enter_context(
            SinkProcess(policy, supervisor=self.box.supervisor, log=log, keep=keep)
        )
        self.config = self.configure()

    def configure(
        self, name: str = "config.toml", *, rate: float | None = None, ttl: float = TTL, **more: Any
    ) -> Path:
        """Writes a configuration whose one relay is the sink, and which `lint` has no errors in."""
        relay = Relay(
            name="sink", host="127.0.0.1", port=self.sink.port, tls="none", connections=20
        )
        settings: dict[str, Any] = {
            "daemon": Daemon(drain_timeout=5.0),
            "lease": Lease(ttl=ttl),
            "limits": Limits(messages_per_second=rate),
            "links": Links(url="https://links.acme.example", key_files=["links.key"]),
            **more,
        }
        config = self.box.config(self._url, settings.pop("relays", [relay]), **settings)
        return self.box.write_config(config, self.folder / name)

    # the command

    def run(self, *words: str, config: Path | None = None, **kwargs: Any) -> Done:
        """Runs a command to its end."""
        done = subprocess.run(
            [COMMAND, "--config", str(config or self.config), *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **kwargs,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.args, done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str) -> Done:
        """Runs a command that must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done

    def refused(self, *words: str, config: Path | None = None) -> str:
        """Runs a command that must fail with one line, and returns that line."""
        done = self.run(*words, config=config)
        assert done.returncode == 1, done
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    def audience(self, count: int, name: str = "r.csv") -> str:
        """Writes recipients, none of which is in another audience; returns the file's name."""
        batch = next(_names)
        rows = "".join(f"u{n}@b{batch}.example,Name {n}\n" for n in range(count))
        (self.folder / name).write_text("email,name\n" + rows)
        return name

    def campaign(self, unknown: str = "resend") -> str:
        """Writes a campaign file; returns its name."""
        (self.folder / "c.toml").write_text(CAMPAIGN % unknown)
        (self.folder / "text.html").write_text(HTML)
        return "c.toml"

    def enqueue(self, count: int, *options: str, unknown: str = "resend") -> int:
        """Enqueues a new campaign; returns its id."""
        source = self.audience(count)
        done = self.ok("enqueue", self.campaign(unknown), "--recipients", source, *options)
        assert re.fullmatch(r"\d+\n", done.stdout)
        return int(done.stdout)

    def status(self, campaign: int) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("status", str(campaign), "--json").json
        counts = dict(found["counts"])
        assert counts.pop("total") == sum(counts.values())  # R1, at every look
        return found

    def outcomes(self, campaign: int, *options: str) -> list[dict[str, Any]]:
        done = self.ok("outcomes", str(campaign), "--format", "jsonl", *options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def query(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """A look into the database, past the command."""
        connection = pymysql.connect(
            unix_socket=str(self.box.mariadb.socket),
            user="campaignd",
            db=self.database,
            autocommit=True,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    # processes

    def daemon(self, config: Path | None = None, *options: str) -> Process:
        """Starts a daemon and waits until it has started."""
        process = Process(self, config or self.config, options)
        self._processes.append(process)
        process.start()
        return process

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits for a condition."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                logs = [line for process in self._processes for line in tail(process.log, 6)]
                raise AssertionError("\n".join([f"not within {PATIENCE:g} s: {what}", *logs]))
            time.sleep(POLL)

    def until_state(self, campaign: int, state: str) -> dict[str, Any]:
        """Waits for a campaign's state; returns its last status."""
        last: dict[str, Any] = {}

        def there() -> bool:
            last.update(self.status(campaign))
            return bool(last["state"] == state)

        self.until(there, f"campaign {campaign} is {state}")
        return last

    def until_sent(self, count: int) -> None:
        self.until(lambda: self.sent() >= count, f"{count} messages sent")

    def sent(self) -> int:
        """How many messages the sink has taken."""
        return self.sink.accepted_log.read_bytes().count(b"\n")

    def check_nothing_lost(self, campaign: int, count: int) -> Counter[str]:
        """The ledger and the sink agree on a campaign that everybody accepted, and duplicates
        are marked (R1, R5). Returns how often each recipient got the message."""
        lines = self.outcomes(campaign)
        accepted = {line["address"] for line in lines if line["outcome"] == "accepted"}
        domain = next(iter(accepted)).partition("@")[2]
        took = Counter(
            one.recipient for one in self.sink.accepted() if one.recipient.endswith("@" + domain)
        )
        assert len(accepted) == count
        assert set(took) == accepted
        marked = Counter(line["address"] for line in lines if line["maybe_duplicate"])
        unmarked = [who for who, times in took.items() if times - 1 > marked[who]]
        assert unmarked == []
        return took
