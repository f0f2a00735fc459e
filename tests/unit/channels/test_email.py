"""The email channel's campaigns: each has a signer of its own."""

from __future__ import annotations

import gc
import math
import weakref

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from campaignd.channels.email import EmailCampaign
from campaignd.compose import CampaignSpec, Composer
from campaignd.compose.spec import Attached
from campaignd.dkim import KeyRing, SigningKey, canonical
from campaignd.model import Job, RetryPolicy, SendRight, UnknownPolicy

DOMAIN = "acme.example"
NOW = 1_800_000_000


class Clock:
    now = float(NOW)

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("campaignd.channels.email.time", made)
    return made


def ring() -> KeyRing:
    return KeyRing([SigningKey(Ed25519PrivateKey.generate(), domain=DOMAIN, selector="e1")])


class Keys:
    """What a reload changes."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring

    def find(self) -> tuple[SigningKey, ...]:
        return self.ring.find(DOMAIN, "acme")


def campaign(keys: Keys, *, file: bytes = b"") -> EmailCampaign:
    spec = CampaignSpec(
        name="Spring",
        account="acme",
        sender=f"news@{DOMAIN}",
        subject="Hi",
        text="Hello\n",
        attachments=[Attached("a.bin", "application/octet-stream", file)] if file else [],
    )
    return EmailCampaign(
        Composer(spec, 1, []), UnknownPolicy.RESEND, RetryPolicy(), lambda: True, keys.find
    )


def job(of: EmailCampaign) -> Job:
    return of.job(None, SendRight(math.inf), 0, 1, 1, False, "a@b.example", [])


def signed(made: Job) -> bytes:
    assert made.sign is not None
    return made.sign(made.message, made.tail, NOW)


def test_what_a_signer_keeps_ends_with_its_campaign(clock: Clock) -> None:
    keys = Keys(ring())
    one = campaign(keys, file=b"x" * 30_000)
    signed(job(one))
    signer = weakref.ref(job(one).sign.__self__)  # type: ignore[union-attr]
    del one
    gc.collect()
    assert signer() is None


def test_the_signer_stays_until_the_keys_change(clock: Clock) -> None:
    keys = Keys(ring())
    one = campaign(keys)
    first = job(one).sign
    clock.now += 1
    assert job(one).sign == first
    keys.ring = ring()
    clock.now += 1
    second = job(one).sign
    assert second is not None
    assert second != first
    keys.ring = KeyRing()
    clock.now += 1
    assert job(one).sign is None


def test_campaigns_in_turn_make_their_tails_canonical_once(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(ring())
    campaigns = [campaign(keys, file=bytes([at]) * 30_000) for at in range(6)]
    original = canonical.body
    made = []

    def body(octets: bytes) -> bytes:
        made.append(octets)
        return original(octets)

    monkeypatch.setattr(canonical, "body", body)
    for _ in range(2):
        for one in campaigns:
            one_job = job(one)
            one_job.message = b"X: %d\r\n" % len(made) + one_job.message
            signed(one_job)
            one_job.message = one_job.message.replace(b"Hello", b"Hallo")
            signed(one_job)
    assert len(made) == 6


def test_a_signed_campaigns_file_counts_twice(clock: Clock) -> None:
    """As it is sent, and as it is hashed."""
    unsigned = campaign(Keys(KeyRing()), file=b"x" * 30_000).shared_octets
    assert unsigned > 30_000
    assert campaign(Keys(ring()), file=b"x" * 30_000).shared_octets == 2 * unsigned
