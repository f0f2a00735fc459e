"""What signatures cost (DKIM, RSA of 2,048 bits)."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import uvloop
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import material, options
from benchmarks.errors import BenchmarkError
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.findings import Finding, relative
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.workshop import Workshop
from campaignd.compose import Composer, date_header, load_campaign
from campaignd.config import Dkim
from campaignd.dkim import Signer, SigningKey
from campaignd.model import Job, SendRight, Sign
from campaignd.pipeline.queue import JobQueue
from campaignd.pipeline.signing import Signing

DOMAIN: Final = material.SENDER.partition("@")[2]
MESSAGES: Final = 1_000
"""Different ones that are signed again and again."""
DATA: Final = bytes(900)
"""As much as header fields in canonical form."""
AHEAD: Final = 912
"""Messages that wait for signatures at most: what a daemon with 200 connections claims."""


def measure(
    workshop: Workshop, *, count: int, sessions: int, repetitions: int, seconds: int
) -> Measured:
    """On all cores: signatures by threads, composed messages signed by the daemon's stage, and
    whole campaigns with signatures and without, all against `openssl speed` in as many processes.

    It hashes nothing, and has no interpreter to share. In a whole campaign receivers, MariaDB and
    Redis share the cores, too.
    """
    private = generate_private_key(65_537, 2_048)
    messages = _messages(workshop.campaign)
    openssl, threads, stage = [], [], []
    for _ in range(repetitions):
        openssl.append(openssl_rate(seconds))
        threads.append(threads_rate(private, seconds))
        stage.append(uvloop.run(signing_rate(private, messages, seconds)))
    plain, signed = "no DKIM", "DKIM"
    dkim = Dkim(domain=DOMAIN, selector="b1", key_file=str(_key_file(workshop, private)))
    runs = interleave(
        [
            Entry(
                workshop.campaignd(name, sections=sections),
                lambda: Receiver(workshop.supervisor, sessions),
            )
            for name, sections in ((plain, {}), (signed, {"dkim": [dkim]}))
        ],
        Plan(repetitions, count, 0, sessions),
    )
    cores = len(os.sched_getaffinity(0))
    rates = [run.steady_rate for run in runs[signed]]
    return Measured(
        [
            Finding(
                what=f"signatures on {cores} cores, against openssl speed",
                unit="times",
                values=relative(threads, openssl),
                at_least=0.9,
            ),
            Finding(
                what="composed messages signed, against openssl speed",
                unit="times",
                values=relative(stage, openssl),
            ),
            Finding(what="openssl speed rsa2048", unit="a second", values=openssl),
            Finding(what="composed messages signed", unit="a second", values=stage),
            Finding(what="a signed campaign, steady", unit="messages/s", values=rates),
            Finding(
                what="a signed campaign, against openssl speed",
                unit="times",
                values=relative(rates, openssl),
            ),
            Finding(
                what="a signed campaign, daemon's cores in use",
                unit="",
                values=[run.cpu_seconds / run.seconds for run in runs[signed]],
            ),
            Finding(
                what="daemon's CPU for a message, more with DKIM",
                unit="us",
                values=[
                    one.cpu_us - other.cpu_us
                    for one, other in zip(runs[signed], runs[plain], strict=True)
                ],
            ),
        ],
        runs,
    )


def openssl_rate(seconds: int) -> float:
    """Signatures a second of all cores together. Raises BenchmarkError without `openssl`."""
    program = shutil.which("openssl")
    if program is None:
        raise BenchmarkError("openssl is missing: apt-get install openssl")
    cores = len(os.sched_getaffinity(0))
    said = subprocess.run(
        [program, "speed", "-seconds", str(seconds), "-multi", str(cores), "rsa2048"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout
    found = re.search(r"^rsa +2048 bits +\S+s +\S+s +([0-9.]+)", said, re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"openssl speed said {said.strip()[-200:]!r}")
    return float(found[1])


async def signing_rate(private: RSAPrivateKey, messages: Sequence[bytes], seconds: float) -> float:
    """The same of the daemon's signing stage, from composed messages to signed ones."""
    sign = Signer([SigningKey(private, domain=DOMAIN, selector="b1")]).sign
    queue = JobQueue()
    signing = Signing(queue, lambda: None)
    running = asyncio.create_task(signing.run())
    jobs = _jobs(messages, sign)
    begun = time.perf_counter()
    given = taken = 0
    while time.perf_counter() - begun < seconds:
        for job in itertools.islice(jobs, AHEAD - (given - taken)):
            signing.put(job)
            given += 1
        signing.wake()
        await asyncio.sleep(0.005)
        while queue.get() is not None:
            taken += 1
    rate = taken / (time.perf_counter() - begun)
    running.cancel()
    await asyncio.wait([running])
    return rate


def threads_rate(private: RSAPrivateKey, seconds: float) -> float:
    """The same of threads that only sign, as many as the stage has: what the interpreter and the
    library let through."""
    sign = SigningKey(private, domain=DOMAIN, selector="b1").sign
    threads = len(os.sched_getaffinity(0))
    until = time.perf_counter() + seconds

    def work(_: int) -> int:
        made = 0
        while time.perf_counter() < until:
            sign(DATA)
            made += 1
        return made

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads))) / seconds


class _Owner:
    stopped = False


def _jobs(messages: Sequence[bytes], sign: Sign) -> Iterator[Job]:
    right, owner = SendRight(0.0), _Owner()
    for number, message in enumerate(itertools.cycle(messages)):
        yield Job(owner, right, number, 1, False, b"", b"", message, sign=sign)


def _messages(campaign: Path) -> list[bytes]:
    composer = Composer(load_campaign(campaign), 1, material.FIELDS)
    date = date_header(time.time())
    return [
        composer.compose(0, number, address, values, date=date, eight_bit=False).message
        for number, (address, *values) in enumerate(
            itertools.islice(material.recipients(), MESSAGES)
        )
    ]


def _key_file(workshop: Workshop, private: RSAPrivateKey) -> Path:
    path = workshop.box.folder / "dkim.pem"
    path.touch(0o600)
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


SCENARIO: Final = Scenario(
    "dkim",
    measure,
    [
        options.count(30_000),
        options.sessions,
        options.repetitions(3),
        options.number("--seconds", 5, "Of each run of signatures alone."),
    ],
    smoke={"count": 200, "sessions": 10, "repetitions": 1, "seconds": 1},
    full={"count": 15_000, "repetitions": 2, "seconds": 3},
)
